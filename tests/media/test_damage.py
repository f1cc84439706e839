"""Bad files are named with the reason; what fails while writing leaves nothing behind."""

import copy
import os
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from cyclorama.media.atomic import write_aside
from cyclorama.media.audio import read_audio
from cyclorama.media.describe import describe_file
from cyclorama.media.errors import (
    CorruptMediaError,
    Limits,
    MediaError,
    MediaLimitError,
    MediaWriteError,
    TruncatedMediaError,
    UnreadableMediaError,
)
from cyclorama.media.image import read_image, write_png
from cyclorama.media.video import probe_video, read_video, write_video

READERS = [read_video, probe_video, read_audio, read_image, describe_file]


@pytest.fixture
def fast_start(tmp_path, lab):
    """Make an mp4 of 40 frames, its index first, so that it opens however short it is cut."""
    path = tmp_path / "whole.mp4"
    lab.encode_file(
        path,
        lab.moving_frames(40, 48, 64),
        container_options={"movflags": "faststart"},
        options={"g": "10", "crf": "18"},
    )
    return path


# Files that are nothing


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"not a video at all\n" * 50),
        ("noise.mp4", np.random.default_rng(0).bytes(5000)),
        ("noise.webp", b"RIFF\xff\x00\x00\x00WEBP" + np.random.default_rng(1).bytes(400)),
        ("noise.gif", b"GIF89a" + np.random.default_rng(2).bytes(400)),
        ("noise.png", b"\x89PNG\r\n\x1a\n" + np.random.default_rng(3).bytes(400)),
        ("ebml.mkv", b"\x1a\x45\xdf\xa3" + np.random.default_rng(4).bytes(400)),
    ],
)
def test_garbage(tmp_path, reader, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        reader(path)
    assert caught.value.path == str(path) and caught.value.reason
    assert str(caught.value) == f"{path}: {caught.value.reason}"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_missing_files_and_folders(tmp_path, reader):
    with pytest.raises(UnreadableMediaError, match="no such file"):
        reader(tmp_path / "absent.mp4")
    with pytest.raises(UnreadableMediaError, match="not a file"):
        reader(tmp_path)


def test_the_wrong_kind_says_what_it_is(tmp_path, lab):
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UnreadableMediaError, match="still picture: read it with read_image"):
        read_video(tmp_path / "a.png")
    lab.encode_file(tmp_path / "silent.mp4", lab.moving_frames(3, 16, 16))
    with pytest.raises(UnreadableMediaError, match="holds no sound"):
        read_audio(tmp_path / "silent.mp4")
    with pytest.raises(UnreadableMediaError, match="not a picture"):
        read_image(tmp_path / "silent.mp4")


def test_playlists_are_not_followed(tmp_path, lab):
    lab.encode_file(tmp_path / "secret.ts", lab.moving_frames(3, 16, 16))
    playlist = tmp_path / "x.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n")
    with pytest.raises(UnreadableMediaError):
        read_video(playlist)
    playlist.write_text("ffconcat version 1.0\nfile 'secret.ts'\n")
    with pytest.raises(UnreadableMediaError):
        read_video(playlist)


# Files cut short


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_truncated_fast_start(fast_start, share):
    data = fast_start.read_bytes()
    fast_start.write_bytes(data[: int(share * len(data))])
    with pytest.raises(TruncatedMediaError, match="truncated"):
        read_video(fast_start)
    if share < 0.5:  # not even the first picture is left
        with pytest.raises(TruncatedMediaError, match="before its first picture"):
            probe_video(fast_start)
    else:
        assert probe_video(fast_start).is_truncated
        assert "warning truncated" in describe_file(fast_start)


def test_mp4_without_its_index(tmp_path, lab):
    path = tmp_path / "a.mp4"
    lab.encode_file(path, lab.moving_frames(20, 48, 64))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UnreadableMediaError, match="without an index: truncated"):
        read_video(path)


@pytest.mark.parametrize("suffix", ["mkv", "webp", "gif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_other_truncated_files(tmp_path, lab, suffix, share):
    path = tmp_path / f"a.{suffix}"
    frames = lab.moving_frames(40, 48, 64)
    if suffix == "mkv":
        lab.encode_file(path, frames)
    else:
        write_video(path, frames, rate_fps=10)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(TruncatedMediaError):
        read_video(path)


def test_every_cut_of_a_file_is_noticed(tmp_path, fast_start):
    data = fast_start.read_bytes()
    path = tmp_path / "cut.mp4"
    for length in np.linspace(1, len(data) - 1, 40).astype(int):
        path.write_bytes(data[:length])
        with pytest.raises(MediaError):
            read_video(path, size=(16, 16))


def test_truncated_picture(tmp_path, lab):
    path = tmp_path / "a.png"
    write_png(path, lab.moving_frames(1, 64, 64)[0])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(TruncatedMediaError):
        read_image(path)


# Files with wrong bits


def test_bit_flips_are_noticed(tmp_path, fast_start):
    data = fast_start.read_bytes()
    body = data.index(b"mdat") + 8
    path = tmp_path / "flipped.mp4"
    rng = np.random.default_rng(0)
    noticed = 0
    for _ in range(30):
        flipped = bytearray(data)
        for at in rng.integers(body + 800, len(data), 3):  # past the encoder's own remark
            flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            assert read_video(path).frames.shape == (40, 48, 64, 3)
        except CorruptMediaError as error:
            noticed += 1
            assert "damaged at" in error.reason
    assert noticed >= 24


def test_damage_can_be_let_through(tmp_path, fast_start):
    whole = read_video(fast_start)
    data = bytearray(fast_start.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    for at in range(middle, middle + 40):
        data[at] ^= 0x55
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    with pytest.raises(CorruptMediaError, match="max_corrupt_frames is 0"):
        read_video(path)
    clip = read_video(path, limits=Limits(max_corrupt_frames=40))
    same = [np.array_equal(a, b) for a, b in zip(clip.frames, whole.frames, strict=False)]
    assert same[0] and not all(same)


def test_random_damage_never_escapes_the_tree(tmp_path, lab):
    """Wherever the bits are wrong: a clip or a MediaError, nothing else."""
    rng = np.random.default_rng(5)
    frames = lab.moving_frames(6, 24, 24)
    for suffix in ("mp4", "webp", "gif", "png"):
        path = tmp_path / f"a.{suffix}"
        if suffix == "png":
            write_png(path, frames[0])
        else:
            write_video(path, frames, rate_fps=8, metadata={"seed": 1})
        data = path.read_bytes()
        for _ in range(40):
            flipped = bytearray(data)
            for at in rng.integers(0, len(data), rng.integers(1, 12)):
                flipped[at] = rng.integers(256)
            path.write_bytes(flipped)
            for reader in (
                (read_image, describe_file) if suffix == "png" else (read_video, describe_file)
            ):
                try:
                    reader(path, limits=Limits(max_pixels=10**6, max_frames=1000))
                except MediaError:
                    continue


# Files that lie about their size


def test_large_pictures_are_refused_before_they_cost(tmp_path, lab):
    path = tmp_path / "large.mp4"
    lab.encode_file(path, np.zeros((1, 4096, 4096, 3), np.uint8), options={"preset": "ultrafast"})
    assert path.stat().st_size < 100_000
    with pytest.raises(MediaLimitError, match=r"4096x4096.*max_pixels"):
        read_video(path, size=(16, 16))
    with pytest.raises(MediaLimitError, match="4096x4096"):
        probe_video(path)


def test_a_header_that_belittles_its_pictures(tmp_path, lab):
    path = tmp_path / "liar.mp4"
    lab.encode_file(path, np.zeros((2, 1024, 1024, 3), np.uint8), options={"preset": "ultrafast"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd"))
    data[entry + 28 : entry + 32] = b"\x00\x40\x00\x40"  # says 64x64; the stream says 1024
    path.write_bytes(data)
    with pytest.raises(MediaError):
        read_video(path, limits=Limits(max_pixels=512 * 512))


def test_image_limit(tmp_path):
    Image.new("1", (5000, 5000)).save(tmp_path / "a.png")
    with pytest.raises(MediaLimitError, match="5000x5000"):
        read_image(tmp_path / "a.png")


def test_image_bomb(tmp_path):
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", 0)
        + b"IDAT"
        + bytes(4)
    )
    with pytest.raises(MediaLimitError, match="too large"):
        read_image(tmp_path / "a.png", limits=Limits(max_pixels=10**10))


def test_limits_that_make_no_sense():
    for wrong in ({"max_pixels": 0}, {"max_duration_s": float("nan")}, {"max_corrupt_frames": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Limits(**wrong)


# Errors and atomic writing


def test_errors_travel_between_processes():
    error = TruncatedMediaError("a.mp4", "is truncated")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is TruncatedMediaError
        assert (twin.path, twin.reason, str(twin)) == (error.path, error.reason, str(error))


@pytest.mark.parametrize("suffix", [".mp4", ".webp", ".gif"])
def test_failing_writers_leave_the_old_file(tmp_path, lab, suffix):
    path = tmp_path / f"a{suffix}"
    frames = lab.moving_frames(4, 16, 16)
    write_video(path, frames, rate_fps=8)
    before = path.read_bytes()

    def breaks():
        yield frames[0]
        yield frames[1]
        raise RuntimeError("the renderer died")

    with pytest.raises(RuntimeError, match="renderer died"):
        write_video(path, breaks(), rate_fps=8)
    with pytest.raises(ValueError, match="frame 1 is"):
        write_video(path, [frames[0], np.zeros((8, 8, 3), np.uint8)], rate_fps=8)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_failing_encoder_leaves_nothing(tmp_path):
    # x264 takes no picture wider than 16384: the encoder itself fails, after the file is begun.
    with pytest.raises(MediaWriteError, match="encoder failed"):
        write_video(tmp_path / "a.mp4", np.zeros((1, 2, 20_000, 3), np.uint8), rate_fps=8)
    assert not list(tmp_path.iterdir())


def test_unwritable_places(tmp_path):
    image = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(MediaWriteError, match="does not exist: create it"):
        write_png(tmp_path / "absent" / "a.png", image)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(MediaWriteError, match="is a folder"):
        write_png(tmp_path / "folder.png", image)


def test_written_files_have_the_permissions_of_any_other(tmp_path):
    with write_aside(tmp_path / "a") as temporary:
        temporary.write_text("x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_killed_writer_leaves_the_old_file(tmp_path, lab):
    path = tmp_path / "a.mp4"
    write_video(path, lab.moving_frames(2, 16, 16), rate_fps=8)
    before = path.read_bytes()
    program = (
        "import os, signal, sys\nimport numpy as np\n"
        "from cyclorama.media.video import write_video\n"
        "def frames():\n"
        "    yield np.zeros((16, 16, 3), np.uint8)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_video(sys.argv[1], frames(), rate_fps=8)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -9
    assert path.read_bytes() == before
    assert len(read_video(path).frames) == 2
