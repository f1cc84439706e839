"""Sound as pictures of loudness: log-mel frames of one-second blocks.

Every 10 ms a window of 25 ms is weighed by a Hann curve and transformed; the power in 64 triangles,
evenly spaced on the mel scale, is summed and its logarithm taken (Davis and Mermelstein 1980,
section II; mel = 2595 log10(1 + f / 700), O'Shaughnessy 1987). A block is one second of samples
behind the last 22 ms of the second before it, so that the frames of blocks are those of the whole
sound, wherever a reading was cut. No mean is taken over the sound: a stream has no end to wait for.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from cyclorama.shapes import SOUND_RATE_HZ

NUM_MELS, WINDOW, HOP, FFT = 64, 400, 160, 512
LEAD = FFT - HOP  # samples of the second before that a block begins with
FRAMES_IN_BLOCK = SOUND_RATE_HZ // HOP
LOWEST_HZ, HIGHEST_HZ = 40.0, 7600.0
_FLOOR, _MIDDLE, _SPREAD = 1e-6, 3.0, 3.0  # powers of ten: speech lies near -3, most within 3


@lru_cache(maxsize=1)
def mel_filters() -> Float[Tensor, "bins mels"]:
    """Return the weights of each of 257 frequencies in each of 64 triangles of peak one."""
    hz = torch.linspace(0, SOUND_RATE_HZ / 2, FFT // 2 + 1, dtype=torch.float64)
    ends = torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)
    low, high = (2595 * torch.log10(1 + ends / 700)).tolist()
    mels = torch.linspace(low, high, NUM_MELS + 2, dtype=torch.float64)
    corners = 700 * (10 ** (mels / 2595) - 1)
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (hz[:, None] - left) / (peak - left)
    falling = (right - hz[:, None]) / (right - peak)
    return torch.minimum(rising, falling).clamp(min=0).float()


def log_mel(blocks_BS: Float[Tensor, "B S"]) -> Float[Tensor, "B mels frames"]:
    """Return 64 x 100 log powers of each block of 16,352 samples in [-1, 1], float32, near [-1, 1].

    ValueError for blocks of another length.
    """
    if blocks_BS.shape[1] != LEAD + SOUND_RATE_HZ:
        raise ValueError(
            f"a block has {LEAD} samples of the second before and {SOUND_RATE_HZ} of its own at "
            f"{SOUND_RATE_HZ} Hz, got {blocks_BS.shape[1]}"
        )
    window = torch.hann_window(WINDOW, device=blocks_BS.device)
    spectrum = torch.stft(
        blocks_BS.float(),
        FFT,
        hop_length=HOP,
        win_length=WINDOW,
        window=window,
        center=False,
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    mels = mel_filters().to(power.device).T @ power
    return (mels.clamp(min=_FLOOR).log10() + _MIDDLE - 1) / _SPREAD
