"""The shared memory of a reading: one key of unit length and one value a token, on a shelf.

The shelf has room for a fixed number of cards, in memory or in a file that is mapped (then the
operating system decides what stays in memory). Cards are kept in bfloat16 (4 bytes a dimension of
key and value together) or as int8 with one scale a card (half as much): since keys have unit
length, one scale a card is enough (what needs KIVI's scale a channel, arXiv 2402.02750, are keys
that were not normalised).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cyclorama.nn.recall import Chunk

CHUNK = 16_384  # cards weighed at once; with 65,536 the scores leave the cache: 2.4 times slower
DTYPES = {"bfloat16": torch.bfloat16, "int8": torch.int8}
Shelves = dict[str, tuple[tuple[int, int], torch.dtype]]


@dataclass
class Memory:
    """Cards in the order of reading; ``num_cards`` of ``len(k_SK)`` places are filled."""

    k_SK: Tensor
    v_SK: Tensor
    scales_S2: Tensor | None = None  # float16 (S, 2), scales of key and value; for int8 only
    num_cards: int = 0

    @property
    def dtype(self) -> str:
        """How cards are kept: "bfloat16" or "int8"."""
        return next(name for name, dtype in DTYPES.items() if dtype == self.k_SK.dtype)

    def append(self, k_LK: Float[Tensor, "L K"], v_LK: Float[Tensor, "L K"]) -> None:
        """Add cards; ValueError when the shelf has no room for them."""
        start, stop = self._places(len(k_LK))
        for column, (shelf, cards) in enumerate(((self.k_SK, k_LK), (self.v_SK, v_LK))):
            if self.scales_S2 is not None:
                scale_L = (cards.float().abs().amax(dim=1) / 127).half().clamp(min=1e-6)
                whole = (cards.float() / scale_L.float()[:, None]).round().clamp(-127, 127)
                shelf[start:stop] = whole.to(torch.int8)
                self.scales_S2[start:stop, column] = scale_L
            else:
                shelf[start:stop] = cards
        self.num_cards = stop

    def extend(self, other: "Memory") -> None:
        """Add all cards of another memory, unchanged when both keep cards in the same way."""
        if other.dtype != self.dtype:
            for k_SK, v_SK, _ in other.chunks(torch.float32):
                self.append(k_SK, v_SK)
            return
        start, stop = self._places(other.num_cards)
        self.k_SK[start:stop] = other.k_SK[: other.num_cards]
        self.v_SK[start:stop] = other.v_SK[: other.num_cards]
        if self.scales_S2 is not None and other.scales_S2 is not None:
            self.scales_S2[start:stop] = other.scales_S2[: other.num_cards]
        self.num_cards = stop

    def _places(self, num: int) -> tuple[int, int]:
        start, stop = self.num_cards, self.num_cards + num
        if stop > len(self.k_SK):
            raise ValueError(
                f"the memory has room for {len(self.k_SK)} tokens, and {stop} are to be kept: "
                "open it with more room"
            )
        return start, stop

    def chunks(self, dtype: torch.dtype = torch.bfloat16, size: int = CHUNK) -> Iterator[Chunk]:
        """Yield keys, values (in ``dtype``) and the number of the first card, piece by piece."""
        for start in range(0, self.num_cards, size):
            k_SK, v_SK = self.take(slice(start, min(start + size, self.num_cards)), dtype)
            yield k_SK, v_SK, start

    def take(
        self, places: slice | Int[Tensor, "S"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "S K"], Float[Tensor, "S K"]]:
        """Return keys and values of some cards in ``dtype``."""
        parts = []
        for column, shelf in enumerate((self.k_SK, self.v_SK)):
            part = shelf[places].to(dtype)
            if self.scales_S2 is not None:
                part = part * self.scales_S2[places, column, None].to(dtype)
            parts.append(part)
        return parts[0], parts[1]


def open_memory(
    room: int, size: int, *, dtype: str = "bfloat16", directory: Path | None = None
) -> Memory:
    """Return an empty memory with room for ``room`` tokens of ``size`` dimensions.

    With a directory the shelves are files in it, mapped: ``keys``, ``values``, and ``scales``
    where there are any.
    """
    plan = shelves(room, size, dtype=dtype)
    if directory is None:
        return Memory(*(torch.ones(shape, dtype=kind) for shape, kind in plan.values()))
    directory.mkdir(parents=True, exist_ok=True)
    return Memory(*_map(directory, plan, shared=True))


def map_memory(directory: Path, num_cards: int, *, size: int, dtype: str) -> Memory:
    """Open the files of a memory that was filled; ValueError when a file has another size."""
    plan = shelves(num_cards, size, dtype=dtype)
    for name, (shape, kind) in plan.items():
        path, wanted = directory / name, shape[0] * shape[1] * kind.itemsize
        found = path.stat().st_size if path.exists() else 0
        if found != wanted:
            raise ValueError(
                f"{path} has {found} bytes, its card says {wanted}: read the document again"
            )
    return Memory(*_map(directory, plan, shared=False), num_cards=num_cards)


def shelves(room: int, size: int, *, dtype: str) -> Shelves:
    """Return name, shape and dtype of the shelves of a memory, in the order of `Memory`."""
    if dtype not in DTYPES:
        raise ValueError(f"a memory is kept in one of {', '.join(DTYPES)}, got {dtype!r}")
    plan: Shelves = dict.fromkeys(("keys", "values"), ((room, size), DTYPES[dtype]))
    return plan | ({"scales": ((room, 2), torch.float16)} if dtype == "int8" else {})


def _map(directory: Path, plan: Shelves, *, shared: bool) -> list[Tensor]:
    return [
        torch.from_file(
            str(directory / name), shared=shared, size=shape[0] * shape[1], dtype=kind
        ).view(shape)
        for name, (shape, kind) in plan.items()
    ]
