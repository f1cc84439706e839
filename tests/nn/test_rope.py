"""Rotation by position: scores depend on differences, lengths do not change."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.nn.rope import axial_angles, rotate, split_head

PERIODS = {"max_period": (64.0, 8.0, 8.0), "min_period": (0.5, 0.5, 0.5)}


def scores(q, k, positions):
    angles = axial_angles(positions, head_size=q.shape[-1], **PERIODS)
    turned = [rotate(x, cos=angles.cos(), sin=angles.sin()) for x in (q, k)]
    return turned[0] @ turned[1].T


@given(st.integers(1, 64).map(lambda n: 2 * n), st.integers(1, 4))
def test_the_axes_share_a_head_in_even_parts(head_size, num_axes):
    parts = split_head(head_size, num_axes)
    assert sum(parts) == head_size
    assert all(part % 2 == 0 for part in parts)
    assert len(parts) == num_axes
    assert parts[0] == max(parts)


@given(st.tuples(*[st.floats(-50, 50)] * 3))
def test_scores_depend_on_differences_only(shift):
    torch.manual_seed(0)
    q, k = torch.randn(6, 32).double(), torch.randn(6, 32).double()
    positions = torch.rand(6, 3, dtype=torch.float64) * 4
    moved = positions + torch.tensor(shift, dtype=torch.float64)
    torch.testing.assert_close(scores(q, k, positions), scores(q, k, moved), atol=1e-3, rtol=1e-3)


def test_scores_do_depend_on_differences():
    torch.manual_seed(0)
    q = torch.randn(2, 32)
    positions = torch.zeros(2, 3, dtype=torch.float64)
    at_rest = scores(q, q, positions)
    for axis in range(3):
        moved = positions.clone()
        moved[1, axis] = 0.3
        assert not torch.allclose(scores(q, q, moved)[0, 1], at_rest[0, 1], atol=1e-2)


def test_rotation_keeps_length_and_rests_at_the_origin():
    torch.manual_seed(0)
    x = torch.randn(5, 32)
    angles = axial_angles(torch.randn(5, 3).double(), head_size=32, **PERIODS)
    turned = rotate(x, cos=angles.cos(), sin=angles.sin())
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    still = axial_angles(torch.zeros(5, 3).double(), head_size=32, **PERIODS)
    assert torch.equal(rotate(x, cos=still.cos(), sin=still.sin()), x)


def test_the_ladder_of_periods_has_the_ends_it_was_given():
    one_second = torch.tensor([[1.0]], dtype=torch.float64)
    angles = axial_angles(one_second, head_size=8, max_period=(64.0,), min_period=(0.5,))[0]
    periods = (2 * math.pi / angles).tolist()
    assert periods[0] == pytest.approx(0.5)
    assert periods[-1] == pytest.approx(64)
    ratios = [b / a for a, b in pairwise(periods)]
    assert ratios == pytest.approx([ratios[0]] * 3)


def test_an_odd_head_is_an_error():
    with pytest.raises(ValueError, match="even"):
        axial_angles(torch.zeros(1, 3).double(), head_size=7, **PERIODS)
