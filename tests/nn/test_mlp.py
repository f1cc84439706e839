"""The gated feed-forward layer against its formula."""

import pytest
import torch
import torch.nn.functional as F

from cyclorama.nn.mlp import SwiGLU, hidden_width


@pytest.mark.parametrize(("width", "hidden"), [(8, 64), (256, 704), (320, 832), (384, 1024)])
def test_hidden_widths(width, hidden):
    assert hidden_width(width) == hidden


def test_hidden_width_in_other_steps():
    assert hidden_width(96, 2.0, multiple=32) == 192


def test_it_is_the_formula():
    torch.manual_seed(0)
    layer, x = SwiGLU(8, hidden=12), torch.randn(3, 8)
    gate, up = layer.gate_up.weight[:12], layer.gate_up.weight[12:]
    torch.testing.assert_close(layer(x), (F.silu(x @ gate.T) * (x @ up.T)) @ layer.down.weight.T)
