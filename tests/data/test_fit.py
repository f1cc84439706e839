"""Sizes and lengths that films are fitted to: exact small tables, and laws that always hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cyclorama.data.fit import ClipFit, fitted_frames, fitted_shape, fitted_size
from cyclorama.shapes import VideoShape


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((1280, 720), (112, 64)),
        ((720, 1280), (64, 112)),
        ((640, 640), (64, 64)),
        ((640, 480), (80, 64)),
        ((4000, 500), (512, 64)),
        ((64, 64), (64, 64)),
    ],
)
def test_sizes(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fitted_size(*size, fit=ClipFit(short_side=64)) == fitted


@pytest.mark.parametrize(
    ("duration_s", "num_frames"),
    [(0.01, 1), (0.5, 1), (0.51, 5), (0.625, 5), (1.0, 5), (1.01, 9), (2.125, 17), (99.0, 17)],
)
def test_lengths(duration_s: float, num_frames: int) -> None:
    assert fitted_frames(duration_s, ClipFit(rate_fps=8.0, max_frames=17)) == num_frames


@given(st.integers(16, 5000), st.integers(16, 5000), st.floats(0.02, 100), st.integers(1, 20))
def test_fitted_clips_are_legal_and_inside(width: int, height: int, duration_s: float, k: int):
    fit = ClipFit(short_side=96, max_frames=1 + 4 * k, rate_fps=12.0)
    shape = fitted_shape(width, height, duration_s=duration_s, fit=fit)
    assert min(shape.height, shape.width) == 96
    assert shape.height % 16 == shape.width % 16 == (shape.num_frames - 1) % 4 == 0
    assert 1 <= shape.num_frames <= fit.max_frames
    assert (shape.num_frames - 1) / fit.rate_fps < duration_s
    stretch = (shape.width / shape.height) / (width / height)
    assert abs(stretch - 1) <= 8 / 96 + 1e-9  # at most half a step of sixteen is cropped


def test_what_cannot_be_names_the_nearest_that_can() -> None:
    with pytest.raises(ValidationError, match="use 96"):
        ClipFit(short_side=100)
    with pytest.raises(ValidationError, match="use 17"):
        ClipFit(max_frames=16)
    assert fitted_shape(64, 64, duration_s=1.0, fit=ClipFit()) == VideoShape(5, 64, 64)
