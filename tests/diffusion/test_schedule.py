"""Times to train on and to visit: inside (0, 1), shifted, with fixed ends."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.diffusion.schedule import (
    REFERENCE_SHIFT,
    REFERENCE_TOKENS,
    sampling_times,
    shift_for,
    shift_time,
    training_times,
)

shifts = st.floats(1, 20)


@given(shifts)
def test_the_shift_keeps_the_ends_and_the_order(shift):
    time = torch.linspace(0, 1, 33, dtype=torch.float64)
    moved = shift_time(time, shift)
    assert moved[0] == 0
    assert moved[-1] == pytest.approx(1)
    assert (moved.diff() > 0).all()
    assert (moved >= time - 1e-12).all()


@given(shifts, shifts)
def test_two_shifts_are_one_by_their_product(first, second):
    time = torch.linspace(0, 1, 9, dtype=torch.float64)
    torch.testing.assert_close(
        shift_time(shift_time(time, first), second), shift_time(time, first * second)
    )


def test_the_shift_is_that_of_the_noise_to_signal_ratio():
    # t / (1 - t) grows by the factor; at one half it becomes s / (1 + s).
    assert shift_time(torch.tensor(0.5), 3.0).item() == pytest.approx(0.75)
    assert torch.equal(shift_time(torch.tensor([0.2, 0.7]), 1.0), torch.tensor([0.2, 0.7]))


@given(st.integers(1, 10**6))
def test_longer_clips_are_shifted_more_and_never_less_than_not(num_tokens):
    shift = shift_for(num_tokens)
    assert shift >= 1
    assert shift_for(4 * num_tokens) >= shift
    if shift > 1:
        assert shift_for(4 * num_tokens) == pytest.approx(2 * shift)


def test_the_reference_clip_has_the_reference_shift():
    assert shift_for(REFERENCE_TOKENS) == REFERENCE_SHIFT
    assert shift_for(REFERENCE_TOKENS, 2.5) == 2.5


@given(st.integers(0, 2**32), st.lists(shifts, min_size=1, max_size=64))
def test_training_times_lie_inside(seed, many):
    times = training_times(torch.tensor(many), torch.Generator().manual_seed(seed))
    assert times.shape == (len(many),)
    assert ((times > 0) & (times < 1)).all()


def test_training_times_follow_the_shift():
    plain, shifted = (
        training_times(torch.full((4000,), shift), torch.Generator().manual_seed(0))
        for shift in (1.0, 4.0)
    )
    assert plain.median() == pytest.approx(0.5, abs=0.03)
    assert shifted.median() == pytest.approx(0.8, abs=0.03)  # 4 * .5 / (1 + 3 * .5)
    for times in (plain, shifted):  # the uniform tenth keeps both ends alive
        assert (times < 0.02).any()
        assert (times > 0.98).any()


@given(st.integers(1, 60), shifts)
def test_sampling_times_fall_from_one_to_zero(num_steps, shift):
    times = sampling_times(num_steps, shift)
    assert len(times) == num_steps + 1
    assert times[0] == 1
    assert times[-1] == 0
    assert (times.diff() < 0).all()


def test_no_steps_are_an_error():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sampling_times(0, 1.0)
