"""Where pixels go: display matrices, and the plan that fills a size."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.media.geometry import FITS, Orientation, orientation_of, plan_geometry

ORIENTATIONS = [
    Orientation(transposed, columns, rows)
    for transposed in (False, True)
    for columns in (False, True)
    for rows in (False, True)
]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turn_and_mirror_tell_the_orientation(orientation):
    image = np.arange(2 * 3 * 1).reshape(2, 3, 1)
    shown = np.rot90(image, k=-orientation.rotation_degrees // 90)
    if orientation.is_mirrored:
        shown = shown[:, ::-1]
    assert np.array_equal(orientation.apply(image), shown)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_display_matrices(orientation):
    """The matrix that moves the picture's corners as the orientation moves its pixels."""
    image = np.arange(4).reshape(2, 2, 1)
    shown = orientation.apply(image)[..., 0]
    places = {int(shown[y, x]): np.array([x, y]) for y in (0, 1) for x in (0, 1)}
    across, down = places[1] - places[0], places[2] - places[0]
    matrix = np.zeros(9, np.int32)
    matrix[[0, 1, 3, 4]] = 65536 * np.array([*across, *down])
    matrix[8] = 1 << 30
    assert orientation_of(matrix) == orientation


@pytest.mark.parametrize(
    "matrix", [np.zeros(9), [46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30]]
)
def test_slanted_or_empty_matrices(matrix):
    assert orientation_of(np.array(matrix, np.int32)) is None


@given(
    coded=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    aspect=st.fractions(Fraction(1, 4), 4, max_denominator=100),
    orientation=st.sampled_from(ORIENTATIONS),
    size=st.none() | st.tuples(st.integers(1, 200), st.integers(1, 200)),
    fit=st.sampled_from(FITS),
)
def test_a_plan_fills_its_size(coded, aspect, orientation, size, fit):
    plan = plan_geometry(coded, aspect, orientation=orientation, size=size, fit=fit)
    width, height = plan.scaled_width, plan.scaled_height
    shown = (height, width) if orientation.transposed else (width, height)
    if size is None:
        assert shown == (plan.width, plan.height)
        return
    assert (plan.width, plan.height) == size
    if fit == "cover":
        assert (
            shown[0] >= size[0]
            and shown[1] >= size[1]
            and (shown[0] == size[0] or shown[1] == size[1])
        )
    elif fit == "contain":
        assert 1 <= shown[0] <= size[0] and 1 <= shown[1] <= size[1]
        assert shown[0] == size[0] or shown[1] == size[1]
    else:
        assert shown == size
    if width * height < 50_000:
        placed = plan.place(np.full((height, width, 3), 7, np.uint8))
        assert placed.shape == (size[1], size[0], 3)
        if fit != "contain":
            assert (placed == 7).all()
        else:
            assert (placed == 7).sum() == 3 * width * height
