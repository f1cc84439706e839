"""A sample refuses arrays of another kind, and an index outside is an IndexError."""

import numpy as np
import pytest

from cyclorama.data.sample import Sample, checked_index
from cyclorama.shapes import VideoShape

FRAMES = np.zeros((5, 16, 32, 3), np.uint8)


def test_shape_and_duration() -> None:
    sample = Sample(id="a", frames=FRAMES, rate_fps=8.0)
    assert sample.shape == VideoShape(5, 16, 32) and sample.duration_s == 0.625
    assert (sample.captions, sample.truth, sample.weight_map) == ({}, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": FRAMES / 255},
        {"frames": FRAMES[..., 0]},
        {"frames": FRAMES[..., :2]},
        {"rate_fps": 0.0},
        {"rate_fps": float("nan")},
        {"weight_map": np.zeros((5, 16, 16), np.uint8)},
        {"weight_map": np.zeros((5, 16, 32), np.int64)},
    ],
)
def test_wrong_arrays_name_the_sample(wrong: dict) -> None:
    with pytest.raises(ValueError, match="sample 'a'"):
        Sample(**{"id": "a", "frames": FRAMES, "rate_fps": 8.0, **wrong})


def test_indices() -> None:
    assert [checked_index(n, 3) for n in (0, 2, -1, -3)] == [0, 2, 2, 0]
    for n in (3, -4):
        with pytest.raises(IndexError, match="has 3"):
            checked_index(n, 3)
