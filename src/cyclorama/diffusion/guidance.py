"""Classifier-free guidance: steer away from what the model would do without the prompt.

``v = v_u + w (v_c - v_u)`` (Ho and Salimans 2022, equation 6), with two refinements: guidance
acts only in an interval of times (Kynkaanniemi et al. 2024), and the unconditional velocity is
first scaled by its projection on the conditional one, "zero-star" (Fan et al. 2025,
arXiv 2503.18886, equation 8).
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Guidance:
    """How strongly to follow the prompt, and when.

    A ``scale`` of one is no guidance at all and costs no second evaluation.
    """

    scale: float = 2.5
    start: float = 0.1  # times below are left alone: details need no push
    stop: float = 1.0
    project: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.scale < math.inf:
            raise ValueError(f"guidance must be a number from 0 on, got {self.scale}")
        if not 0 <= self.start <= self.stop <= 1:
            raise ValueError(f"need 0 <= start <= stop <= 1, got {self.start}, {self.stop}")

    def acts_at(self, time: float) -> bool:
        """Whether the unconditional velocity is needed at this time."""
        return self.scale != 1 and self.start <= time <= self.stop


def guide(conditional: Tensor, unconditional: Tensor, *, guidance: Guidance) -> Tensor:
    """Combine two velocities of one clip."""
    if guidance.project:
        dot = (conditional * unconditional).sum()
        unconditional = unconditional * (dot / unconditional.square().sum().clamp(min=1e-8))
    return unconditional + guidance.scale * (conditional - unconditional)
