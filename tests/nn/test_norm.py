"""Root-mean-square normalisation against its formula, in every dtype."""

import pytest
import torch

from cyclorama.nn.norm import RMSNorm


def test_it_is_the_formula():
    torch.manual_seed(0)
    norm = RMSNorm(8)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(3, 5, 8)
    expected = x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt() * norm.weight
    torch.testing.assert_close(norm(x), expected)


def test_the_size_of_the_input_does_not_matter():
    torch.manual_seed(0)
    norm, x = RMSNorm(8), torch.randn(4, 8)
    torch.testing.assert_close(norm(1000 * x), norm(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_of_the_input_stays(dtype):
    assert RMSNorm(8)(torch.ones(2, 8, dtype=dtype)).dtype == dtype


def test_without_gain_there_is_nothing_to_learn():
    assert list(RMSNorm(8, gain=False).parameters()) == []
