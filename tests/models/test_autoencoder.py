"""The autoencoder: streamed = whole, the future unseen, a start that is the best linear code."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.models.autoencoder import (
    AUTOENCODERS,
    Autoencoder,
    AutoencoderConfig,
    cut_bricks,
    lay_bricks,
    principal_components,
)
from cyclorama.shapes import Compression, LatentShape, VideoShape, video_shape

TINY = AutoencoderConfig(
    space=4,
    time=2,
    channels=6,
    encoder_width=32,
    encoder_depth=2,
    decoder_width=32,
    decoder_depth=3,
    head_size=16,
)


@pytest.fixture(scope="module")
def model(shaken):
    torch.manual_seed(0)
    return shaken(Autoencoder(TINY)).double()


def clip(num_frames, height=8, width=12, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, num_frames, height, width, 3, generator=generator).double() * 2 - 1


@torch.no_grad()
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_streamed_is_whole(model, cuts):
    video = clip(1 + 2 * (sum(cuts) - 1))
    whole = model.encode(video)
    past, parts, start = None, [], 0
    for cut in cuts:
        stop = 1 + 2 * (sum(p.shape[1] for p in parts) + cut - 1)
        latents, past = model.encode_part(video[:, start:stop], past=past)
        parts.append(latents)
        start = stop
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-12, rtol=0)

    decoded, past = [], None
    for part in whole.split(cuts, dim=1):
        frames, past = model.decode_part(part, past=past)
        decoded.append(frames)
    torch.testing.assert_close(torch.cat(decoded, dim=1), model.decode(whole), atol=1e-12, rtol=0)


@torch.no_grad()
def test_the_future_is_not_seen_and_the_past_is(model):
    video = clip(9)
    latents, decoded = model.encode(video), model.decode(model.encode(video))
    changed = video.clone()
    changed[:, 5:] = -changed[:, 5:]  # the last two latent frames
    after = model.encode(changed)
    assert torch.equal(after[:, :3], latents[:, :3])
    assert not torch.allclose(after[:, 3], latents[:, 3])
    assert torch.equal(model.decode(after)[:, :5], decoded[:, :5])

    earlier = latents.clone()
    earlier[:, 1] += 1
    moved = (model.decode(earlier) - decoded).abs().amax(dim=(0, 2, 3, 4))
    assert moved[0] == 0
    assert (moved[1:] > 0).all()


@torch.no_grad()
def test_an_image_is_the_first_frame_of_a_clip(model):
    video = clip(5)
    torch.testing.assert_close(
        model.encode(video[:, :1]), model.encode(video)[:, :1], atol=1e-12, rtol=0
    )


@torch.no_grad()
def test_a_clip_of_a_batch_is_the_clip_alone(model):
    video = clip(5, batch=3)
    alone = torch.cat([model.encode(one[None]) for one in video])
    torch.testing.assert_close(model.encode(video), alone, atol=1e-12, rtol=0)


@given(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]), st.integers(1, 4), st.integers(1, 3))
def test_bricks_go_back(space, time, num_latents, sides):
    compression = Compression(space, time, 3)
    shape = video_shape(LatentShape(num_latents, sides, 2), compression)
    video = clip(shape.num_frames, shape.height, shape.width, batch=2)
    bricks = cut_bricks(video, compression, begins=True)
    assert ("rest" in bricks) == (num_latents > 1)
    assert torch.equal(lay_bricks(bricks, compression, height=sides), video)
    if num_latents > 1:
        later = cut_bricks(video[:, 1:], compression, begins=False)
        assert list(later) == ["rest"]
        assert torch.equal(later["rest"], bricks["rest"])


def start(model, video):
    codes = {}
    for part, bricks in cut_bricks(video, model.compression, begins=True).items():
        codes[part] = principal_components(bricks.flatten(0, 2).float(), model.config.channels)
        model.start_from_components(part, mean=codes[part][0], basis=codes[part][1])
    return codes


@torch.no_grad()
def test_fresh_it_is_the_linear_code():
    torch.manual_seed(0)
    model, video = Autoencoder(TINY), clip(5, batch=4).float()
    codes = start(model, video)
    bricks = cut_bricks(video, model.compression, begins=True)
    latents = torch.cat([(bricks[p] - mean) @ basis for p, (mean, basis) in codes.items()], dim=1)
    grid = latents.unflatten(2, (2, 3))
    torch.testing.assert_close(model.encode(video), grid, atol=1e-5, rtol=0)
    linear = {
        part: z @ codes[part][1].T + codes[part][0]
        for part, z in (("first", latents[:, :1]), ("rest", latents[:, 1:]))
    }
    expected = lay_bricks(linear, model.compression, height=2)
    torch.testing.assert_close(model.decode(grid), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_with_all_components_nothing_is_lost():
    model = Autoencoder(TINY.model_copy(update={"space": 2, "time": 1, "channels": 12}))
    video = clip(4, 16, 16, batch=2).float()
    start(model, video)
    torch.testing.assert_close(model.decode(model.encode(video)), video, atol=1e-5, rtol=0)


def test_components_are_the_best_linear_code():
    torch.manual_seed(0)
    bricks = torch.randn(500, 6) @ torch.randn(6, 6) + 3
    mean, basis = principal_components(bricks, 2)
    torch.testing.assert_close(basis.T @ basis, torch.eye(2), atol=1e-5, rtol=0)
    left = bricks - ((bricks - mean) @ basis @ basis.T + mean)
    spectrum = torch.linalg.eigvalsh(torch.cov(bricks.T, correction=0))
    assert left.square().sum(dim=1).mean().item() == pytest.approx(spectrum[:4].sum().item(), 1e-4)
    torch.testing.assert_close(
        ((bricks - mean) @ basis).var(dim=0, correction=0), spectrum.flip(0)[:2], rtol=1e-4, atol=0
    )


@torch.no_grad()
def test_the_generators_scale_and_back(shaken):
    model = Autoencoder(TINY)
    model.latent_mean.copy_(torch.randn(2, 6))
    model.latent_scale.copy_(torch.rand(2, 6) + 0.5)
    latents = torch.randn(2, 3, 2, 2, 6)
    scaled = model.normalise(latents)
    torch.testing.assert_close(model.denormalise(scaled), latents)
    for row, frames in ((0, slice(0, 1)), (1, slice(1, 3))):
        expected = (latents[:, frames] - model.latent_mean[row]) / model.latent_scale[row]
        torch.testing.assert_close(scaled[:, frames], expected)


def test_every_weight_is_used(shaken):
    model = shaken(Autoencoder(TINY))
    video = clip(5).float()
    (model.decode(model.encode(video)) - video).square().mean().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_what_does_not_fit_is_an_error(model):
    with pytest.raises(ValueError, match="the nearest is 5x8x12"):
        model.encode(clip(4))
    with pytest.raises(ValueError, match="sides multiples of 4"):
        model.encode(clip(5, height=10))
    with pytest.raises(ValueError, match=r"begin a stream with 2 frames: give 1 \+ a mult"):
        model.encode_part(clip(2), past=None)
    _, past = model.encode_part(clip(1), past=None)
    with pytest.raises(ValueError, match="continue a stream with 3 frames: give a multiple of 2"):
        model.encode_part(clip(3), past=past)
    with pytest.raises(ValueError, match="sides must be multiples of 4"):
        model.encode_part(clip(1, width=10), past=None)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_named_sizes_make_models_of_any_shape(name):
    with torch.device("meta"):
        model = Autoencoder(AUTOENCODERS[name])
        shape = video_shape(LatentShape(2, 3, 5), model.compression)
        frames = torch.zeros(1, shape.num_frames, shape.height, shape.width, 3)
    assert VideoShape(*frames.shape[1:4]) == VideoShape(5, 24, 40)
    assert AutoencoderConfig.from_json(model.config.to_json()) == model.config
