"""The generator's recipe: from an autoencoder and clips to weights that make clips."""

import numpy as np
import pytest
import torch

from cyclorama.inference.video import VideoRequest, generate, load_maker, unknown_words
from cyclorama.models.autoencoder import AUTOENCODERS
from cyclorama.models.dit import DITS
from cyclorama.recipes import autoencoder, maker
from cyclorama.record import read_jsonl
from cyclorama.training.loop import LoopConfig
from cyclorama.weights.files import load_weights

LOOP = LoopConfig(num_steps=6, log_every=1, checkpoint_every_s=0.0)


@pytest.fixture(scope="module")
def seen(tmp_path_factory, squares):
    """Return the path of a tiny autoencoder that has seen squares."""
    config = autoencoder.AutoencoderRun(
        model=AUTOENCODERS["tiny"], loop=LOOP, budget_pixels=4 * 9 * 32 * 32
    )
    return autoencoder.run(
        config,
        squares(12),
        directory=tmp_path_factory.mktemp("seen"),
        report=lambda line: None,
        compiled=False,
    )


def train(seen, source, directory, **changes):
    config = maker.MakerRun(model=DITS["tiny"], autoencoder=str(seen), loop=LOOP)
    return maker.run(
        config.model_copy(update=changes),
        source,
        directory=directory,
        report=lambda line: None,
        compiled=False,
    )


def test_it_makes_weights_that_make_clips(tmp_path, seen, squares):
    path = train(seen, squares(12), tmp_path)
    opened = load_weights(path, kind="maker")
    assert opened.facts["autoencoder"] == load_weights(seen).checksum
    assert maker.MakerRun.from_json(opened.facts["run"]).autoencoder == str(seen)
    assert opened.model.config.latent_channels == 8
    assert all(np.isfinite(row["loss"]) for row in read_jsonl(tmp_path / "metrics.jsonl"))
    made = load_maker(str(path), str(seen))
    assert unknown_words("a red lion moves right", made) == ["lion"]
    request = VideoRequest("a red square", width=48, height=32, num_frames=5, num_steps=2)
    assert generate(request, made).shape == (1, 5, 32, 48, 3)


def test_stopped_and_started_again_it_is_the_same_file(tmp_path, seen, squares):
    whole = train(seen, squares(12), tmp_path / "whole")
    lines = []

    def stop(line):
        lines.append(line)
        if line.startswith("step 4/"):
            raise KeyboardInterrupt

    config = maker.MakerRun(model=DITS["tiny"], autoencoder=str(seen), loop=LOOP)
    with pytest.raises(KeyboardInterrupt):
        maker.run(config, squares(12), directory=tmp_path / "cut", report=stop, compiled=False)
    assert lines[-1].startswith("step 4/6")
    assert train(seen, squares(12), tmp_path / "cut").read_bytes() == whole.read_bytes()


def test_it_can_go_on_from_other_weights(tmp_path, seen, squares):
    first = train(seen, squares(6), tmp_path / "first")
    model = DITS["tiny"].model_copy(update={"latent_channels": 8})
    none = LOOP.model_copy(update={"num_steps": 0})
    same = train(seen, squares(6), tmp_path / "same", model=model, start=str(first), loop=none)
    one, two = (load_weights(path).model.state_dict() for path in (first, same))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    further = train(seen, squares(6), tmp_path / "further", model=model, start=str(first))
    rows = [read_jsonl(path.parent / "metrics.jsonl")[0] for path in (first, further)]
    assert rows[1]["loss"] < rows[0]["loss"]  # of the same first row


def test_the_channels_are_those_of_the_autoencoder(tmp_path, seen, squares):
    wide = DITS["tiny"].model_copy(update={"latent_channels": 32})
    path = train(seen, squares(6), tmp_path, model=wide)
    assert load_weights(path).model.config.latent_channels == 8


def test_a_mirror_doubles_the_clips(tmp_path, seen, squares):
    train(seen, squares(6), tmp_path, mirror=True)
    words = load_weights(tmp_path / "maker.safetensors").facts["words"].split()
    assert {"left", "right"} <= set(words)
    assert len((tmp_path / "latents" / "clips.jsonl").read_text().splitlines()) == 12


def test_latents_of_another_autoencoder_are_not_mixed_in(tmp_path, seen, squares):
    train(seen, squares(6), tmp_path)
    other = autoencoder.run(
        autoencoder.AutoencoderRun(
            model=AUTOENCODERS["tiny"],
            budget_pixels=9 * 32 * 32,
            loop=LOOP.model_copy(update={"seed": 1}),
        ),
        squares(6),
        directory=tmp_path / "other",
        report=lambda line: None,
        compiled=False,
    )
    with pytest.raises(ValueError, match="holds latents of"):
        train(other, squares(6), tmp_path)
