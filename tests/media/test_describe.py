"""What a person is told about a file."""

from fractions import Fraction

import numpy as np
import pytest

from cyclorama.media.describe import describe_file
from cyclorama.media.errors import UnreadableMediaError
from cyclorama.media.video import write_video


def test_our_own_files(tmp_path, lab):
    for suffix in (".mp4", ".webp", ".gif"):
        path = tmp_path / f"a{suffix}"
        write_video(
            path,
            lab.moving_frames(17, 32, 48),
            rate_fps=8,
            metadata={"prompt": "a red ball", "seed": 3},
        )
        text = describe_file(path)
        assert text.startswith(f"{path}: video\n  picture 48x32, ")
        assert "2.12 s at 8" in text and "17 frames declared" in text
        made = text[text.index("  made by cyclorama:") :].splitlines()
        assert [line.split(None, 1) for line in made[1:]] == [
            ["prompt", "a red ball"],
            ["seed", "3"],
        ]
        assert "warning" not in text


def test_warnings(tmp_path, lab):
    path = tmp_path / "odd.mp4"
    lab.encode_file(
        path,
        lab.moving_frames(6, 32, 48),
        rotation=90,
        aspect=Fraction(4, 3),
        trc=16,
        pix_fmt="yuv420p10le",
    )
    text = describe_file(path)
    assert "picture 32x64, h264, yuv420p10le" in text
    for warning in (
        "HDR: refused",
        "shown turned by 270 degrees: applied",
        "oblong pixels, 4/3 wide",
    ):
        assert f"warning {warning}" in text, text
    lab.encode_file(
        tmp_path / "uneven.mkv",
        lab.moving_frames(5, 32, 48),
        pts=[0, 40, 90, 700, 720],
        time_base=Fraction(1, 1000),
    )
    assert "warning uneven frame times" in describe_file(tmp_path / "uneven.mkv")


def test_files_cannot_write_to_the_terminal(tmp_path, lab):
    path = tmp_path / "a.mp4"
    write_video(
        path,
        np.zeros((1, 4, 4, 3), np.uint8),
        rate_fps=8,
        metadata={"prompt": "red\x1b[2J\n\rball", "\x07key": ["\x1b]0;x"]},
    )
    text = describe_file(path)
    assert "\x1b" not in text and "\x07" not in text and "\r" not in text
    assert "red [2J  ball" in text


def test_what_is_no_media_file(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(UnreadableMediaError, match=r"a\.txt"):
        describe_file(tmp_path / "a.txt")
