"""Latents of a whole source, computed once and kept on disk.

The generator never looks at pixels; encoding a clip again in each epoch would cost as much as
training on it. The encoder comes as a function, since this layer knows no model. All latents lie
end to end in one float16 array beside one JSON line a clip (captions, rate, shape). The cache
names the encoder and the source it was made with; another encoder or source is an error.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cyclorama.data.sample import Source

Encode = Callable[[np.ndarray], np.ndarray]  # uint8 (B,T,H,W,3) -> float (B,t,h,w,C)


@dataclass(frozen=True, eq=False)
class LatentClip:
    """One clip's latents (t,h,w,C) float16, on the generator's scale, with its words."""

    latents: np.ndarray
    captions: dict[str, str]
    rate_fps: float


class LatentCache:
    """Random access to the latents in a directory written by `build_latent_cache`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        rows = (directory / "clips.jsonl").read_text().splitlines()
        self._rows = [json.loads(row) for row in rows]
        self._numbers = np.load(directory / "latents.npy", mmap_mode="r")

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._rows)

    def shape_of(self, index: int) -> tuple[int, int, int, int]:
        """Return (t, h, w, C) of one clip."""
        return tuple(self._rows[index]["shape"])

    def captions_of(self, index: int) -> dict[str, str]:
        """Return the captions of one clip, without its latents."""
        return self._rows[index]["captions"]

    def __getitem__(self, index: int) -> LatentClip:
        """Return one clip."""
        row = self._rows[index]
        start, shape = row["start"], tuple(row["shape"])
        numbers = self._numbers[start : start + int(np.prod(shape))]
        return LatentClip(np.asarray(numbers).reshape(shape), row["captions"], row["rate_fps"])


def build_latent_cache(
    directory: Path,
    source: Source,
    *,
    encode: Encode,
    name: str,
    batch_pixels: int = 2_000_000,
    report: Callable[[str], None] = print,
) -> LatentCache:
    """Encode every clip of ``source``, or open the cache when it is complete.

    ``name`` says what made it (the encoder's checksum and the source); a cache of another name is
    a ValueError, because mixing two latent spaces would train a generator on nonsense.
    """
    card = directory / "card.json"
    if card.exists():
        found = json.loads(card.read_text())["name"]
        if found != name:
            raise ValueError(
                f"{directory} holds latents of {found!r}, not of {name!r}: remove it "
                "or choose another --out directory"
            )
        return LatentCache(directory)
    directory.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    start = 0
    partial = directory / "latents.partial"
    with partial.open("wb") as file:
        for items in _same_shape_blocks(source, batch_pixels):
            samples = [source[item] for item in items]
            latents = encode(np.stack([s.frames for s in samples])).astype(np.float16)
            for sample, latent in zip(samples, latents, strict=True):
                file.write(latent.tobytes())
                rows.append(
                    {
                        "start": start,
                        "shape": list(latent.shape),
                        "captions": sample.captions,
                        "rate_fps": sample.rate_fps,
                    }
                )
                start += latent.size
            if len(rows) % 1024 < len(items) or len(rows) == len(source):
                report(f"encoded {len(rows)}/{len(source)} clips")
    numbers = np.fromfile(partial, dtype=np.float16)
    with (directory / "latents.npy.partial").open("wb") as file:
        np.save(file, numbers)
    (directory / "latents.npy.partial").replace(directory / "latents.npy")
    partial.unlink()
    (directory / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    aside = card.with_suffix(".partial")
    aside.write_text(json.dumps({"name": name, "num_clips": len(rows)}))
    aside.replace(card)
    return LatentCache(directory)


def _same_shape_blocks(source: Source, batch_pixels: int) -> list[list[int]]:
    """Return lists of indices of one size, each at most ``batch_pixels`` (or one clip)."""
    blocks: dict[object, list[list[int]]] = {}
    for index in range(len(source)):
        shape = source.shape_of(index)
        size = max(1, batch_pixels // (shape.num_frames * shape.height * shape.width))
        lists = blocks.setdefault(shape, [[]])
        if len(lists[-1]) >= size:
            lists.append([])
        lists[-1].append(index)
    return [block for lists in blocks.values() for block in lists]
