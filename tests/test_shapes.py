"""Pixels, latents, tokens and seconds convert exactly, and what cannot be names what can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.shapes import (
    Compression,
    LatentShape,
    VideoShape,
    check_video_shape,
    frame_grid,
    frame_size,
    frames_for_duration,
    grid_of_frames,
    latent_shape,
    nearest_video_shape,
    token_grid,
    video_shape,
)

compressions = st.builds(
    Compression,
    space=st.sampled_from([1, 2, 4, 8, 16, 32]),
    time=st.sampled_from([1, 2, 4, 8]),
    channels=st.integers(1, 128),
)
latents = st.builds(
    LatentShape, st.integers(1, 40), height=st.integers(1, 64), width=st.integers(1, 64)
)
wishes = st.builds(
    VideoShape, st.integers(1, 200), height=st.integers(1, 600), width=st.integers(1, 600)
)


@given(latents, compressions)
def test_latent_to_video_and_back(latent, compression):
    assert latent_shape(video_shape(latent, compression), compression) == latent


@given(wishes, compressions, st.sampled_from([1, 2]))
def test_the_nearest_clip_is_legal_and_its_own_nearest(wish, compression, patch):
    near = nearest_video_shape(wish, compression, patch=patch)
    grid = token_grid(latent_shape(near, compression), patch)
    assert grid.num_frames == 1 + (near.num_frames - 1) // compression.time
    assert grid.num_tokens * (compression.space * patch) ** 2 == (
        grid.num_frames * near.height * near.width
    )
    assert nearest_video_shape(near, compression, patch=patch) == near
    check_video_shape(near, compression, patch=patch)


@given(wishes, compressions)
def test_the_nearest_clip_is_near(wish, compression):
    near = nearest_video_shape(wish, compression, patch=1)
    assert abs(near.num_frames - wish.num_frames) <= compression.time / 2
    for got, wanted in [(near.height, wish.height), (near.width, wish.width)]:
        assert abs(got - wanted) <= compression.space / 2 or got == compression.space


def test_what_cannot_be_names_the_nearest_that_can():
    compression = Compression(space=8, time=4, channels=32)
    assert str(compression) == "f8t4c32"
    with pytest.raises(ValueError, match=r"frames must be 1 \+ a multiple of 4.*17x64x96"):
        latent_shape(VideoShape(16, 64, 94), compression)
    with pytest.raises(ValueError, match="the nearest is 96x64 with 17 frames"):
        check_video_shape(VideoShape(16, 64, 94), compression, patch=1)
    with pytest.raises(ValueError, match="choose sides that are multiples of 2"):
        token_grid(LatentShape(1, 5, 4), 2)
    with pytest.raises(ValueError, match="at least one frame"):
        VideoShape(0, 8, 8)


@pytest.mark.parametrize(
    ("duration_s", "rate_fps", "num_frames"), [(0, 8, 1), (2, 8, 17), (4, 8, 33), (1, 24, 25)]
)
def test_seconds_to_frames(duration_s, rate_fps, num_frames):
    compression = Compression(space=8, time=4, channels=32)
    got = frames_for_duration(duration_s, rate_fps=rate_fps, compression=compression)
    assert got == num_frames


@given(st.floats(0, 60), st.floats(1, 60), compressions)
def test_the_last_instant_is_as_near_as_frames_allow(duration_s, rate_fps, compression):
    num_frames = frames_for_duration(duration_s, rate_fps=rate_fps, compression=compression)
    latent_shape(VideoShape(num_frames, compression.space, compression.space), compression)
    half_group_s = compression.time / rate_fps / 2
    assert abs((num_frames - 1) / rate_fps - duration_s) <= half_group_s + 1e-3


@pytest.mark.parametrize(("duration_s", "rate_fps"), [(-1, 8), (1, 0), (float("nan"), 8)])
def test_impossible_durations_are_errors(duration_s, rate_fps):
    compression = Compression(space=8, time=4, channels=32)
    with pytest.raises(ValueError, match="need duration >= 0 s"):
        frames_for_duration(duration_s, rate_fps=rate_fps, compression=compression)


def test_duration_counts_one_stay_a_frame():
    assert VideoShape(16, 64, 64).duration_s(8) == 2.0


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [
        (64, 64, (4, 4)),
        (720, 1280, (3, 5)),
        (1280, 720, (5, 3)),
        (480, 640, (3, 4)),
        (1, 999, (1, 16)),
    ],
)
def test_a_frame_has_9_to_16_tokens_of_its_own_aspect(height, width, grid):
    found = frame_grid(height, width)
    assert (found.height, found.width) == grid
    rows, columns = frame_size(found)
    assert grid_of_frames(1, (rows, columns)) == found
    assert frame_grid(rows, columns) == found


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_any_picture_has_a_grid(height, width):
    assert 9 <= frame_grid(height, width).num_tokens <= 16


def test_a_picture_without_pixels_has_no_grid():
    with pytest.raises(ValueError, match="at least one row and column, got 0x5"):
        frame_grid(0, 5)
