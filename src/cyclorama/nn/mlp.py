"""The gated feed-forward layer SwiGLU (Shazeer 2020, equation 6), without biases."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def hidden_width(width: int, ratio: float = 8 / 3, *, multiple: int = 64) -> int:
    """Return the hidden width nearest to ``ratio * width`` that is a multiple of ``multiple``.

    8/3 gives SwiGLU's three matrices the parameters of the classic two with ratio four.
    """
    return max(multiple, round(width * ratio / multiple) * multiple)


class SwiGLU(nn.Module):
    """``W_down(silu(W_gate x) * W_up x)``; gate and up are one product for speed."""

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or hidden_width(width)
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        """Return the layer's output, token by token."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)
