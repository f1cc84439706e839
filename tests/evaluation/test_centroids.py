"""Centroids: zero for equal clips, the shift for shifted ones, half a window for lost ones."""

import numpy as np
import pytest

from cyclorama.evaluation.centroids import (
    LEAST_AREA_PX,
    lay_yardstick,
    measure,
    mover_errors,
    mover_ids,
)


def discs(places: np.ndarray, *, radius: float = 5, colour=(200, 30, 30)) -> tuple:
    """Return a clip of an antialiased disc at (row, column) ``places`` (T, 2), and its ids."""
    rows, columns = np.mgrid[:48, :48]
    frames, ids = [], []
    for y, x in places:
        away = np.hypot(rows - y, columns - x)
        share = np.clip(radius + 0.5 - away, 0, 1)[..., None]
        frames.append((1 - share) * 120 + share * np.array(colour))
        ids.append(away <= radius)
    return np.round(frames).astype(np.uint8), np.array(ids).astype(np.uint8)


def line(*, start: float = 14, step: float = 2.0) -> np.ndarray:
    return np.array([(24.0, start + step * t) for t in range(5)])


def test_a_clip_against_itself_has_no_error():
    frames, ids = discs(line())
    (error,) = mover_errors(frames, frames, object_ids=ids)
    assert (error.object_id, error.error_px, error.num_frames, error.num_lost) == (1, 0, 5, 0)


@pytest.mark.parametrize("shift", [(0, 0.4), (1.0, 0), (0.6, -0.8)])
def test_a_shift_is_measured(shift):
    frames, ids = discs(line())
    moved, _ = discs(line() + np.array(shift))
    (error,) = mover_errors(frames, moved, object_ids=ids)
    assert error.error_px == pytest.approx(np.hypot(*shift), abs=0.05)
    assert error.num_lost == 0


def test_a_fainter_object_keeps_its_place_and_a_vanished_one_is_lost():
    frames, ids = discs(line())
    fainter = ((frames.astype(float) - 120) * 0.6 + 120).round().astype(np.uint8)
    (error,) = mover_errors(frames, fainter, object_ids=ids)
    assert error.error_px < 0.1
    empty = np.full_like(frames, 120)
    (error,) = mover_errors(frames, empty, object_ids=ids)
    assert error.num_lost == 5
    yardstick = lay_yardstick(frames[0], ids[0], number=1)
    assert error.error_px == pytest.approx(yardstick.half_diagonal_px)


def test_only_movers_that_are_seen_are_measured():
    still, still_ids = discs(line(step=0.3))
    assert mover_ids(still_ids) == []
    assert mover_errors(still, still, object_ids=still_ids) == []
    _, ids = discs(line())
    assert mover_ids(ids) == [1]
    hidden = ids.copy()
    hidden[:, :24] = 0
    hidden[:, 25:] = 0  # one row of the disc is left
    assert (hidden[0] == 1).sum() < LEAST_AREA_PX
    assert mover_ids(hidden) == []


def test_another_object_in_the_window_does_not_count():
    frames, ids = discs(line(step=1.0))
    other = np.hypot(*(np.mgrid[:48, :48] - np.array([24, 30])[:, None, None])) <= 5
    together, both = frames.copy(), ids.copy()
    together[:, other] = (210, 40, 40)  # nearly the same colour
    both[:, other] = 2
    seen = both == 1
    for t in range(5):
        yardstick = lay_yardstick(together[t], both[t], number=1)
        place, weight = measure(together[t], yardstick)
        place += [yardstick.rows.start, yardstick.columns.start]
        assert np.linalg.norm(place - np.argwhere(seen[t]).mean(axis=0)) < 0.6
        assert weight == pytest.approx(seen[t].sum(), rel=0.35)


def test_sizes_must_agree():
    frames, ids = discs(line())
    with pytest.raises(ValueError, match="sizes differ"):
        mover_errors(frames, frames[:2], object_ids=ids)
