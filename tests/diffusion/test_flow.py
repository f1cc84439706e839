"""The straight path between data and noise: its ends, its velocity and the way back."""

import pytest
import torch

from cyclorama.diffusion.flow import (
    TIME_FLOOR,
    clean_from_velocity,
    interpolate,
    standard_noise,
    velocity,
    velocity_from_clean,
    velocity_loss,
)


@pytest.fixture
def path():
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(6, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return clean, noise, torch.linspace(TIME_FLOOR, 1, 6, dtype=torch.float64)


def test_the_ends_of_the_path(path):
    clean, noise, _ = path
    assert torch.equal(interpolate(clean, noise, time=torch.zeros(6).double()), clean)
    assert torch.equal(interpolate(clean, noise, time=torch.ones(6).double()), noise)


def test_velocity_is_the_slope_of_the_path(path):
    clean, noise, time = path
    step = 1e-6
    slope = (
        interpolate(clean, noise, time=time + step) - interpolate(clean, noise, time=time)
    ) / step
    torch.testing.assert_close(slope, velocity(clean, noise), atol=1e-7, rtol=0)


def test_clean_and_velocity_are_each_others_inverse(path):
    clean, noise, time = path
    noisy = interpolate(clean, noise, time=time)
    flow = velocity(clean, noise)
    torch.testing.assert_close(clean_from_velocity(noisy, flow, time=time), clean)
    torch.testing.assert_close(velocity_from_clean(noisy, clean, time=time), flow)
    guess = clean + 0.3
    back = clean_from_velocity(noisy, velocity_from_clean(noisy, guess, time=time), time=time)
    torch.testing.assert_close(back, guess)


def test_below_the_floor_the_velocity_stays_bounded(path):
    clean, noise, _ = path
    time = torch.full((6,), TIME_FLOOR / 10).double()
    noisy = interpolate(clean, noise, time=time)
    flow = velocity_from_clean(noisy, clean + 1, time=time)
    torch.testing.assert_close(flow, (noisy - clean - 1) / TIME_FLOOR)
    exact = velocity_from_clean(noisy, clean + 1, time=time, floor=0.0)
    torch.testing.assert_close(exact, flow * 10)


def test_the_loss_is_the_squared_error_of_the_velocity(path):
    clean, noise, time = path
    guess = clean + torch.linspace(0, 1, 4).double()
    noisy = interpolate(clean, noise, time=time)
    error = velocity_from_clean(noisy, guess, time=time) - velocity(clean, noise)
    torch.testing.assert_close(velocity_loss(guess, clean, time=time), error.square().mean(dim=1))


def test_clean_tokens_have_no_loss():
    clean = torch.zeros(3, 2)
    losses = velocity_loss(clean + 1, clean, time=torch.tensor([0.0, 0.5, 1.0]))
    assert losses.tolist() == [0, 4, 1]


def test_a_seed_means_one_noise():
    one, same, other = (
        standard_noise((500, 4), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.dtype == torch.float32
    assert abs(one.mean()) < 0.1
    assert abs(one.std() - 1) < 0.1
