"""The autoencoder's recipe: from clips to a weight file, starting at the best linear code."""

import numpy as np
import pytest
import torch

from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder, cut_bricks
from cyclorama.recipes.autoencoder import (
    AutoencoderRun,
    encode_uint8,
    measure_latents,
    run,
    start_from_clips,
)
from cyclorama.record import read_jsonl
from cyclorama.shapes import VideoShape
from cyclorama.training.autoencoding import to_model_range
from cyclorama.training.loop import LoopConfig
from cyclorama.weights.files import load_weights

CONFIG = AutoencoderRun(
    model=AUTOENCODERS["tiny"],
    budget_pixels=4 * 9 * 32 * 32,
    loop=LoopConfig(num_steps=6, log_every=1, checkpoint_every_s=0.0),
)


def train(config, source, directory):
    return run(config, source, directory=directory, report=lambda line: None, compiled=False)


def test_it_makes_a_weight_file_that_knows_its_run(tmp_path, squares):
    opened = load_weights(train(CONFIG, squares(12), tmp_path), kind="autoencoder")
    assert opened.facts["recipe"] == "autoencoder"
    assert AutoencoderRun.from_json(opened.facts["run"]) == CONFIG
    rows = read_jsonl(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["psnr_db"] > 15  # it begins at the principal components


def test_training_adds_to_the_linear_code(tmp_path, squares):
    loop = CONFIG.loop.model_copy(update={"num_steps": 40})
    train(CONFIG.model_copy(update={"loop": loop}), squares(6, (VideoShape(5, 32, 32),)), tmp_path)
    rows = read_jsonl(tmp_path / "metrics.jsonl")
    first, last = (np.mean([row["loss"] for row in part]) for part in (rows[:4], rows[-4:]))
    assert last < 0.9 * first


def test_stopped_and_started_again_it_is_the_same_file(tmp_path, squares):
    class Stopping(squares):
        def __getitem__(self, index):
            Stopping.left -= 1
            if not Stopping.left:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    whole = train(CONFIG, squares(12), tmp_path / "whole")
    Stopping.left = 12 + 60  # twelve for the components, then in the middle of a batch
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, Stopping(12), tmp_path / "cut")
    steps = len(read_jsonl(tmp_path / "cut" / "metrics.jsonl"))
    assert 0 < steps < 6
    assert train(CONFIG, squares(12), tmp_path / "cut").read_bytes() == whole.read_bytes()


@torch.no_grad()
def test_the_start_is_as_good_as_principal_components_can_be(squares):
    source = squares(12)
    model = Autoencoder(AUTOENCODERS["tiny"])
    start_from_clips(model, source)
    kept, all_of_it = 0.0, 0.0
    for part in ("first", "rest"):
        bricks = torch.cat(
            [
                found[part].flatten(0, 2)
                for index in range(12)
                if part
                in (
                    found := cut_bricks(
                        to_model_range(torch.from_numpy(source[index].frames), torch.float32)[None],
                        model.compression,
                        begins=True,
                    )
                )
            ]
        ).double()
        spectrum = torch.linalg.eigvalsh(torch.cov(bricks.T, correction=0))
        kept += spectrum[:-8].sum().item() * len(bricks)
    for index in range(12):
        video = to_model_range(torch.from_numpy(source[index].frames), torch.float32)[None]
        all_of_it += (model.decode(model.encode(video)) - video).square().sum().item()
    assert all_of_it == pytest.approx(kept, rel=1e-3)


@torch.no_grad()
def test_the_generators_scale_has_mean_zero_and_mean_square_one(squares):
    source = squares(12)
    model = Autoencoder(AUTOENCODERS["tiny"])
    start_from_clips(model, source)
    measure_latents(model, source)
    latents = [
        model.normalise(
            model.encode(to_model_range(torch.from_numpy(source[i].frames)[None], torch.float32))
        )[0]
        for i in range(12)
    ]
    for values in (
        torch.cat([z[:1].flatten(0, 2) for z in latents]),
        torch.cat([z[1:].flatten(0, 2) for z in latents]),
    ):
        torch.testing.assert_close(values.mean(dim=0), torch.zeros(8), atol=1e-3, rtol=0)
        assert values.var(dim=0).mean().item() == pytest.approx(1, rel=0.02)


def test_a_source_of_images_only_is_enough(tmp_path, squares):
    path = train(CONFIG, squares(4, (VideoShape(1, 32, 32),)), tmp_path)
    model = load_weights(path).model
    assert torch.equal(model.latent_mean[0], model.latent_mean[1])


def test_clips_are_encoded_from_bytes(squares):
    source = squares(3)
    model = Autoencoder(AUTOENCODERS["tiny"]).eval()
    start_from_clips(model, source)
    measure_latents(model, source)
    frames = source[0].frames[None]
    latents = encode_uint8(model)(frames)
    with torch.no_grad():
        expected = model.normalise(
            model.encode(to_model_range(torch.from_numpy(frames), torch.float32))
        )
    assert latents.shape == (1, 3, 4, 4, 8)
    assert latents.dtype == np.float32
    assert np.abs(latents - expected.numpy()).mean() < 0.05  # it runs in bfloat16
