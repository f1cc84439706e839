"""The autoencoder's loss on codes whose error is known."""

import math

import numpy as np
import pytest
import torch

from cyclorama.data.loader import ClipBatch
from cyclorama.models.autoencoder import Autoencoder, AutoencoderConfig
from cyclorama.training.autoencoding import (
    CHARBONNIER_EPS,
    AutoencodingConfig,
    autoencoding_loss,
    charbonnier,
    to_model_range,
)

QUIET = AutoencodingConfig(latent_noise=0.0, latent_penalty=0.0)


@pytest.fixture
def lossless():
    """Return an autoencoder with as many channels as numbers: its code is the identity."""
    torch.manual_seed(0)
    model = Autoencoder(
        AutoencoderConfig(
            space=2,
            time=1,
            channels=12,
            encoder_width=16,
            encoder_depth=1,
            decoder_width=16,
            decoder_depth=1,
            head_size=16,
        )
    )
    for part in ("first", "rest"):
        model.start_from_components(part, mean=torch.zeros(12), basis=torch.eye(12))
    return model


def batch(num_clips=2, num_frames=3):
    draw = np.random.default_rng(0)
    frames = draw.integers(0, 256, (num_clips, num_frames, 8, 8, 3), dtype=np.uint8)
    ids = np.zeros(frames.shape[:4], np.uint8)
    ids[:, :, 2:4, 2:6] = 1
    return ClipBatch(frames, ids, np.arange(num_clips))


def measure(model, clips, config=QUIET, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return autoencoding_loss(model, clips, generator=generator, config=config)


def test_pixels_to_the_models_range():
    values = to_model_range(torch.tensor([0, 51, 255], dtype=torch.uint8), torch.float32)
    torch.testing.assert_close(values, torch.tensor([-1.0, -0.6, 1.0]))


def test_charbonnier_is_square_below_and_absolute_above():
    error = torch.tensor([0.0, 1e-3, 3.0], dtype=torch.float64)
    zero, small, large = charbonnier(error).tolist()
    assert zero == 0
    assert small == pytest.approx(1e-6 / (2 * CHARBONNIER_EPS), rel=1e-3)
    assert large == pytest.approx(3 - CHARBONNIER_EPS, rel=1e-3)


@torch.no_grad()
def test_a_perfect_code_has_no_loss(lossless):
    loss, metrics = measure(lossless, batch())
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert metrics["psnr_db"] > 90


@torch.no_grad()
def test_a_known_error_has_its_loss_and_its_psnr(lossless):
    for part in ("first", "rest"):
        getattr(lossless.linear_to_pixels, part).bias.fill_(0.2)  # a tenth of the range
    loss, metrics = measure(lossless, batch())
    assert metrics["psnr_db"] == pytest.approx(20, abs=1e-3)
    # The same in all frames: nothing in the change from frame to frame.
    assert loss.item() == pytest.approx(math.hypot(0.2, CHARBONNIER_EPS) - CHARBONNIER_EPS, 1e-4)


@torch.no_grad()
def test_an_error_in_one_frame_is_an_error_of_change_too(lossless):
    lossless.linear_to_pixels.first.bias.fill_(0.2)
    config = QUIET.model_copy(update={"change_weight": 2.0, "object_weight": 0.0})
    loss, _ = measure(lossless, batch(num_frames=4), config)
    error = math.hypot(0.2, CHARBONNIER_EPS) - CHARBONNIER_EPS
    assert loss.item() == pytest.approx(error / 4 + 2 * error / 3, rel=1e-4)
    image, _ = measure(lossless, batch(num_frames=1), config)
    assert image.item() == pytest.approx(error, rel=1e-4)


@torch.no_grad()
def test_errors_on_objects_weigh_more(lossless):
    lossless.linear_to_pixels.first.bias[:3] = 0.5  # the upper left pixel of every brick
    clips = batch(num_frames=1)

    def weighted(where):
        ids = np.zeros_like(clips.object_ids)
        ids[:, :, where::2, where::2] = 1
        config = QUIET.model_copy(update={"object_weight": 3.0})
        return measure(lossless, ClipBatch(clips.frames, ids, clips.items), config)[0].item()

    # A quarter of the pixels weighs 4, the others 1; all weights sum to their number.
    assert weighted(0) == pytest.approx(4 * weighted(1), rel=1e-4)


@torch.no_grad()
def test_noise_falls_on_the_second_half_of_the_clips_only(lossless):
    noisy = QUIET.model_copy(update={"latent_noise": 0.5})
    loss, metrics = measure(lossless, batch(num_clips=3), noisy)
    assert metrics["psnr_db"] > 90  # of the clips without noise
    assert loss.item() > 0.01
    assert measure(lossless, batch(num_clips=3), noisy, seed=1)[0] != loss
    assert measure(lossless, batch(num_clips=3), noisy, seed=0)[0] == loss
    assert measure(lossless, batch(num_clips=1), noisy)[0].item() == pytest.approx(0, abs=1e-6)


@torch.no_grad()
def test_loud_latents_are_penalised(lossless):
    config = QUIET.model_copy(update={"latent_penalty": 0.5})
    clips = batch()
    loss, _ = measure(lossless, clips, config)
    size = to_model_range(torch.from_numpy(clips.frames), torch.float32).square().mean()
    assert loss.item() == pytest.approx(0.5 * size.item(), rel=1e-4)
