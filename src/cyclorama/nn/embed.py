"""Smooth features of real numbers: sines and cosines of a geometric ladder of periods."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def fourier_features(
    values_LA: Float[Tensor, "L A"], ladders: Sequence[tuple[float, float, int]]
) -> Float[Tensor, "L features"]:
    """Return sines and cosines of each value (Tancik et al. 2020, section 6, axis-aligned).

    Args:
        values_LA: float64 values, one column an axis.
        ladders: for each axis the shortest period, the longest, and how many.
    """
    features = []
    for axis, (shortest, longest, count) in enumerate(ladders):
        exponents = torch.linspace(0, 1, count, dtype=torch.float64, device=values_LA.device)
        periods = shortest * (longest / shortest) ** exponents
        angles = values_LA[:, axis, None].double() * (2 * torch.pi / periods)
        features += [angles.sin(), angles.cos()]
    return torch.cat(features, dim=-1).float()
