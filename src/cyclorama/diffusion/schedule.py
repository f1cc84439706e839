"""Which times to train on, and which times to visit when sampling.

Training times are logit-normal (Esser et al. 2024, equation 19) and then *shifted*: a longer clip
has more redundant tokens, needs more noise to hide, and so its times move towards one by
``t -> s t / (1 + (s - 1) t)`` with ``s`` growing as the square root of the number of tokens
(ibid., equation 23). A tenth is drawn uniformly, which keeps both ends of the path alive.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

REFERENCE_TOKENS = 80  # 17 frames of 64 x 64 pixels in tokens of 16 x 16 pixels
REFERENCE_SHIFT = 1.5
UNIFORM_SHARE = 0.1


def shift_for(num_tokens: int, reference_shift: float = REFERENCE_SHIFT) -> float:
    """Return the shift of a clip of ``num_tokens``; never below one."""
    return max(1.0, reference_shift * math.sqrt(num_tokens / REFERENCE_TOKENS))


def shift_time(time: Tensor, shift: float | Tensor) -> Tensor:
    """Move times towards noise; 0 and 1 stay where they are."""
    return shift * time / (1 + (shift - 1) * time)


def training_times(shifts: Float[Tensor, "B"], generator: torch.Generator) -> Float[Tensor, "B"]:
    """Draw one training time in (0, 1) for each of B shifts."""
    normal = torch.randn(len(shifts), generator=generator)
    uniform = torch.rand(len(shifts), generator=generator).clamp(1e-3, 1 - 1e-3)
    pick_uniform = torch.rand(len(shifts), generator=generator) < UNIFORM_SHARE
    return torch.where(pick_uniform, uniform, shift_time(torch.sigmoid(normal), shifts))


def sampling_times(num_steps: int, shift: float) -> Float[Tensor, "steps"]:
    """Return ``num_steps + 1`` falling times from one to zero, shifted like the training's."""
    if num_steps < 1:
        raise ValueError(f"steps must be at least 1, got {num_steps}")
    return shift_time(torch.linspace(1, 0, num_steps + 1, dtype=torch.float64), shift).float()
