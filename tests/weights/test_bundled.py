"""The code still means what the bundled weights learned: a change of meaning shows as a loss.

Everything else here holds for any weights; that a sign, an order of tokens or a unit of time is the
one of the training can be seen in trained weights only.
"""

import pytest
import torch

from cyclorama.data.prompt import prompt_ids
from cyclorama.data.worlds_live import worlds_clips
from cyclorama.diffusion.flow import interpolate, standard_noise
from cyclorama.inference.video import load_maker, unknown_words
from cyclorama.nn.patch import latent_positions, lay_row, patchify
from cyclorama.shapes import LatentShape, VideoShape, token_grid
from cyclorama.training.autoencoding import to_model_range

NUM_CLIPS = 4


@pytest.fixture(scope="module")
def maker():
    return load_maker()


@pytest.fixture(scope="module")
def clips():
    pytest.importorskip("mujoco", reason="pip install 'cyclorama[worlds]'")
    source = worlds_clips(
        "stage", "val_id", num_clips=NUM_CLIPS, shapes=[(VideoShape(17, 64, 64), 1.0)]
    )
    return [source[index] for index in range(NUM_CLIPS)]


@pytest.fixture(scope="module")
def latents(maker, clips):
    video = torch.stack([torch.from_numpy(clip.frames.copy()) for clip in clips])
    with torch.no_grad():
        return maker.autoencoder.encode(to_model_range(video, torch.float32))


@torch.no_grad()
def test_the_autoencoder_shows_clips_it_has_not_seen(maker, clips, latents):
    decoded = maker.autoencoder.decode(latents).clamp(-1, 1)
    video = torch.stack([torch.from_numpy(clip.frames.copy()) for clip in clips])
    error = (decoded - to_model_range(video, torch.float32)).square().mean(dim=(1, 2, 3, 4)) / 4
    assert (-10 * error.log10()).mean() > 31


@torch.no_grad()
def test_latents_have_the_generators_scale(maker, latents):
    scaled = maker.autoencoder.normalise(latents)
    assert 0.5 < scaled.square().mean() < 2


@torch.no_grad()
def test_the_maker_foresees_clips_and_its_words_help(maker, clips, latents):
    patch = maker.dit.config.patch
    grid = token_grid(LatentShape(*latents.shape[1:4]), patch)
    positions = latent_positions(
        grid, rate_fps=8.0, compression=maker.autoencoder.compression, patch=patch
    )
    tokens = [patchify(z, patch) for z in maker.autoencoder.normalise(latents)]
    noise = standard_noise(tuple(tokens[0].shape), torch.Generator().manual_seed(0))
    multiple = maker.dit.config.text_multiple

    def errors(time):
        """Return the error of foreseeing each clip (rows) by each clip's words (columns)."""
        times = torch.full((len(noise),), time)
        found = torch.zeros(NUM_CLIPS, NUM_CLIPS)
        for j, clip in enumerate(clips):
            row = lay_row([prompt_ids(clip.captions["short"])], [positions], text_multiple=multiple)
            for i, clean in enumerate(tokens):
                noisy = interpolate(clean, noise, time=times)
                found[i, j] = (maker.dit(noisy, times, row=row) - clean).square().mean()
        return found

    power = torch.stack(tokens).square().mean()
    assert errors(0.5).diagonal().mean() < 0.25 * power
    late = errors(0.9)
    others = (late.sum() - late.trace()) / (NUM_CLIPS * (NUM_CLIPS - 1))
    assert late.diagonal().mean() < 0.9 * others


def test_the_captions_words_are_known(maker, clips):
    for clip in clips:
        assert unknown_words(clip.captions["short"], maker) == []
    assert unknown_words("a red lion", maker) == ["lion"]
