"""Samplers on fields whose integral is known: exact where they must be, of the order they claim."""

import math
from itertools import pairwise

import pytest
import torch

from cyclorama.diffusion.samplers import SAMPLERS
from cyclorama.diffusion.schedule import sampling_times

START = torch.tensor([1.0, -2.0], dtype=torch.float64)
ORDERS = {"euler": 1, "heun": 2, "multistep": 2}


def times(num_steps, shift=1.0):
    return sampling_times(num_steps, shift).double()


def curved(x, t):
    """Return dx/dt = -x + cos(3 t), whose solution is `curved_end`."""
    return -x + math.cos(3 * t)


def curved_end(x_1):
    """Solve the field of `curved` from t = 1 to t = 0 by hand."""

    def particular(t):
        return (math.cos(3 * t) + 3 * math.sin(3 * t)) / 10

    return (x_1 - particular(1)) * math.e + particular(0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_an_order_to_hold(name):
    assert name in ORDERS


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_order_of_convergence(name, shift):
    errors = [
        (SAMPLERS[name](curved, START, times=times(n, shift)) - curved_end(START)).abs().max()
        for n in (64, 128, 256)
    ]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(ORDERS[name], abs=0.15)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_a_straight_path_is_followed_exactly(name, num_steps):
    clean = torch.tensor([0.3, 5.0], dtype=torch.float64)
    end = SAMPLERS[name](lambda x, t: (x - clean) / t, START, times=times(num_steps, 2.0))
    torch.testing.assert_close(end, clean)


def test_multistep_extrapolates_the_velocity_linearly():
    # On dx/dt = t only the first step, Euler's from t = 1 to 1 - h, is wrong: by h * h / 2.
    unequal = torch.tensor([1.0, 0.7, 0.6, 0.25, 0.0], dtype=torch.float64)
    end = SAMPLERS["multistep"](torch.full_like, START, times=unequal)
    torch.testing.assert_close(end, START - 0.5 - 0.3**2 / 2)


def test_heun_never_looks_at_time_zero():
    seen = []

    def field(x, t):
        seen.append(t)
        return x

    SAMPLERS["heun"](field, START, times=times(4))
    assert len(seen) == 7  # two a step, one in the last
    assert min(seen) > 0


@pytest.mark.parametrize("name", ["euler", "multistep"])
def test_one_evaluation_a_step(name):
    seen = []

    def field(x, t):
        seen.append(t)
        return x

    SAMPLERS[name](field, START, times=times(4))
    assert seen == times(4)[:-1].tolist()


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_step_is_shown(name):
    shown = []
    end = SAMPLERS[name](
        curved, START, times=times(5), on_step=lambda number, x, t: shown.append((number, x, t))
    )
    assert [number for number, _, _ in shown] == list(range(5))
    assert [t for _, _, t in shown] == times(5)[1:].tolist()
    assert torch.equal(shown[-1][1], end)
