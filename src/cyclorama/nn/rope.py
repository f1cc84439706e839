"""Rotary position embedding along several axes at once.

Each head's dimensions are split among the axes (time, row, column); within an axis, pair ``i`` of
dimensions turns by ``position * frequency_i``, so that attention depends on differences of
position only (Su et al. 2021, equation 34). Positions are real numbers in whatever unit the caller
chooses: seconds and centred spatial units in the generator, so that a size or a rate never seen
falls between those that were. Positions and angles are multiplied in float64; the angle is then
rounded to float32, which is exact to 0.01 up to some 10^5 radians (two hours, in seconds).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def split_head(head_size: int, num_axes: int = 3) -> tuple[int, ...]:
    """Return even numbers of dimensions per axis; the first axis (time) takes the remainder."""
    each = head_size // num_axes // 2 * 2
    return (head_size - each * (num_axes - 1), *([each] * (num_axes - 1)))


def axial_angles(
    positions_LA: Float[Tensor, "*any L A"],
    *,
    head_size: int,
    max_period: tuple[float, ...],
    min_period: tuple[float, ...],
) -> Float[Tensor, "*any L half"]:
    """Return the angle of every pair of dimensions for every position.

    Args:
        positions_LA: float64 positions of L tokens along A axes.
        head_size: dimensions of one head; must be even.
        max_period: per axis, the period of the slowest pair, in the axis's unit.
        min_period: per axis, the period of the fastest pair, in the axis's unit.
    """
    if head_size % 2:
        raise ValueError(f"head_size must be even for rotary pairs, got {head_size}")
    parts = split_head(head_size, positions_LA.shape[-1])
    angles = []
    for axis, part in enumerate(parts):
        fast, slow = min_period[axis], max_period[axis]
        exponents = torch.linspace(0, 1, part // 2, dtype=torch.float64, device=positions_LA.device)
        periods = fast * (slow / fast) ** exponents
        angles.append(positions_LA[..., axis, None].double() * (2 * torch.pi / periods))
    return torch.cat(angles, dim=-1).float()


def rotate(
    x: Float[Tensor, "*any K"],
    *,
    cos: Float[Tensor, "*#any half"],
    sin: Float[Tensor, "*#any half"],
) -> Float[Tensor, "*any K"]:
    """Turn each pair ``(x_i, x_{i + K/2})`` by its angle; cos and sin broadcast over heads."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
