"""What is written reads back, with its metadata, and plays in browsers."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.media.video import probe_video, read_video, write_video


def halved(frames):
    T, H, W, C = frames.shape
    return frames.reshape(T, H // 2, 2, W // 2, 2, C).mean(axis=(2, 4))


# Writing and reading back


@pytest.mark.parametrize(("suffix", "least_db"), [(".mp4", 38), (".webp", 36), (".gif", 30)])
def test_round_trip(tmp_path, lab, suffix, least_db):
    frames = lab.moving_frames(17, 64, 96)
    path = tmp_path / f"clip{suffix}"
    metadata = {"prompt": 'a "r\u00e9d" ball\nrolls', "seed": 3, "weights": {"sha256": "ab"}}
    write_video(path, frames, rate_fps=8, metadata=metadata)
    clip = read_video(path)
    assert clip.frames.shape == frames.shape and clip.frames.dtype == np.uint8
    if suffix == ".gif":  # dithered: the eye sees means of neighbouring pixels
        assert lab.psnr_db(halved(clip.frames), halved(frames)) > least_db
    else:
        assert lab.psnr_db(clip.frames, frames) > least_db
    assert np.allclose(clip.times_s, np.arange(17) / 8, atol=0.0051)
    info = probe_video(path)
    assert (info.width, info.height, info.num_frames) == (96, 64, 17)
    assert info.metadata == metadata
    assert info.duration_s == pytest.approx(17 / 8, abs=0.006)
    assert info.rate_fps == pytest.approx(8, rel=0.005)
    assert not (info.is_variable_rate or info.is_hdr or info.has_audio or info.is_truncated)
    assert info.size_bytes == path.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".webp", ".gif"])
@pytest.mark.parametrize("num_frames", [1, 5])
def test_still_and_motionless_clips(tmp_path, lab, suffix, num_frames):
    frames = np.repeat(lab.moving_frames(1, 32, 32), num_frames, axis=0)
    path = tmp_path / f"still{suffix}"
    write_video(path, frames, rate_fps=10)
    clip = read_video(path, rate_fps=10, duration_s=num_frames / 10)
    assert clip.frames.shape == frames.shape
    assert lab.psnr_db(halved(clip.frames), halved(frames)) > 28


def test_saturated_colours_survive(tmp_path):
    colours = np.array(
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 0, 0], [255, 255, 255]], np.uint8
    )
    frames = np.tile(np.repeat(colours, 16, axis=0)[None, None], (3, 32, 1, 1))
    write_video(tmp_path / "c.mp4", frames, rate_fps=8)
    found = read_video(tmp_path / "c.mp4").frames[1, 16, 8::16].astype(int)
    assert np.abs(found - colours).max() <= 4


def test_lower_crf_is_closer(tmp_path, lab):
    frames = lab.moving_frames(5, 64, 64)
    db = []
    for crf in (4, 40):
        write_video(tmp_path / "a.mp4", frames, rate_fps=8, crf=crf)
        db.append(lab.psnr_db(read_video(tmp_path / "a.mp4").frames, frames))
    assert db[0] > db[1] + 3


def test_scale_keeps_the_colours_of_single_pixels(tmp_path, lab):
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 3)).astype(np.uint8)
    frames = frames.repeat(2, axis=1)  # stripes: colours change from column to column
    write_video(tmp_path / "two.mp4", frames, rate_fps=8, crf=4, scale=2)
    write_video(tmp_path / "one.webp", frames, rate_fps=8)
    info = probe_video(tmp_path / "two.mp4")
    assert (info.width, info.height) == (18, 32)  # odd sides become even
    back = read_video(tmp_path / "two.mp4", size=(9, 16)).frames
    assert lab.psnr_db(back, frames) > 36


def test_an_iterable_is_written_as_it_arrives(tmp_path, lab):
    frames = lab.moving_frames(5, 32, 32)
    write_video(tmp_path / "a.mp4", (frame for frame in frames), rate_fps=8)
    write_video(tmp_path / "b.mp4", frames, rate_fps=8)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_mp4_is_what_browsers_play(tmp_path, lab):
    path = tmp_path / "a.mp4"
    write_video(path, lab.moving_frames(5, 32, 32), rate_fps=8)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.colorspace) == ("h264", "yuv420p", 1)


@pytest.mark.parametrize(
    ("shape", "named"), [((33, 32), "32x32"), ((32, 33), "32x32"), ((1, 1), "2x2")]
)
def test_odd_sides_name_the_nearest_even(tmp_path, shape, named):
    frames = np.zeros((2, *shape, 3), np.uint8)
    with pytest.raises(ValueError, match=f"needs even sides.*{named}"):
        write_video(tmp_path / "a.mp4", frames, rate_fps=8)
    assert not list(tmp_path.iterdir())
    write_video(tmp_path / "a.webp", frames, rate_fps=8)
    assert read_video(tmp_path / "a.webp", rate_fps=8).frames.shape == frames.shape


@pytest.mark.parametrize(
    ("name", "frames", "arguments", "message"),
    [
        ("a.mp4", np.zeros((2, 4, 4, 3)), {}, "uint8"),
        ("a.mp4", np.zeros((2, 4, 4), np.uint8), {}, r"\(H, W, 3\)"),
        ("a.mp4", np.zeros((2, 4, 4, 4), np.uint8), {}, r"\(H, W, 3\)"),
        ("a.mp4", np.zeros((0, 4, 4, 3), np.uint8), {}, "no frames"),
        ("a.avi", np.zeros((2, 4, 4, 3), np.uint8), {}, "suffix"),
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), {"rate_fps": 0}, "rate_fps"),
        ("a.gif", np.zeros((2, 4, 4, 3), np.uint8), {"rate_fps": 60}, "at most 50"),
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), {"crf": 52}, "crf"),
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), {"scale": 0}, "scale"),
        ("a.gif", np.zeros((2, 4, 4, 3), np.uint8), {"crf": 20}, "no effect"),
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), {"metadata": {"a": {1, 2}}}, "JSON"),
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), {"metadata": {"a": float("nan")}}, "JSON"),
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), {"metadata": {1: 2}}, "keys"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, frames, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / name, frames, **{"rate_fps": 8, **arguments})
    assert not list(tmp_path.iterdir())


# Metadata

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    metadata=st.dictionaries(st.text(max_size=10), JSON, max_size=4),
    suffix=st.sampled_from([".mp4", ".webp", ".gif"]),
)
@settings(deadline=None, max_examples=40)
def test_any_metadata_comes_back(tmp_path_factory, metadata, suffix):
    path = tmp_path_factory.mktemp("metadata") / f"a{suffix}"
    write_video(path, np.zeros((1, 4, 4, 3), np.uint8), rate_fps=8, metadata=metadata)
    assert probe_video(path).metadata == metadata


def test_foreign_comments_stay_tags(tmp_path, lab):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = '{"cyclorama": 3}'
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    info = probe_video(path)
    assert info.metadata == {} and info.tags["comment"] == '{"cyclorama": 3}'
