"""The straight path between data and noise, and what a network has to learn about it.

Time is stated here and nowhere else: **t = 0 is clean data, t = 1 is pure noise**. A point on the
path is ``x_t = (1 - t) x + t e`` and the velocity along it is ``v = dx_t/dt = e - x`` (rectified
flow: Liu et al. 2022, equation 1; Lipman et al. 2023 with sigma_min = 0, time reversed). Every
token carries a time of its own; a token at t = 0 is a condition and has no loss.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Below this time a clean prediction is not divided further when the loss turns it into a velocity:
# the division would blow up its error (Li and He 2025, "Back to basics", section 4.3, use 0.05).
TIME_FLOOR = 0.05


def interpolate(
    clean: Float[Tensor, "L P"], noise: Float[Tensor, "L P"], *, time: Float[Tensor, "L"]
) -> Float[Tensor, "L P"]:
    """Return x_t for each token's own time."""
    t = time[:, None]
    return (1 - t) * clean + t * noise


def velocity(clean: Tensor, noise: Tensor) -> Tensor:
    """Return v = e - x, which points from data to noise."""
    return noise - clean


def velocity_from_clean(
    noisy: Float[Tensor, "L P"],
    clean: Float[Tensor, "L P"],
    *,
    time: Float[Tensor, "L"],
    floor: float = TIME_FLOOR,
) -> Float[Tensor, "L P"]:
    """Return the velocity that a predicted clean token implies: (x_t - x) / max(t, floor).

    A sampler wants no floor (``floor=0``, t > 0): following a velocity that is too small leaves
    noise in the result, the more the finer the last steps are.
    """
    return (noisy - clean) / time.clamp(min=floor)[:, None]


def clean_from_velocity(
    noisy: Float[Tensor, "L P"], flow: Float[Tensor, "L P"], *, time: Float[Tensor, "L"]
) -> Float[Tensor, "L P"]:
    """Return the clean token that a velocity implies: x_t - t v."""
    return noisy - time[:, None] * flow


def velocity_loss(
    predicted_clean: Float[Tensor, "L P"],
    clean: Float[Tensor, "L P"],
    *,
    time: Float[Tensor, "L"],
) -> Float[Tensor, "L"]:
    """Return each token's squared velocity error, from predicted and true clean tokens.

    ``v_hat - v = (x - x_hat) / t``, so no noise enters. Tokens at t = 0 get loss 0.
    """
    error = (predicted_clean - clean) / time.clamp(min=TIME_FLOOR)[:, None]
    return error.square().mean(dim=-1) * (time > 0)


def standard_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return float32 noise; drawn on the generator's device so that a seed means one clip."""
    return torch.randn(shape, generator=generator, device=generator.device)
