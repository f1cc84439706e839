"""Guidance: no guidance is the conditional velocity, and the interval is kept."""

import pytest
import torch

from cyclorama.diffusion.guidance import Guidance, guide


@pytest.fixture
def velocities():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("project", [True, False])
def test_scale_one_is_the_conditional_velocity(velocities, project):
    conditional, unconditional = velocities
    got = guide(conditional, unconditional, guidance=Guidance(1.0, project=project))
    torch.testing.assert_close(got, conditional)


def test_the_formula(velocities):
    conditional, unconditional = velocities
    got = guide(conditional, unconditional, guidance=Guidance(3.0, project=False))
    torch.testing.assert_close(got, 3 * conditional - 2 * unconditional)


def test_the_projection_takes_away_what_only_differs_in_size(velocities):
    conditional, other = velocities
    got = guide(conditional, -0.2 * conditional, guidance=Guidance(4.0))
    torch.testing.assert_close(got, conditional)
    # The scaled unconditional velocity is the nearest multiple: the rest is orthogonal to it.
    scaled = guide(conditional, other, guidance=Guidance(0.0))
    assert ((conditional - scaled) * other).sum().item() == pytest.approx(0, abs=1e-9)


def test_an_unconditional_velocity_of_zero_is_no_division_by_zero(velocities):
    got = guide(velocities[0], torch.zeros(5, 4).double(), guidance=Guidance(2.0))
    torch.testing.assert_close(got, 2 * velocities[0])


def test_the_interval():
    guidance = Guidance(2.0, start=0.2, stop=0.8)
    assert [guidance.acts_at(t) for t in (0.1, 0.2, 0.5, 0.8, 0.9)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert not Guidance(1.0).acts_at(0.5)
    assert Guidance(0.0).acts_at(0.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": -0.1}, "from 0 on, got -0.1"),
        ({"scale": float("nan")}, "from 0 on, got nan"),
        ({"scale": float("inf")}, "from 0 on, got inf"),
        ({"start": 0.6, "stop": 0.5}, "start <= stop"),
        ({"stop": 1.5}, "start <= stop"),
    ],
)
def test_what_cannot_be_is_an_error(wrong, message):
    with pytest.raises(ValueError, match=message):
        Guidance(**wrong)
