"""Where a moving object stands in a clip, and how far its rebuilt self stands from it.

The picture in words: the engine's object ids say where to look and what colours to look for; the
measuring itself sees only pixels, and it measures the original and the rebuilt clip with the very
same yardstick. In each frame a window is laid around the object. Between the colour of what
surrounds the object and the object's own, each pixel is given a share in [0, 1] by how far it
lies along that line (a matte, as in keying); the centroid is the mean place weighted by shares.
Pixels of other objects are left out on both sides. A smeared or shifted object moves its
centroid; one that has vanished (less than a fifth of its matte is left) is `lost` and counts with
half of its window's diagonal.

Only movers are measured: objects whose centroid by ids moves more than two pixels. Left out:
rotation, and changes of shape that keep the centroid.
"""

from dataclasses import dataclass

import numpy as np

LEAST_WAY_PX = 2.0
LEAST_AREA_PX = 12  # fewer pixels of an object in a frame: too hidden to be measured
MARGIN_PX = 5
LEAST_SHARE = 0.25  # of the way from surroundings to object: below it a pixel counts as none
LOST_SHARE = 0.2


@dataclass(frozen=True)
class MoverError:
    """One mover of one clip: its id, mean error in px over ``num_frames``, and frames lost."""

    object_id: int
    error_px: float
    num_frames: int
    num_lost: int


@dataclass(frozen=True, eq=False)
class Yardstick:
    """How to measure one object in one frame: a window, pixels to use there, and two colours."""

    rows: slice
    columns: slice
    usable: np.ndarray  # bool (h, w)
    around: np.ndarray  # float64 (3,): the colour of the surroundings
    own: np.ndarray  # float64 (3,)

    @property
    def half_diagonal_px(self) -> float:
        """Half of the window's diagonal."""
        return float(np.hypot(*self.usable.shape)) / 2


def mover_ids(object_ids: np.ndarray) -> list[int]:
    """Return the ids in uint8 (T, H, W) whose centroid moves more than `LEAST_WAY_PX`."""
    movers = []
    for number in np.unique(object_ids[object_ids > 0]):
        seen = object_ids == number
        places = np.array(
            [np.argwhere(frame).mean(axis=0) for frame in seen if frame.sum() >= LEAST_AREA_PX]
        )
        if len(places) and np.linalg.norm(places - places[0], axis=1).max() > LEAST_WAY_PX:
            movers.append(int(number))
    return movers


def mover_errors(
    original: np.ndarray, other: np.ndarray, *, object_ids: np.ndarray
) -> list[MoverError]:
    """Return the error of each mover between uint8 clips (T, H, W, 3) of one scene."""
    if original.shape != other.shape or object_ids.shape != original.shape[:3]:
        raise ValueError(f"sizes differ: {original.shape}, {other.shape}, ids {object_ids.shape}")
    found = []
    for number in mover_ids(object_ids):
        errors, num_lost = [], 0
        for frame, rebuilt, ids in zip(original, other, object_ids, strict=True):
            if (ids == number).sum() < LEAST_AREA_PX:
                continue
            yardstick = lay_yardstick(frame, ids, number=number)
            if yardstick is None:
                continue
            error_px, is_lost = compare(frame, rebuilt, yardstick=yardstick)
            errors.append(error_px)
            num_lost += is_lost
        if errors:
            found.append(MoverError(number, float(np.mean(errors)), len(errors), num_lost))
    return found


def lay_yardstick(frame: np.ndarray, ids: np.ndarray, *, number: int) -> Yardstick | None:
    """Return how to measure object ``number`` in a frame; None where nothing surrounds it."""
    own = ids == number
    y, x = np.nonzero(own)
    rows = slice(max(0, y.min() - MARGIN_PX), y.max() + MARGIN_PX + 1)
    columns = slice(max(0, x.min() - MARGIN_PX), x.max() + MARGIN_PX + 1)
    part, pixels = ids[rows, columns], frame[rows, columns].astype(np.float64)
    surroundings = part == 0
    if surroundings.sum() < LEAST_AREA_PX:
        return None
    return Yardstick(
        rows,
        columns,
        surroundings | (part == number),
        np.median(pixels[surroundings], axis=0),
        np.median(pixels[part == number], axis=0),
    )


def compare(frame: np.ndarray, rebuilt: np.ndarray, *, yardstick: Yardstick) -> tuple[float, bool]:
    """Return the distance in px of the centroids in two frames, and whether it was lost."""
    place, weight = measure(frame, yardstick)
    other, left = measure(rebuilt, yardstick)
    if weight == 0 or left < LOST_SHARE * weight:
        return yardstick.half_diagonal_px, True
    return float(np.linalg.norm(place - other)), False


def measure(frame: np.ndarray, yardstick: Yardstick) -> tuple[np.ndarray, float]:
    """Return the centroid (row, column) in the window, and the sum of shares in px."""
    pixels = frame[yardstick.rows, yardstick.columns].astype(np.float64) - yardstick.around
    line = yardstick.own - yardstick.around
    share = np.clip(pixels @ line / max(float(line @ line), 1.0), 0.0, 1.0)
    share = np.where(yardstick.usable & (share > LEAST_SHARE), share, 0.0)
    weight = float(share.sum())
    grid = np.indices(share.shape)
    place = (grid * share).sum(axis=(1, 2)) / weight if weight else np.zeros(2)
    return place, weight
