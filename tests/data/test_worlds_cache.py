"""The cache holds what the engine shows live, whoever rendered it, also after a kill."""

import importlib.util
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.sample import Sample, Source
from cyclorama.shapes import VideoShape

if importlib.util.find_spec("mujoco") is None:
    pytest.skip("needs pip install 'cyclorama[worlds]'", allow_module_level=True)

from cyclorama.data.worlds_cache import build_worlds_cache, open_worlds_cache, render_cache
from cyclorama.data.worlds_live import WorldsClips, drawn_numbers, worlds_clips

SHAPES = ((VideoShape(5, 32, 32), 0.6), (VideoShape(1, 32, 48), 0.4))
CLIPS = WorldsClips("stage", "train", 9, SHAPES)


def assert_same(one: Sample, other: Sample) -> None:
    assert (one.id, one.rate_fps, one.captions, one.source, one.truth) == (
        other.id, other.rate_fps, other.captions, other.source, other.truth,
    )  # fmt: skip
    assert one.weight_map is not None and other.weight_map is not None
    assert np.array_equal(one.frames, other.frames)
    assert np.array_equal(one.weight_map, other.weight_map)


@pytest.fixture(scope="module")
def live() -> list[Sample]:
    return [CLIPS[n] for n in range(9)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cache")
    told = []
    render_cache(directory, CLIPS, shard_clips=3, progress=lambda *a: told.append(a))
    assert told[-1] == (9, 9) and [t[0] for t in told] == sorted(t[0] for t in told)
    return directory


def test_cached_clips_are_the_live_ones(place: Path, live: list[Sample]) -> None:
    cache = pickle.loads(pickle.dumps(open_worlds_cache(place)))
    assert isinstance(cache, Source) and isinstance(CLIPS, Source) and len(cache) == 9
    for n in range(9):
        assert cache.shape_of(n) == CLIPS.shape_of(n) == live[n].shape
        assert_same(cache[n], live[n])
    assert not cache[0].frames.flags.writeable
    assert len({sample.id for sample in live}) == 9
    assert live[0].truth is not None and live[0].captions["short"]
    with pytest.raises(IndexError):
        cache[9]


def test_workers_render_the_same(tmp_path: Path, live: list[Sample]) -> None:
    cache = render_cache(tmp_path, CLIPS, shard_clips=4, num_workers=1)
    for n in (0, 5, 8):
        assert_same(cache[n], live[n])


def test_a_killed_build_resumes(tmp_path: Path, live: list[Sample]) -> None:
    script = """
import os, signal, sys
from cyclorama.data.worlds_cache import render_cache
from cyclorama.data.worlds_live import WorldsClips
from cyclorama.shapes import VideoShape
shapes = ((VideoShape(5, 32, 32), 0.6), (VideoShape(1, 32, 48), 0.4))
def progress(done, total):
    if done > 6: os.kill(os.getpid(), signal.SIGKILL)
render_cache(sys.argv[1], WorldsClips("stage", "train", 9, shapes), shard_clips=3,
             progress=progress)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ValueError, match="it resumes"):
        open_worlds_cache(tmp_path)
    told = []
    cache = render_cache(tmp_path, CLIPS, shard_clips=3, progress=lambda *a: told.append(a[0]))
    assert told[0] > 3  # what was complete is not rendered again
    for n in range(9):
        assert_same(cache[n], live[n])


def test_a_cache_grows_and_refuses_other_settings(tmp_path: Path, live: list[Sample]) -> None:
    settings = {"domain": "stage", "split": "train", "shapes": SHAPES}
    build_worlds_cache(tmp_path, num_clips=4, **settings)
    cache = build_worlds_cache(tmp_path, num_clips=9, **settings)
    for n in (0, 3, 8):
        assert_same(cache[n], live[n])
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 2
    with pytest.raises(ValueError, match="take the first"):
        build_worlds_cache(tmp_path, num_clips=5, **settings)
    with pytest.raises(ValueError, match="split 'train' not 'val_id'"):
        build_worlds_cache(tmp_path, num_clips=9, **{**settings, "split": "val_id"})
    with pytest.raises(ValueError, match="no cache"):
        open_worlds_cache(tmp_path / "elsewhere")


def test_sizes_are_drawn_by_weight_and_never_change() -> None:
    drawn = drawn_numbers(np.arange(100_000), SHAPES)
    assert abs((drawn == 0).mean() - 0.6) < 0.005
    assert np.array_equal(drawn_numbers(np.arange(500, 900), SHAPES), drawn[500:900])
    # Neighbouring clips are independent: pairs of equal sizes are as many as chance gives.
    assert abs((drawn[1:] == drawn[:-1]).mean() - (0.36 + 0.16)) < 0.01
    source = worlds_clips("stage", "train", num_clips=12, shapes=SHAPES)
    assert [source.shape_of(n) for n in range(12)] == [SHAPES[k][0] for k in drawn[:12]]


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="stage"):
        worlds_clips("nowhere", "train", num_clips=1, shapes=SHAPES)
    with pytest.raises(ValueError, match="num_clips"):
        worlds_clips("stage", "train", num_clips=0, shapes=SHAPES)
    with pytest.raises(ValueError, match="weights > 0"):
        worlds_clips("stage", "train", num_clips=1, shapes=[(VideoShape(1, 8, 8), 0.0)])
