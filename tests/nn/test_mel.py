"""Log-mel frames: a tone lights its own triangle, and blocks have the frames of the whole."""

import math

import pytest
import torch

from cyclorama.nn.mel import (
    FFT,
    FRAMES_IN_BLOCK,
    HOP,
    LEAD,
    NUM_MELS,
    log_mel,
    mel_filters,
)
from cyclorama.shapes import SOUND_RATE_HZ


def tone(hz, *, loud=0.5):
    at = torch.arange(LEAD + SOUND_RATE_HZ) / SOUND_RATE_HZ
    return (loud * torch.sin(2 * math.pi * hz * at))[None]


def mel_of(hz):
    return 2595 * math.log10(1 + hz / 700)


def test_every_triangle_has_weight_and_they_overlap_to_one():
    filters = mel_filters()
    assert filters.shape == (FFT // 2 + 1, NUM_MELS)
    assert filters.sum(dim=0).min() > 0.5
    hz = torch.linspace(0, SOUND_RATE_HZ / 2, FFT // 2 + 1)
    inside = (hz > 200) & (hz < 7000)  # neighbours cross: together they weigh each frequency once
    torch.testing.assert_close(filters.sum(dim=1)[inside], torch.ones(int(inside.sum())))


@pytest.mark.parametrize("hz", [180.0, 440.0, 1000.0, 3000.0, 6500.0])
def test_a_tone_lights_the_triangle_that_the_formula_names(hz):
    mels = log_mel(tone(hz))
    assert mels.shape == (1, NUM_MELS, FRAMES_IN_BLOCK)
    low, high = mel_of(40.0), mel_of(7600.0)
    wanted = (mel_of(hz) - low) / (high - low) * (NUM_MELS + 1) - 1
    assert abs(mels.mean(dim=2).argmax().item() - wanted) <= 1


def test_ten_times_as_loud_is_two_powers_of_ten_more():
    quiet, loud = (log_mel(tone(1000.0, loud=x)).amax(dim=1) for x in (0.05, 0.5))
    torch.testing.assert_close((loud - quiet) * 3, torch.full_like(loud, 2.0), rtol=1e-3, atol=1e-3)


def test_blocks_have_the_frames_of_the_whole_sound():
    sound = torch.randn(LEAD + 3 * SOUND_RATE_HZ, generator=torch.Generator().manual_seed(0)) * 0.1
    blocks = sound.unfold(0, LEAD + SOUND_RATE_HZ, SOUND_RATE_HZ)
    assert len(blocks) == 3
    spectrum = torch.stft(
        sound,
        FFT,
        hop_length=HOP,
        win_length=400,
        window=torch.hann_window(400),
        center=False,
        return_complex=True,
    )
    whole = (mel_filters().T @ spectrum.abs().square()).clamp(min=1e-6).log10()
    parts = log_mel(blocks).transpose(0, 1).flatten(1)
    torch.testing.assert_close(parts * 3 - 2, whole, rtol=1e-4, atol=1e-4)


def test_a_block_of_another_length_is_refused():
    with pytest.raises(ValueError, match="352 samples of the second before and 16000"):
        log_mel(torch.zeros(1, SOUND_RATE_HZ))
