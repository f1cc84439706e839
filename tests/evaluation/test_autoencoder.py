"""The floor's measures: components are the linear autoencoder, figures are means of clips."""

import math

import numpy as np
import pytest
import torch

from cyclorama.data.sample import Sample
from cyclorama.evaluation.autoencoder import (
    lose,
    summarise,
    through_autoencoder,
    through_components,
)
from cyclorama.models.autoencoder import (
    AUTOENCODERS,
    Autoencoder,
    cut_bricks,
    principal_components,
)
from cyclorama.training.autoencoding import to_model_range

TINY = AUTOENCODERS["tiny"]


def samples(count: int, *, seed: int = 0) -> list[Sample]:
    """Return clips of a bright block that drifts over smooth noise, with its ids."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        soft = np.kron(rng.integers(60, 160, (5, 4, 4, 3)), np.ones((1, 8, 8, 1)))
        frames, ids = soft.astype(np.uint8), np.zeros((5, 32, 32), np.uint8)
        for t in range(5):
            frames[t, 10:18, 2 + 3 * t : 10 + 3 * t] = (240, 40, 40)
            ids[t, 10:18, 2 + 3 * t : 10 + 3 * t] = 1
        found.append(Sample(f"clip {number}", frames, 8.0, {"short": "a block"}, weight_map=ids))
    return found


def test_an_untrained_autoencoder_started_from_components_equals_them():
    clips = samples(6)
    model = Autoencoder(TINY).eval()
    for part in ("first", "rest"):
        bricks = [
            cut_bricks(
                to_model_range(torch.from_numpy(s.frames)[None], torch.float32),
                TINY.compression,
                begins=True,
            )[part].flatten(0, 2)
            for s in clips
        ]
        mean, basis = principal_components(torch.cat(bricks), TINY.channels)
        model.start_from_components(part, mean=mean, basis=basis)
    by_components = through_components(clips, TINY.compression)
    held_out = np.stack([s.frames for s in samples(2, seed=1)])
    by_model = through_autoencoder(model)(held_out)
    difference = by_components(held_out).astype(int) - by_model
    assert np.abs(difference).max() <= 1  # rounding
    assert (difference == 0).mean() > 0.999


def test_components_rebuild_what_lies_in_their_span():
    frames = np.zeros((5, 32, 32, 3), np.uint8)
    flat = [Sample(str(level), frames + np.uint8(level), 8.0) for level in (0, 40, 90, 200, 255)]
    rebuild = through_components(flat, TINY.compression)
    unseen = frames[None] + np.uint8(123)
    np.testing.assert_array_equal(rebuild(unseen), unseen)


def test_losses_and_their_summary():
    clips = samples(2)
    exact = lose(clips[0], clips[0].frames, by_components=255 - clips[0].frames)
    assert exact.psnr_db == float("inf")
    assert exact.ssim == pytest.approx(1)
    assert [m.error_px for m in exact.movers] == [0]
    shifted = np.roll(clips[1].frames, 1, axis=2)
    other = lose(clips[1], shifted, by_components=clips[1].frames)
    assert other.movers[0].error_px == pytest.approx(1, abs=0.2)
    finite = lose(clips[0], clips[0].frames ^ 8, by_components=clips[0].frames ^ 16)
    summary = summarise([finite, other])
    assert summary["psnr_db"] == pytest.approx((finite.psnr_db + other.psnr_db) / 2)
    assert finite.psnr_db == pytest.approx(20 * np.log10(255 / 8))
    assert finite.pca_psnr_db == pytest.approx(20 * np.log10(255 / 16))
    assert summary["worst_psnr_db"] == min(finite.psnr_db, other.psnr_db)
    assert summary["num_movers"] == 2


def test_without_movers_there_is_no_centroid_error():
    still = Sample("still", samples(1)[0].frames, 8.0)
    summary = summarise([lose(still, still.frames ^ 8, by_components=still.frames ^ 8)])
    assert math.isnan(summary["centroid_error_px"])
    assert summary["psnr_db_over_pca"] == 0
