"""Stems: any grid of tokens, alone = in company, every weight learns."""

import pytest
import torch

from cyclorama.nn.mel import LEAD
from cyclorama.nn.stems import FrameStem, SoundStem, grid_places
from cyclorama.shapes import SOUND_RATE_HZ, TokenGrid

CLOSE = {"rtol": 1e-4, "atol": 2e-5}  # float32, added up in another order


@pytest.fixture(scope="module")
def stems(shaken):
    torch.manual_seed(0)
    return shaken(FrameStem(64, 64)), shaken(SoundStem(64, 64))


def frames(num, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num, height, width, 3), generator=generator, dtype=torch.uint8)


def sound(num, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, LEAD + SOUND_RATE_HZ, generator=generator) * 0.1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80), (16, 256), (16, 16)])
@torch.no_grad()
def test_a_frame_is_one_token_a_square_and_alone_as_in_company(stems, height, width):
    clip = frames(5, height, width)
    together = stems[0](clip)
    assert together.shape == (5, height * width // 256, 64)
    torch.testing.assert_close(stems[0](clip[3:4]), together[3:4], **CLOSE)
    assert (together[0] - together[1]).abs().max() > 0.1


@torch.no_grad()
def test_a_second_is_25_tokens_and_alone_as_in_company(stems):
    blocks = sound(3)
    together = stems[1](blocks)
    assert together.shape == (3, 25, 64)
    torch.testing.assert_close(stems[1](blocks[1:2]), together[1:2], **CLOSE)


@torch.no_grad()
def test_what_stands_where_makes_a_difference(stems):
    picture = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    tokens = stems[0](picture)[0]
    assert (tokens[5] - tokens[6]).abs().max() > 1e-3  # inner squares of one black picture
    silent = stems[1](torch.zeros(1, LEAD + SOUND_RATE_HZ))[0]
    assert (silent[11] - silent[12]).abs().max() > 1e-3


def test_places_are_centred_and_know_the_aspect():
    square, wide = grid_places(TokenGrid(1, 4, 4)), grid_places(TokenGrid(1, 3, 5))
    torch.testing.assert_close(square.mean(dim=0), torch.zeros(2, dtype=torch.float64))
    assert square.amax().item() == 0.75
    assert wide[:, 1].amax() > 0.75 > wide[:, 0].amax()


@pytest.mark.parametrize("which", [0, 1])
def test_every_weight_learns(which):
    torch.manual_seed(0)
    stem = (FrameStem, SoundStem)[which](64, 64)
    out = stem((frames(2, 48, 64), sound(2))[which])
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in stem.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.norm() > 0, name


def test_frames_that_are_not_of_whole_tokens_are_refused(stems):
    with pytest.raises(ValueError, match="50x64 are not of whole tokens"):
        stems[0](frames(1, 50, 64))
