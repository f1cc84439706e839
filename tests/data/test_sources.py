"""A folder of videos: clips as their files show them, words from sidecars, problems told."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.fit import ClipFit
from cyclorama.data.sample import Source
from cyclorama.data.sources import list_videos, open_folder, read_sidecar
from cyclorama.media.errors import MediaError
from cyclorama.media.video import write_video
from cyclorama.shapes import VideoShape

FIT = ClipFit(short_side=32, max_frames=9)


def flat_colours(levels: list[int], *, height: int = 32, width: int = 48) -> np.ndarray:
    frames = np.empty((len(levels), height, width, 3), np.uint8)
    frames[:] = np.array(levels)[:, None, None, None]
    return frames


def test_clips_captions_and_truth(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    levels = [40, 60, 80, 100, 120, 140, 160, 180, 200, 220]
    write_video(tmp_path / "a.mp4", flat_colours(levels), rate_fps=8.0)
    write_video(tmp_path / "deep" / "b.webp", flat_colours([90] * 3, width=32), rate_fps=8.0)
    write_video(tmp_path / "c.mp4", flat_colours(levels[:5]), rate_fps=4.0)
    (tmp_path / "a.txt").write_text("it grows lighter\n")
    facts = {"captions": {"short": "x", "dense": "y"}, "truth": {"count": 0}}
    (tmp_path / "deep" / "b.json").write_text(json.dumps(facts))
    (tmp_path / "c.json").write_text(json.dumps({"caption": "slow"}))
    (tmp_path / ".hidden.mp4").write_bytes(b"not looked at")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = pickle.loads(pickle.dumps(open_folder(tmp_path, fit=FIT)))
    assert isinstance(source, Source) and len(source) == 3 and source.problems == ()
    first, second, third = (source[n] for n in range(3))
    assert [s.id for s in (first, second, third)] == ["a.mp4", "c.mp4", "deep/b.webp"]
    assert first.captions == {"short": "it grows lighter"} and first.truth is None
    assert second.captions == {"short": "slow"}
    assert (third.captions, third.truth) == (facts["captions"], facts["truth"])
    assert [source.shape_of(n) for n in range(3)] == [first.shape, second.shape, third.shape]
    assert first.shape == VideoShape(9, 32, 48) and third.shape == VideoShape(1, 32, 32)
    assert first.rate_fps == 8.0
    assert np.abs(first.frames.mean((1, 2, 3)) - levels[:9]).max() < 3
    # 4 fps shown at 8 fps: every picture twice, by the clock and not by the number.
    doubled = [level for level in levels[:5] for _ in range(2)][:9]
    assert np.abs(second.frames.mean((1, 2, 3)) - doubled).max() < 3


def test_problems_and_silence_are_warnings_not_errors(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", flat_colours([10, 99, 10]), rate_fps=8.0)
    write_video(tmp_path / "odd.mp4", flat_colours([10, 99, 10]), rate_fps=8.0)
    (tmp_path / "odd.json").write_text("{'caption'")
    (tmp_path / "torn.mp4").write_bytes((tmp_path / "good.mp4").read_bytes()[:300])
    with pytest.warns(UserWarning) as told:
        source = open_folder(tmp_path, fit=FIT)
    texts = [str(w.message) for w in told]
    assert "2 files" in texts[0] and "odd.json" in texts[0] and "torn.mp4" in texts[0]
    assert "1 of 1 videos" in texts[1]
    assert len(source) == 1 and source[0].captions == {"short": ""}
    assert source.num_silent == 1 and len(source.problems) == 2


def test_a_file_that_breaks_later_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)
    write_video(path, noise, rate_fps=8.0)
    (tmp_path / "x.txt").write_text("noise")
    source = open_folder(tmp_path, fit=FIT)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(MediaError, match=r"x\.mp4"):
        source[0]


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        open_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="no videos to read"):
        open_folder(tmp_path)
    assert list_videos(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["[1]", '{"captions": {"short": 3}}', '{"truth": "red"}', "\udcff"]
)
def test_sidecars_that_mean_nothing_are_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"x\.json"):
        read_sidecar(tmp_path / "x.mp4")
