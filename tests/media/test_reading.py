"""Files are read as displayed, sampled by presentation time, within the limits."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.media.decode import Picture
from cyclorama.media.errors import (
    Limits,
    MediaLimitError,
    MediaRangeError,
    UnreadableMediaError,
    UnsupportedMediaError,
)
from cyclorama.media.video import probe_video, read_video, select_pictures

LEVELS = [20, 45, 70, 95, 120, 145, 170, 195, 220, 245]


@pytest.fixture
def counted(tmp_path, lab):
    """Ten flat frames at 10 fps; a frame's level tells its number."""
    path = tmp_path / "counted.mp4"
    lab.encode_file(path, lab.gray_frames(LEVELS))
    return path


def assert_levels(lab, clip, expected):
    found = lab.levels_of(clip.frames)
    assert len(found) == len(expected), (found, expected)
    assert np.allclose(found, expected, atol=2), (found, expected)


# Sampling


def test_every_frame_without_a_rate(lab, counted):
    clip = read_video(counted)
    assert_levels(lab, clip, LEVELS)
    assert np.allclose(clip.times_s, np.arange(10) / 10)
    assert clip.rate_fps == pytest.approx(10)


def test_rates_hold_or_skip_frames(lab, counted):
    assert_levels(lab, read_video(counted, rate_fps=5), LEVELS[::2])
    assert_levels(lab, read_video(counted, rate_fps=20), np.repeat(LEVELS, 2))
    clip = read_video(counted, rate_fps=4)  # instants 0, .25, .5, .75
    assert_levels(lab, clip, [LEVELS[0], LEVELS[2], LEVELS[5], LEVELS[7]])
    assert np.allclose(clip.times_s, [0, 0.25, 0.5, 0.75]) and clip.rate_fps == 4


def test_stretches(lab, counted):
    assert_levels(lab, read_video(counted, start_s=0.3, duration_s=0.4), LEVELS[3:7])
    assert_levels(lab, read_video(counted, start_s=0.35, duration_s=0.2, rate_fps=10), LEVELS[3:5])
    assert_levels(lab, read_video(counted, start_s=0.9), LEVELS[9:])


def test_any_stretch_equals_the_whole(tmp_path, lab):
    # Key frames 12 apart and reordered frames: seeking must land before, and count from, the start.
    path = tmp_path / "long.mp4"
    lab.encode_file(path, lab.moving_frames(60, 32, 48), rate=24, options={"g": "12", "bf": "3"})
    whole = read_video(path)
    for start in (1, 7, 12, 13, 30, 47, 59):
        part = read_video(path, start_s=start / 24)
        assert np.array_equal(part.frames, whole.frames[start:])
        assert np.allclose(part.times_s, whole.times_s[start:])


def test_variable_rate(tmp_path, lab):
    path = tmp_path / "uneven.mkv"
    pts = [0, 100, 200, 1000, 1100, 2000]
    lab.encode_file(path, lab.gray_frames(LEVELS[:6]), pts=pts, time_base=Fraction(1, 1000))
    info = probe_video(path)
    assert info.is_variable_rate and info.duration_s == pytest.approx(2.1, abs=0.2)
    natural = read_video(path)
    assert np.allclose(natural.times_s, np.array(pts) / 1000)
    even = read_video(path, rate_fps=5, duration_s=2.1)
    # instants 0 .2 .4 .6 .8 1.0 1.2 1.4 1.6 1.8 2.0
    numbers = [0, 2, 2, 2, 2, 3, 4, 4, 4, 4, 5]
    assert_levels(lab, even, [LEVELS[n] for n in numbers])


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_times_rounded_to_milliseconds_do_not_double_frames(tmp_path, lab, rate):
    path = tmp_path / "a.mkv"
    frames = lab.gray_frames(range(10, 240, 10))
    pts = [round(1000 * k / rate) for k in range(len(frames))]
    lab.encode_file(path, frames, rate=rate, pts=pts, time_base=Fraction(1, 1000))
    assert not probe_video(path).is_variable_rate
    clip = read_video(path, rate_fps=rate, duration_s=20 / rate)
    assert_levels(lab, clip, range(10, 210, 10))


def test_streams_that_start_late_count_from_their_first_frame(tmp_path, lab):
    path = tmp_path / "broadcast.ts"
    lab.encode_file(path, lab.gray_frames(LEVELS))
    with av.open(str(path)) as container:
        assert container.streams.video[0].start_time > 0
    clip = read_video(path)
    assert clip.times_s[0] == 0
    assert_levels(lab, clip, LEVELS)
    assert_levels(lab, read_video(path, start_s=0.5, duration_s=0.3), LEVELS[5:8])


def test_recordings_without_a_duration(tmp_path, lab):
    path = tmp_path / "recorder.webm"
    lab.encode_file(
        path,
        lab.gray_frames(LEVELS),
        codec="libvpx-vp9",
        format="webm",
        options={"lossless": "1", "deadline": "realtime"},
        container_options={"live": "1"},
    )
    with av.open(str(path)) as container:
        assert container.duration is None and container.streams.video[0].duration is None
    assert probe_video(path).duration_s == pytest.approx(1, abs=0.11)
    assert_levels(lab, read_video(path), LEVELS)
    with pytest.raises(MediaRangeError, match="cannot read 0 s to 5 s"):
        read_video(path, duration_s=5)


def test_edit_lists_of_cuts_without_reencoding(tmp_path, lab):
    source, path = tmp_path / "source.mp4", tmp_path / "cut.mp4"
    lab.encode_file(source, lab.gray_frames(LEVELS), options={"g": "20", "bf": "0", "crf": "4"})
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is None:
                continue
            shift = int(Fraction(4, 10) / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            new.mux(packet)
    assert probe_video(path).num_frames == 10  # declared, of which four are not shown
    assert_levels(lab, read_video(path), LEVELS[4:])


@given(
    steps_ms=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    rate_fps=st.floats(0.7, 60),
    start_s=st.floats(0, 1),
)
@settings(deadline=None, max_examples=150)
def test_sampling_shows_what_is_on_display(steps_ms, rate_fps, start_s):
    times_s = np.concatenate([[0], np.cumsum(steps_ms)[:-1]]) / 1000
    end_s = sum(steps_ms) / 1000
    pictures = [
        Picture(float(t), d / 1000, lambda: np.zeros((1, 1, 3), np.uint8))
        for t, d in zip(times_s, steps_ms, strict=True)
    ]
    chosen = list(
        select_pictures(iter(pictures), start_s=start_s, end_s=None, rate_fps=rate_fps, tick_s=0.0)
    )
    instants = start_s + np.arange(len(chosen)) / rate_fps
    assert np.allclose([instant for instant, _ in chosen], instants)
    assert (instants < end_s).all() and start_s + len(chosen) / rate_fps >= end_s - 2e-6
    for instant, picture in chosen:
        allowed = [p for p in pictures if p.time_s <= instant + 2e-6]
        assert picture.time_s >= max(p.time_s for p in allowed) - 4e-6


# Geometry and colours


def corners(frame):
    return [int(frame[y, x].mean()) for y in (4, -5) for x in (4, -5)]


@pytest.fixture(scope="module")
def quarters():
    """Four flat quarters, so that a turn or a mirror image shows: 20 90 / 160 230."""
    frame = np.zeros((32, 64, 3), np.uint8)
    for (y, x), level in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (20, 90, 160, 230), strict=True):
        frame[16 * y : 16 * y + 16, 32 * x : 32 * x + 32] = level
    return np.repeat(frame[None], 3, axis=0)


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_rotation_is_applied(tmp_path, lab, quarters, turn, hflip):
    path = tmp_path / "turned.mp4"
    lab.encode_file(path, quarters, rotation=turn, hflip=hflip)
    shown = np.rot90(quarters[0], k=turn // 90)  # numpy's turn is counter-clockwise, like FFmpeg's
    if hflip:
        shown = shown[:, ::-1]
    info = probe_video(path)
    assert info.rotation_degrees == (360 - turn) % 360 and info.is_mirrored == hflip
    assert (info.height, info.width) == shown.shape[:2]
    clip = read_video(path)
    assert clip.frames.shape == (3, *shown.shape)
    assert np.allclose(corners(clip.frames[1]), corners(shown), atol=3)
    small = read_video(path, size=(24, 24), fit="stretch")
    assert np.allclose(corners(small.frames[1]), corners(shown), atol=3)


def test_slanted_display_is_refused(tmp_path, lab, quarters):
    lab.encode_file(tmp_path / "a.mp4", quarters, rotation=30)
    with pytest.raises(UnsupportedMediaError, match="multiples of 90"):
        read_video(tmp_path / "a.mp4")


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 85), (Fraction(1, 2), 32)])
def test_oblong_pixels_are_made_square(tmp_path, lab, quarters, aspect, width):
    path = tmp_path / "oblong.mp4"
    lab.encode_file(path, quarters, aspect=aspect)
    assert (probe_video(path).width, probe_video(path).pixel_aspect) == (width, aspect)
    clip = read_video(path)
    assert clip.frames.shape == (3, 32, width, 3)
    assert np.allclose(corners(clip.frames[1]), [20, 90, 160, 230], atol=3)


def test_cover_contain_stretch(tmp_path, lab):
    # A white middle third between black sides: what is cropped shows.
    frame = np.zeros((30, 90, 3), np.uint8)
    frame[:, 30:60] = 255
    path = tmp_path / "a.mp4"
    lab.encode_file(path, np.repeat(frame[None], 2, axis=0))
    cover = read_video(path, size=(30, 30), fit="cover").frames[0]
    assert cover.shape == (30, 30, 3) and cover[:, 2:-2].min() > 230
    contain = read_video(path, size=(30, 30), fit="contain").frames[0]
    assert contain[:10].max() == 0 and contain[20:].max() == 0 and contain[15, 15].min() > 230
    assert contain[15, 4].max() < 30
    stretch = read_video(path, size=(30, 30), fit="stretch").frames[0]
    assert stretch[:, 12:18].min() > 230 and stretch[:, :8].max() < 30


def test_scaling_while_decoding_is_a_mean_over_areas(tmp_path, lab):
    frames = lab.moving_frames(3, 96, 160)
    path = tmp_path / "a.mp4"
    lab.encode_file(path, frames, options={"crf": "1"})
    small = read_video(path, size=(40, 24)).frames
    mean = frames.reshape(3, 24, 4, 40, 4, 3).mean(axis=(2, 4))
    assert lab.psnr_db(small, mean) > 38


@pytest.mark.parametrize("shape", [(33, 47), (32, 47), (1, 1), (33, 2)])
def test_odd_sizes_are_read(tmp_path, lab, shape):
    frames = lab.moving_frames(3, *shape)
    path = tmp_path / "odd.mkv"
    lab.encode_file(path, frames, codec="ffv1", pix_fmt="yuv444p")
    clip = read_video(path)
    assert clip.frames.shape == frames.shape
    assert lab.psnr_db(clip.frames, frames) > 38
    assert read_video(path, size=(16, 16)).frames.shape == (3, 16, 16, 3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("full_range", [False, True])
def test_pixel_formats(tmp_path, lab, pix_fmt, full_range):
    frames = lab.gray_frames([0, 100, 255])
    lab.encode_file(
        tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt=pix_fmt, full_range=full_range
    )
    assert_levels(lab, read_video(tmp_path / "a.mkv"), [0, 100, 255])


@pytest.mark.parametrize(("trc", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_the_reason(tmp_path, lab, trc, name):
    path = tmp_path / "hdr.mp4"
    lab.encode_file(path, lab.gray_frames(LEVELS), trc=trc, pix_fmt="yuv420p10le")
    assert probe_video(path).is_hdr
    with pytest.raises(UnsupportedMediaError, match=f"HDR, {name}.*tone mapping"):
        read_video(path)


def test_sound_is_noticed(tmp_path, lab):
    lab.encode_file(tmp_path / "a.mp4", lab.gray_frames(LEVELS), sound=np.zeros(24_000, np.float32))
    assert probe_video(tmp_path / "a.mp4").has_audio
    assert_levels(lab, read_video(tmp_path / "a.mp4"), LEVELS)


def test_more_threads_change_nothing(tmp_path, lab):
    lab.encode_file(tmp_path / "a.mp4", lab.moving_frames(20, 64, 64))
    one = read_video(tmp_path / "a.mp4")
    assert np.array_equal(one.frames, read_video(tmp_path / "a.mp4", num_threads=2).frames)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mp4", {"codec": "libsvtav1", "options": {"crf": "10", "preset": "12"}}),
        ("a.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
        ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full_range": True}),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"lossless": "1"}}),
        ("a.flv", {}),
        ("a.ts", {"codec": "mpeg2video", "rate": 25, "options": {"qmax": "2"}}),
        ("a.mpg", {"codec": "mpeg2video", "rate": 25, "options": {"qmax": "2"}}),
        ("a.mkv", {"options": {"crf": "4", "x264-params": "open-gop=1:keyint=10:bframes=3"}}),
    ],
)
def test_containers_and_codecs(tmp_path, lab, name, more):
    path = tmp_path / name
    rate = more.get("rate", 10)
    levels = range(15, 250, 6)
    lab.encode_file(path, lab.gray_frames(levels, 48, 64), **more)
    whole = read_video(path, rate_fps=rate)
    assert_levels(lab, whole, levels)
    for start in (11, 39):
        part = read_video(path, rate_fps=rate, start_s=start / rate)
        assert np.array_equal(part.frames, whole.frames[start:])


def test_bare_streams_carry_no_times_and_are_refused(tmp_path, lab):
    lab.encode_file(tmp_path / "a.h264", lab.gray_frames(LEVELS), format="h264")
    with pytest.raises(UnreadableMediaError, match="known format"):
        read_video(tmp_path / "a.h264")


# Limits and arguments


def test_limits(counted):
    wide = Limits()
    for limits, what in (
        (replace(wide, max_pixels=32 * 48 - 1), "max_pixels"),
        (replace(wide, max_frames=9), "max_frames|limits allow"),
        (replace(wide, max_duration_s=0.9), "max_duration_s"),
        (replace(wide, max_size_bytes=10 * 32 * 48 * 3 - 1), "limits allow"),
    ):
        with pytest.raises(MediaLimitError, match=what):
            read_video(counted, limits=limits)
    exact = Limits(
        max_pixels=32 * 48, max_frames=10, max_duration_s=1.0, max_size_bytes=10 * 32 * 48 * 3
    )
    assert len(read_video(counted, limits=exact).frames) == 10
    part = read_video(counted, start_s=0.5, duration_s=0.2, limits=replace(wide, max_frames=2))
    assert len(part.frames) == 2


def test_scaling_cannot_be_made_to_explode(tmp_path, lab):
    lab.encode_file(
        tmp_path / "thin.mkv", lab.moving_frames(2, 2, 2000), codec="ffv1", pix_fmt="yuv444p"
    )
    with pytest.raises(MediaLimitError, match="would be scaled to 512000x512"):
        read_video(tmp_path / "thin.mkv", size=(512, 512))


def test_stretches_outside_the_file(counted):
    with pytest.raises(MediaRangeError, match=r"lasts 1\.000 s: nothing begins at 2 s"):
        read_video(counted, start_s=2)
    with pytest.raises(MediaRangeError, match=r"at most duration_s=0\.500"):
        read_video(counted, start_s=0.5, duration_s=1)
    with pytest.raises(MediaRangeError, match="no picture begins"):
        read_video(counted, start_s=0.51, duration_s=0.01)


@pytest.mark.parametrize(
    "arguments",
    [
        {"fit": "fill"},
        {"size": (0, 4)},
        {"size": (10**6, 10**6)},
        {"rate_fps": 0},
        {"rate_fps": float("nan")},
        {"start_s": -1},
        {"start_s": float("nan")},
        {"duration_s": 0},
        {"num_threads": -1},
    ],
)
def test_senseless_arguments(counted, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        read_video(counted, **arguments)


# Real files


@pytest.mark.parametrize(
    "name", ["bigbuckbunny.mp4", "bikes.mp4", "scene_cuts.mp4", "gestures/bird.mkv"]
)
def test_real_files_at_64_pixels(real_video, name):
    path = real_video(name)
    info = probe_video(path)
    clip = read_video(path, size=(64, 64), rate_fps=8, duration_s=2)
    assert clip.frames.shape == (16, 64, 64, 3)
    assert not info.is_truncated and clip.frames.std() > 10
    later = read_video(path, size=(64, 64), rate_fps=8, start_s=1, duration_s=1)
    assert np.array_equal(later.frames, clip.frames[8:])
