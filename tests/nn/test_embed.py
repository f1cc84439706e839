"""Sines and cosines of a ladder of periods, exactly."""

import math

import pytest
import torch

from cyclorama.nn.embed import fourier_features


def test_values_at_known_places():
    features = fourier_features(torch.tensor([[0.0], [0.25], [1.0]]).double(), [(1.0, 4.0, 2)])
    expected = [[0, 0, 1, 1], [1, math.sin(math.pi / 8), 0, math.cos(math.pi / 8)], [0, 1, 1, 0]]
    torch.testing.assert_close(features, torch.tensor(expected).float(), atol=1e-6, rtol=0)


def test_each_axis_has_its_own_ladder():
    values = torch.tensor([[1.0, 5.0]]).double()
    both = fourier_features(values, [(0.5, 8.0, 3), (2.0, 32.0, 4)])
    assert both.shape == (1, 14)
    assert both.dtype == torch.float32
    alone = [
        fourier_features(values[:, :1], [(0.5, 8.0, 3)]),
        fourier_features(values[:, 1:], [(2.0, 32.0, 4)]),
    ]
    assert torch.equal(both, torch.cat(alone, dim=-1))


@pytest.mark.parametrize("value", [0.0, 0.1, 17.3])
def test_every_pair_lies_on_the_circle(value):
    features = fourier_features(torch.tensor([[value]]).double(), [(0.02, 4.0, 6)])[0]
    torch.testing.assert_close(features[:6] ** 2 + features[6:] ** 2, torch.ones(6))
