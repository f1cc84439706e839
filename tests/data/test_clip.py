"""Clips come back from their bytes: exactly when lossless, above 40 dB otherwise, never short."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cyclorama.data.clip import CODECS, decode_clip, encode_clip
from cyclorama.shapes import VideoShape

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40), st.just(3))


def drifting(num_frames: int, height: int, width: int) -> np.ndarray:
    t, y, x, c = np.mgrid[:num_frames, :height, :width, :3]
    waves = np.sin(x / 5 + t / 2 + c) * np.cos(y / 7 - c)
    return (127.5 + 120 * waves).astype(np.uint8)


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.uint8, SIZES, fill=st.nothing()), st.sampled_from(["lossless", "raw"]))
def test_lossless_clips_come_back_to_the_bit(frames: np.ndarray, codec: str) -> None:
    data = encode_clip(frames, 8.0, codec=codec)
    back = decode_clip(data, VideoShape(*frames.shape[:3]), codec=codec)
    assert np.array_equal(back, frames)


@pytest.mark.parametrize("size", [(1, 64, 64), (17, 64, 96), (9, 33, 47)])
def test_h264_keeps_more_than_forty_decibels(size: tuple[int, int, int]) -> None:
    frames = drifting(*size)
    data = encode_clip(frames, 23.976)
    error = decode_clip(data, VideoShape(*size)).astype(float) - frames
    assert 10 * np.log10(255**2 / (error**2).mean()) > 40
    assert len(data) < frames.nbytes


def test_a_cut_clip_is_an_error_not_a_shorter_clip() -> None:
    shape = VideoShape(17, 64, 64)
    frames = np.random.default_rng(0).integers(0, 256, (17, 64, 64, 3)).astype(np.uint8)
    for codec in CODECS:
        data = encode_clip(frames, 8.0, codec=codec)
        for part in (data[: len(data) // 2], data[:-400], b"", b"no video at all"):
            with pytest.raises(ValueError, match="17x64x64"):
                decode_clip(part, shape, codec=codec)
        with pytest.raises(ValueError, match=r"truncated|damaged|needs"):
            decode_clip(data, VideoShape(18, 64, 64), codec=codec)
        for other in (VideoShape(9, 64, 64), VideoShape(17, 64, 48)):
            with pytest.raises(ValueError, match=r"damaged|needs"):
                decode_clip(data, other, codec=codec)


def test_unknown_codecs_and_arrays_are_named() -> None:
    frames = drifting(1, 16, 16)
    with pytest.raises(ValueError, match="h264, lossless, raw"):
        encode_clip(frames, 8.0, codec="divx")
    with pytest.raises(ValueError, match="float64"):
        encode_clip(frames / 255, 8.0)
