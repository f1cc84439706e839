"""Root-mean-square normalisation, safe in every compute dtype.

``y = x / sqrt(mean(x^2) + eps) * g`` (Zhang and Sennrich 2019, equation 4). Only the gain is
learned. The gain is cast to the input's dtype first: mixing a float32 gain with bfloat16 input
drops off torch's fused path.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Normalise the last dimension to unit root mean square, times a learned gain."""

    def __init__(self, width: int, *, gain: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        self.width, self.eps = width, eps
        self.weight = nn.Parameter(torch.ones(width)) if gain else None

    def forward(self, x: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        """Return ``x`` with unit root mean square, times the gain, in the dtype of ``x``."""
        weight = None if self.weight is None else self.weight.to(x.dtype)
        return F.rms_norm(x, (self.width,), weight, self.eps)
