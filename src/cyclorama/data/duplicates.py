"""Clips seen before, in another file, at another quality or in a mirror, are found again.

Picture an archivist who first asks the card index (a perceptual hash) for film that might be the
same, and then lays both contact sheets side by side (a thumbnail) before throwing anything away.
The hash is the signs of the lowest 8x8 cosine coefficients of three frames; flipping a picture
only negates the odd columns, so the mirrored hash costs nothing. The hash alone would take two
recordings of one fixed camera for the same; the thumbnail's most different square tells them
apart, since a mover fills a square and a new encoding changes all squares a little. Leaves out
the same footage cut elsewhere in time, which needs trained embeddings.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cyclorama.data.filters import luma

HASH_BYTES = 24  # three frames x 64 signs
THUMBNAIL_BYTES = 3 * 16 * 16  # three frames of luma
_NUM_FRAMES = 3
_WAVES = 8
_SMALL = 32
_THUMB = 16
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1).astype(np.uint8)


@dataclass(frozen=True)
class Likeness:
    """What is kept of a clip to know it again: hash, hash of its mirror, thumbnail (3,16,16)."""

    plain: bytes
    mirrored: bytes
    thumbnail: np.ndarray


@dataclass(frozen=True)
class Twin:
    """A clip seen before: its id, and how far it is off: signs of 192, and gray levels."""

    id: str
    distance: int
    difference: float


def likeness(frames: np.ndarray) -> Likeness:
    """Return what to know uint8 (T,H,W,3) by: three frames, at 1/6, 1/2 and 5/6 of the clip."""
    num_frames = frames.shape[0]
    picks = [(2 * k + 1) * num_frames // (2 * _NUM_FRAMES) for k in range(_NUM_FRAMES)]
    light = luma(frames[picks]).astype(np.float32)
    waves = _cosines(light.shape[1]) @ light @ _cosines(light.shape[2]).T
    waves[:, 0, 0] = 0.0  # brightness alone must not decide a sign
    flip = np.where(np.arange(_WAVES) % 2, -1.0, 1.0).astype(np.float32)
    small = _means(light.shape[1], _THUMB) @ light @ _means(light.shape[2], _THUMB).T
    thumbnail = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return Likeness(_signs(waves), _signs(waves * flip), thumbnail)


def hash_distance(first: Likeness, second: Likeness) -> int:
    """Return how many of 192 signs differ, for the better of plain and mirrored; 0 = twins."""
    plain = np.frombuffer(first.plain, np.uint8)
    both = [np.frombuffer(h, np.uint8) for h in (second.plain, second.mirrored)]
    return min(int(_ONES[plain ^ other].sum()) for other in both)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the gray levels by which the most different square of two thumbnails differs.

    Takes (..., 3, 16, 16), returns (...); each frame's mean is taken off first, so that a
    brighter copy is a copy, and the better of plain and mirrored counts.
    """
    one, other = (x - x.mean((-1, -2), keepdims=True) for x in (first * 1.0, second * 1.0))
    return np.minimum(
        np.abs(one - other).max((-1, -2, -3)), np.abs(one[..., ::-1] - other).max((-1, -2, -3))
    )


class SeenClips:
    """Clips seen so far, asked for twins from other files; grows by doubling, 800 bytes a clip.

    Clips of one file are never twins of each other: a quiet scene is cut into clips that look
    alike, and each of them is wanted.
    """

    def __init__(self) -> None:
        self._hashes = np.zeros((256, HASH_BYTES), np.uint8)
        self._thumbnails = np.zeros((256, _NUM_FRAMES, _THUMB, _THUMB), np.uint8)
        self._ids: list[str] = []
        self._origins: list[str] = []

    def __len__(self) -> int:
        """Return the number of clips seen."""
        return len(self._ids)

    def add(self, clip_id: str, look: Likeness, *, origin: str) -> None:
        """Remember a clip cut from the file ``origin``."""
        count = len(self._ids)
        if count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._thumbnails = np.concatenate([self._thumbnails, np.zeros_like(self._thumbnails)])
        self._hashes[count] = np.frombuffer(look.plain, np.uint8)
        self._thumbnails[count] = look.thumbnail
        self._ids.append(clip_id)
        self._origins.append(origin)

    def twin_of(
        self, look: Likeness, *, origin: str, max_distance: int, max_difference: float
    ) -> Twin | None:
        """Return the clip of another file that this one repeats, the most alike, or None."""
        hashes = self._hashes[: len(self._ids)]
        asked = [np.frombuffer(h, np.uint8) for h in (look.plain, look.mirrored)]
        distances = np.minimum(*(_ONES[hashes ^ h].sum(1, dtype=np.int32) for h in asked))
        near = [i for i in np.flatnonzero(distances <= max_distance) if self._origins[i] != origin]
        if not near:
            return None
        off = difference(self._thumbnails[near], look.thumbnail)
        best = int(off.argmin())
        if off[best] > max_difference:
            return None
        return Twin(self._ids[near[best]], int(distances[near[best]]), float(off[best]))


@lru_cache(maxsize=64)
def _means(side: int, count: int) -> np.ndarray:
    """Return (count, side): means over equal stretches, whole or in part, of ``side`` pixels."""
    edges = np.arange(count + 1) * side / count
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (np.maximum(overlap, 0.0) * count / side).astype(np.float32)


@lru_cache(maxsize=64)
def _cosines(side: int) -> np.ndarray:
    """Return (8, side): mean over 32 equal stretches, then the lowest eight cosines of DCT-II."""
    angles = (np.arange(_SMALL) + 0.5) * np.pi / _SMALL
    waves = np.cos(np.arange(_WAVES)[:, None] * angles)
    return (waves @ _means(side, _SMALL)).astype(np.float32)


def _signs(waves: np.ndarray) -> bytes:
    """Return one bit for each coefficient: above its frame's median or not."""
    flat = waves.reshape(len(waves), -1)
    # The mean sits at index 0 and is zero; the median is of the other 63.
    return np.packbits(flat > np.median(flat[:, 1:], axis=1, keepdims=True), axis=1).tobytes()
