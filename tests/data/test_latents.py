"""The cache of latents: what was encoded comes back, once, and only for the encoder it names."""

import json

import numpy as np
import pytest

from cyclorama.data.latents import LatentCache, build_latent_cache
from cyclorama.shapes import VideoShape


def encode(frames):
    """Return means of bricks of 8 x 8 pixels, for every fourth frame."""
    num, _, height, width, _ = frames.shape
    bricks = frames[:, ::4].reshape(num, -1, height // 8, 8, width // 8, 8, 3)
    return bricks.mean(axis=(3, 5)) / 255


def build(directory, source, *, name="means", encode=encode, said=None, **kwargs):
    return build_latent_cache(
        directory,
        source,
        encode=encode,
        name=name,
        report=said.append if said is not None else lambda line: None,
        **kwargs,
    )


def test_latents_captions_and_rates_come_back(tmp_path, squares):
    source = squares(9)
    cache = build(tmp_path, source, batch_pixels=2 * 9 * 32 * 32)
    assert len(cache) == 9
    wanted = {source[i].captions["dense"] + str(source.shape_of(i)): source[i] for i in range(9)}
    found = []
    for index in range(9):
        clip = cache[index]
        assert clip.latents.dtype == np.float16
        assert cache.shape_of(index) == clip.latents.shape
        assert cache.captions_of(index) == clip.captions
        assert clip.rate_fps == 8
        shape = VideoShape(
            1 + 4 * (clip.latents.shape[0] - 1), *(8 * side for side in clip.latents.shape[1:3])
        )
        assert clip.captions["dense"] + str(shape) in wanted
        found.append(clip.latents)
    for index in range(9):
        expected = encode(source[index].frames[None])[0].astype(np.float16)
        assert any(np.array_equal(latents, expected) for latents in found)


def test_the_order_of_batches_changes_nothing(tmp_path, squares):
    caches = [build(tmp_path / str(n), squares(9), batch_pixels=n) for n in (1, 10**7)]
    for index in range(9):
        assert np.array_equal(caches[0][index].latents, caches[1][index].latents)


def test_a_complete_cache_is_opened_not_made_again(tmp_path, squares):
    build(tmp_path, squares(6))

    def never(frames):
        raise AssertionError("the encoder was asked again")

    assert len(build(tmp_path, squares(6), encode=never)) == 6
    assert len(LatentCache(tmp_path)) == 6


def test_latents_of_another_encoder_are_refused(tmp_path, squares):
    build(tmp_path, squares(3))
    with pytest.raises(ValueError, match=r"holds latents of 'means', not of 'others'"):
        build(tmp_path, squares(3), name="others")


def test_a_stop_in_the_middle_leaves_no_cache_and_the_next_run_makes_it(tmp_path, squares):
    calls = []

    def tiring(frames):
        calls.append(len(frames))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(frames)

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, squares(9), encode=tiring, batch_pixels=1)
    assert not (tmp_path / "card.json").exists()
    cache = build(tmp_path, squares(9))
    whole = build(tmp_path / "whole", squares(9))
    assert all(np.array_equal(cache[i].latents, whole[i].latents) for i in range(9))
    assert not list(tmp_path.glob("*.partial"))
    assert json.loads((tmp_path / "card.json").read_text()) == {"name": "means", "num_clips": 9}


def test_it_says_how_far_it_is(tmp_path, squares):
    said = []
    build(tmp_path, squares(3), said=said)
    assert said == ["encoded 3/3 clips"]
