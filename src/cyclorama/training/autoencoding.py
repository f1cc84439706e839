"""The autoencoder's loss: pixels, their change in time, and a latent that bears noise.

* Charbonnier error on pixels (a smooth absolute value: quadratic below ``CHARBONNIER_EPS``),
  where pixels of objects weigh more, since they are few and they are what moves.
* The same on the change from frame to frame.
* In half of the clips, noise is added to the latents before decoding (after l-DeTok,
  arXiv 2507.15856): the decoder learns to bear a generator's errors, and the encoder cannot hide
  information in digits too small to generate. A small penalty keeps it from shouting instead.

No perceptual network and no discriminator: the first would be a download.
"""

import torch
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.data.loader import ClipBatch

CHARBONNIER_EPS = 0.05  # on pixels in [-1, 1]; 30 dB is an error of 0.063


class AutoencodingConfig(Config):
    """Weights of the loss's terms."""

    object_weight: float = 3.0
    change_weight: float = 0.25
    latent_noise: float = 0.1
    latent_penalty: float = 1e-5


def to_model_range(frames: Tensor, dtype: torch.dtype) -> Tensor:
    """Map uint8 pixels to [-1, 1]."""
    return (frames.float() / 127.5 - 1).to(dtype)


def charbonnier(error: Tensor) -> Tensor:
    """Return sqrt(e^2 + eps^2) - eps."""
    return (error.square() + CHARBONNIER_EPS**2).sqrt() - CHARBONNIER_EPS


def autoencoding_loss(
    model: nn.Module, batch: ClipBatch, *, generator: torch.Generator, config: AutoencodingConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of one batch, and PSNR in dB of the clips without latent noise."""
    device = next(model.parameters()).device
    dtype = next(model.parameters()).dtype
    video = to_model_range(torch.from_numpy(batch.frames).to(device), dtype)
    weight = 1 + config.object_weight * (torch.from_numpy(batch.object_ids).to(device) > 0)
    num_clean = len(video) - len(video) // 2
    level = config.latent_noise * (torch.arange(len(video)) >= num_clean).to(device)
    latents = model.encode(video)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    noisy = latents + noise * level.view(-1, 1, 1, 1, 1).to(latents.dtype)
    decoded = model.decode(noisy)
    error = (decoded - video).float()
    weight = (weight / weight.mean())[..., None]
    loss = (charbonnier(error) * weight).mean()
    if video.shape[1] > 1:
        change = error[:, 1:] - error[:, :-1]
        loss = loss + config.change_weight * charbonnier(change).mean()
    loss = loss + config.latent_penalty * latents.float().square().mean()
    with torch.no_grad():
        mse = error[:num_clean].square().mean(dim=(1, 2, 3, 4)) / 4  # on a range of one
        psnr_db = (-10 * mse.clamp(min=1e-10).log10()).mean().item()
    return loss, {"psnr_db": psnr_db}
