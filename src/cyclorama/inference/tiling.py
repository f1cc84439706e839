"""Long and large clips in parts: streamed in time, tiled in space.

Picture a painter of a ceiling on a small scaffold: the whole is never in reach, so it is painted
patch by patch, with seams blended while the paint is wet. In time there are no seams at all: the
autoencoder looks back one latent frame a layer and hands that past on, so a few latent frames at
a time give what the whole clip gives. In space attention sees a whole frame, and cutting it is an
approximation: tiles overlap, and in the overlap their results are blended with weights that fall
linearly to a tile's edge. One tile that covers all is exactly the untiled result. Each tile keeps
a past of its own. The scheme is that of tiled decoding in the field's stacks; the exact streaming
is of `models.autoencoder`. Leaves out sharing of work between overlapping tiles.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import torch
from torch import Tensor

from cyclorama.models.autoencoder import Autoencoder, Past
from cyclorama.shapes import VideoShape, latent_shape

Tile = tuple[int, int]  # which from above, which from the left
Part = Callable[..., tuple[Tensor, Past]]


@dataclass(frozen=True)
class Tiling:
    """How much is worked on at once, in latents: frames a part, side of a tile, overlap."""

    num_frames: int = 16
    side: int = 96
    overlap: int = 16

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"a part needs at least one latent frame, got {self.num_frames}")
        if not 0 <= self.overlap < self.side:
            raise ValueError(f"need 0 <= overlap < side, got {self.overlap} and {self.side}")


DEFAULT_TILING = Tiling()


def encode_long(
    autoencoder: Autoencoder, video: Tensor | Iterable[Tensor], *, tiling: Tiling = DEFAULT_TILING
) -> Tensor:
    """Return the latents (B, t, h, w, C) of a clip of any length and size.

    ``video`` is float in [-1, 1] of shape (B, T, H, W, 3), or an iterable of such tensors that
    follow each other in time, of any numbers of frames (1 + a multiple of the time compression
    in all). Raises ValueError for a clip that does not fit the compression.
    """
    return torch.cat(list(encode_parts(autoencoder, video, tiling=tiling)), dim=1)


def decode_long(
    autoencoder: Autoencoder, latents: Tensor | Iterable[Tensor], *, tiling: Tiling = DEFAULT_TILING
) -> Tensor:
    """Return the clip (B, T, H, W, 3) of latents of any length and size; see `encode_long`."""
    return torch.cat(list(decode_parts(autoencoder, latents, tiling=tiling)), dim=1)


@torch.no_grad()
def encode_parts(
    autoencoder: Autoencoder, video: Tensor | Iterable[Tensor], *, tiling: Tiling = DEFAULT_TILING
) -> Iterator[Tensor]:
    """Yield the latents of a clip part by part in time; only one part is in memory."""
    compression = autoencoder.compression
    if isinstance(video, Tensor):
        latent_shape(VideoShape(*video.shape[1:4]), compression)  # raises for one that cannot be
    step = tiling.num_frames * compression.time
    parts = _regroup(video, first=1 + step - compression.time, step=step)
    yield from _tiled(
        autoencoder.encode_part, parts, tiling=tiling, scale_in=compression.space, scale_out=1
    )


@torch.no_grad()
def decode_parts(
    autoencoder: Autoencoder, latents: Tensor | Iterable[Tensor], *, tiling: Tiling = DEFAULT_TILING
) -> Iterator[Tensor]:
    """Yield the frames of latents part by part in time; only one part is in memory."""
    parts = _regroup(latents, first=tiling.num_frames, step=tiling.num_frames)
    scale_out = autoencoder.compression.space
    yield from _tiled(
        autoencoder.decode_part, parts, tiling=tiling, scale_in=1, scale_out=scale_out
    )


def tiles_along(size: int, *, side: int, overlap: int) -> list[slice]:
    """Return evenly spread stretches of at most ``side`` that cover ``size``.

    Neighbours share at least ``overlap``.
    """
    if size <= side:
        return [slice(0, size)]
    count = -(-(size - overlap) // (side - overlap))
    starts = [round(number * (size - side) / (count - 1)) for number in range(count)]
    return [slice(start, start + side) for start in starts]


def blend_weights(stretches: list[slice], *, scale: int) -> list[Tensor]:
    """Return for each stretch the float64 weights of its pixels; at each pixel they sum to one.

    Weights rise linearly over what a stretch shares with its neighbour. ``scale`` is how many
    pixels of the result one unit of the stretches stands for.
    """
    rises = [torch.ones((s.stop - s.start) * scale, dtype=torch.float64) for s in stretches]
    for number, (left, right) in enumerate(pairwise(stretches)):
        shared = (left.stop - right.start) * scale
        ramp = (torch.arange(shared, dtype=torch.float64) + 0.5) / max(shared, 1)
        rises[number][len(rises[number]) - shared :] *= 1 - ramp
        rises[number + 1][:shared] *= ramp
    total = torch.zeros(stretches[-1].stop * scale, dtype=torch.float64)
    for stretch, rise in zip(stretches, rises, strict=True):
        total[stretch.start * scale : stretch.stop * scale] += rise
    return [
        rise / total[stretch.start * scale : stretch.stop * scale]
        for stretch, rise in zip(stretches, rises, strict=True)
    ]


def _regroup(clip: Tensor | Iterable[Tensor], *, first: int, step: int) -> Iterator[Tensor]:
    """Yield the same frames again: ``first`` of them, then ``step`` at a time, then the rest."""
    held: list[Tensor] = []
    wanted, num_held, is_empty = first, 0, True
    for piece in [clip] if isinstance(clip, Tensor) else clip:
        held.append(piece)
        num_held += piece.shape[1]
        is_empty = is_empty and not num_held
        while num_held >= wanted:
            whole = torch.cat(held, dim=1) if len(held) > 1 else held[0]
            yield whole[:, :wanted]
            held, num_held, wanted = [whole[:, wanted:]], num_held - wanted, step
    if num_held:
        yield torch.cat(held, dim=1)
    if is_empty:
        raise ValueError("the clip holds no frames: give at least one")


def _tiled(
    run: Part, parts: Iterable[Tensor], *, tiling: Tiling, scale_in: int, scale_out: int
) -> Iterator[Tensor]:
    """Run each part over all tiles and blend; every tile carries its own past along."""
    pasts: dict[Tile, Past] = {}
    for part in parts:
        rows, columns = (
            tiles_along(size // scale_in, side=tiling.side, overlap=tiling.overlap)
            for size in part.shape[2:4]
        )
        results: dict[Tile, Tensor] = {}
        for tile in product(range(len(rows)), range(len(columns))):
            down, across = rows[tile[0]], columns[tile[1]]
            cut = part[:, :, _scaled(down, scale_in), _scaled(across, scale_in)]
            results[tile], pasts[tile] = run(cut, past=pasts.get(tile))
        yield _blend(results, rows, columns=columns, scale=scale_out)


def _blend(
    results: dict[Tile, Tensor], rows: list[slice], *, columns: list[slice], scale: int
) -> Tensor:
    """Return the whole frames of a part from its tiles' results."""
    first = results[0, 0]
    if len(results) == 1:
        return first
    sides = (rows[-1].stop * scale, columns[-1].stop * scale)
    whole = first.new_zeros(*first.shape[:2], *sides, first.shape[-1])
    down, across = (blend_weights(s, scale=scale) for s in (rows, columns))
    for (i, j), result in results.items():
        weights = (down[i][:, None] * across[j])[..., None].to(whole)
        place = whole[:, :, _scaled(rows[i], scale), _scaled(columns[j], scale)]
        place += result * weights
    return whole


def _scaled(stretch: slice, scale: int) -> slice:
    return slice(stretch.start * scale, stretch.stop * scale)
