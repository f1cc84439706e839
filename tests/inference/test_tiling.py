"""Long and large clips: streamed is whole, one tile is untiled, and seams are blended away."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.inference.tiling import (
    Tiling,
    blend_weights,
    decode_long,
    decode_parts,
    encode_long,
    encode_parts,
    tiles_along,
)
from cyclorama.models.autoencoder import Autoencoder, AutoencoderConfig
from cyclorama.recipes.autoencoder import AutoencoderRun, run
from cyclorama.shapes import VideoShape
from cyclorama.training.autoencoding import to_model_range
from cyclorama.training.loop import LoopConfig
from cyclorama.training.optimizer import OptimizerConfig
from cyclorama.weights.files import load_weights

TINY = AutoencoderConfig(
    space=4,
    time=2,
    channels=6,
    encoder_width=32,
    encoder_depth=1,
    decoder_width=32,
    decoder_depth=2,
    head_size=16,
)


@pytest.fixture(scope="module")
def model(shaken):
    torch.manual_seed(0)
    return shaken(Autoencoder(TINY), size=0.03).double()


def clip(num_frames, height=16, width=24):
    """Return a smooth clip: slow waves that drift."""
    t, y, x = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) for n in (num_frames, height, width)), indexing="ij"
    )
    waves = [torch.sin(0.1 * x + 0.05 * y + 0.2 * t + phase) for phase in (0, 1, 2)]
    return 0.7 * torch.stack(waves, dim=-1)[None]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 5, 50])
def test_streamed_is_whole(model, num_frames):
    video, tiling = clip(17), Tiling(num_frames=num_frames)
    with torch.no_grad():
        latents = model.encode(video)
        decoded = model.decode(latents)
    torch.testing.assert_close(
        encode_long(model, video, tiling=tiling), latents, atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        decode_long(model, latents, tiling=tiling), decoded, atol=1e-12, rtol=0
    )


@settings(max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6).filter(lambda cuts: sum(cuts) % 2))
def test_frames_may_come_in_any_portions(model, cuts):
    video, tiling = clip(sum(cuts)), Tiling(num_frames=2)
    whole = encode_long(model, video, tiling=tiling)
    portions = encode_long(model, iter(video.split(cuts, dim=1)), tiling=tiling)
    assert torch.equal(portions, whole)


def test_one_part_and_one_tile_are_exactly_the_plain_result(model):
    video = clip(9).float()
    single = Autoencoder(TINY)
    with torch.no_grad():
        latents = single.encode(video)
        assert torch.equal(encode_long(single, video), latents)
        assert torch.equal(decode_long(single, latents), single.decode(latents))
    edge = Tiling(side=6, overlap=2)  # as many as the larger side: 16 x 24 pixels are 4 x 6
    assert torch.equal(decode_long(single, latents, tiling=edge), single.decode(latents))


def test_only_a_part_is_made_at_a_time(model):
    asked = []

    def frames():
        for number in range(9):
            asked.append(number)
            yield clip(9)[:, number : number + 1]

    parts = encode_parts(model, frames(), tiling=Tiling(num_frames=1))
    assert next(parts).shape[1] == 1
    assert asked == [0]
    assert next(parts).shape[1] == 1
    assert asked == [0, 1, 2]
    shapes = [
        part.shape[1]
        for part in decode_parts(model, encode_long(model, clip(9)), tiling=Tiling(num_frames=2))
    ]
    assert shapes == [3, 4, 2]


def test_a_linear_code_has_no_seams():
    # Fresh, the autoencoder treats each brick alone: every way of cutting gives the same.
    single = Autoencoder(TINY).double()
    video, tiling = clip(5, 40, 48), Tiling(num_frames=2, side=4, overlap=2)
    with torch.no_grad():
        latents = single.encode(video)
        torch.testing.assert_close(
            encode_long(single, video, tiling=tiling), latents, atol=1e-12, rtol=0
        )
        torch.testing.assert_close(
            decode_long(single, latents, tiling=tiling),
            single.decode(latents),
            atol=1e-12,
            rtol=0,
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, squares):
    """Return an autoencoder that learned on clips of eight by eight latents."""
    loop = LoopConfig(
        num_steps=40,
        dtype="float32",
        average_decay=0.9,
        optimizer=OptimizerConfig(lr=3e-3, warmup_steps=10),
    )
    path = run(
        AutoencoderRun(model=TINY, budget_pixels=8 * 5 * 32 * 32, loop=loop),
        squares(32, (VideoShape(5, 32, 32),)),
        directory=tmp_path_factory.mktemp("trained"),
        report=lambda line: None,
        compiled=False,
    )
    return load_weights(path).model


def test_tiles_of_a_learned_code_are_near_the_whole(trained, squares):
    frames = squares(1, (VideoShape(5, 48, 64),))[0].frames
    video = to_model_range(torch.from_numpy(frames)[None], torch.float32)
    with torch.no_grad():
        latents = trained.encode(video)
        whole = trained.decode(latents)
    for overlap in (0, 6):
        tiling = Tiling(num_frames=2, side=8, overlap=overlap)
        tiled = decode_long(trained, latents, tiling=tiling)
        assert 0 < (tiled - whole).abs().mean() < 0.01  # of a range of two: one grey level
        assert (tiled - video).abs().mean() < 1.1 * (whole - video).abs().mean()
        encoded = encode_long(trained, video, tiling=tiling)
        assert 0 < (encoded - latents).abs().mean() < 0.05 * latents.std()


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 19))
def test_tiles_cover_with_their_overlap(size, side, overlap):
    if overlap >= side:
        overlap = side - 1
    tiles = tiles_along(size, side=side, overlap=overlap)
    assert tiles[0].start == 0
    assert tiles[-1].stop == size
    assert all(0 < tile.stop - tile.start <= side for tile in tiles)
    for left, right in pairwise(tiles):
        assert left.start < right.start
        assert left.stop - right.start >= overlap


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 19), st.integers(1, 4))
def test_weights_sum_to_one(size, side, overlap, scale):
    tiles = tiles_along(size, side=side, overlap=min(overlap, side - 1))
    total = torch.zeros(size * scale, dtype=torch.float64)
    for tile, weights in zip(tiles, blend_weights(tiles, scale=scale), strict=True):
        assert (weights > 0).all()
        total[tile.start * scale : tile.stop * scale] += weights
    torch.testing.assert_close(total, torch.ones_like(total))


def test_weights_are_linear_in_the_overlap():
    left, right = blend_weights(tiles_along(10, side=7, overlap=4), scale=1)
    assert left.tolist() == pytest.approx([1, 1, 1, 7 / 8, 5 / 8, 3 / 8, 1 / 8])
    assert right.tolist() == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1, 1])


def test_what_cannot_be_is_an_error(model):
    with pytest.raises(ValueError, match="0 <= overlap < side, got 8 and 8"):
        Tiling(side=8, overlap=8)
    with pytest.raises(ValueError, match="at least one latent frame"):
        Tiling(num_frames=0)
    with pytest.raises(ValueError, match="the nearest is 5x16x24"):
        encode_long(model, clip(4))
    with pytest.raises(ValueError, match="continue a stream with 1 frames"):
        encode_long(model, iter(clip(4).split(1, dim=1)), tiling=Tiling(num_frames=1))
    with pytest.raises(ValueError, match="holds no frames"):
        decode_long(model, iter([]))
