"""The store gives back what was put in, at any version, in spawned processes, after kills."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.duplicates import likeness
from cyclorama.data.filters import measure
from cyclorama.data.sample import Sample, Source
from cyclorama.shapes import VideoShape

pytest.importorskip("lance", reason="needs pip install 'cyclorama[data]'")
from cyclorama.data import store


def a_sample(number: int, *, with_truth: bool = True) -> Sample:
    rng = np.random.default_rng(number)
    size = [(1, 32, 48), (5, 16, 16), (9, 32, 32)][number % 3]
    frames = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    return Sample(
        id=f"clip{number:03d}",
        frames=frames,
        rate_fps=8.0 if number % 2 else 23.976,
        captions={"short": f"it's clip {number}", "dense": "a \u0416 \U0001f600"},
        source="test",
        truth={"count": number, "objects": [{"colour": "red"}]} if with_truth else None,
        weight_map=(frames[..., 0] > 200).astype(np.uint8) if with_truth else None,
    )


def assert_same(one: Sample, other: Sample) -> None:
    assert (one.id, one.rate_fps, one.captions, one.source, one.truth) == (
        other.id, other.rate_fps, other.captions, other.source, other.truth,
    )  # fmt: skip
    assert np.array_equal(one.frames, other.frames)
    if one.weight_map is None:
        assert other.weight_map is None
    else:
        assert np.array_equal(one.weight_map, other.weight_map)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    path = tmp_path / "clips.lance"
    store.create_store(path)
    # Appended backwards: the order of a source is that of the ids, not of appending.
    samples = [a_sample(n, with_truth=n % 2 == 0) for n in reversed(range(12))]
    store.append_samples(path, samples, codec="lossless", batch_clips=5)
    return path


def test_samples_come_back_to_the_bit_in_the_order_of_ids(filled: Path) -> None:
    source = store.open_store(filled)
    assert isinstance(source, Source)
    assert len(source) == 12 and source.ids == [f"clip{n:03d}" for n in range(12)]
    for n in (0, 11, 5, -1, 4, 5):
        assert_same(source[n], a_sample(n % 12, with_truth=n % 2 == 0 and n != -1))
        assert source.shape_of(n) == source[n].shape
    with pytest.raises(IndexError, match="12"):
        source[12]


def test_h264_rows_keep_measurements_and_shapes(tmp_path: Path) -> None:
    store.create_store(tmp_path / "x.lance")
    sample = a_sample(2)
    row = store.clip_row(sample, quality=measure(sample.frames), origin="film'1.mp4")
    store.append_rows(tmp_path / "x.lance", [row])
    back = store.open_store(tmp_path / "x.lance")[0]
    assert back.shape == VideoShape(9, 32, 32)
    columns = store.read_columns(tmp_path / "x.lance", ["blur", "origin"])
    assert columns["blur"] == [pytest.approx(measure(sample.frames).blur)]
    assert columns["origin"] == ["film'1.mp4"]
    look = likeness(sample.frames)
    ((clip_id, origin, plain, mirrored, thumbnail),) = store.likenesses(tmp_path / "x.lance")
    assert (clip_id, origin, plain, mirrored) == (
        sample.id, "film'1.mp4", look.plain, look.mirrored,
    )  # fmt: skip
    assert np.array_equal(thumbnail, look.thumbnail)
    store.delete_origins(tmp_path / "x.lance", ["film'1.mp4"])
    assert len(store.open_store(tmp_path / "x.lance")) == 0


def test_a_version_stays_as_it_was(filled: Path) -> None:
    before = store.open_store(filled)
    samples = [before[n] for n in range(12)]
    version = store.append_samples(filled, [a_sample(50)], codec="raw")
    assert version > before.version and len(store.open_store(filled)) == 13
    store.delete_origins(filled, [""])  # every row here has no origin
    assert len(store.open_store(filled)) == 0
    again = store.open_store(filled, version=before.version)
    assert len(again) == 12
    for n in range(12):
        assert_same(again[n], samples[n])
        assert_same(before[n], samples[n])


def test_an_id_is_taken_once(filled: Path) -> None:
    with pytest.raises(ValueError, match="clip003"):
        store.append_samples(filled, [a_sample(3)])
    row = store.clip_row(a_sample(77))
    with pytest.raises(ValueError, match="clip077"):
        store.append_rows(filled, [row, row])
    assert len(store.open_store(filled)) == 12


def test_a_caption_column_joins_the_captions(filled: Path) -> None:
    seen = []

    def caption(samples: list[Sample]) -> list[str]:
        seen.extend(s.id for s in samples)
        return [f"{s.id} of {s.shape}" for s in samples]

    store.add_column(filled, "caption_mine", values=caption, batch_clips=4)
    assert sorted(seen) == [f"clip{n:03d}" for n in range(12)]
    source = store.open_store(filled)
    assert source[4].captions == {**a_sample(4).captions, "mine": "clip004 of 5x16x16"}
    store.append_samples(filled, [a_sample(60)])  # rows without the column go on working
    assert "mine" not in store.open_store(filled)[12].captions
    with pytest.raises(ValueError, match="caption_mine"):
        store.add_column(filled, "caption_mine", values=caption)
    assert not list(filled.parent.glob("*.checkpoint"))


def test_a_killed_column_goes_on_where_it_was(filled: Path) -> None:
    script = """
import os, signal, sys
from cyclorama.data import store
def values(samples):
    if samples[0].id == "clip003": os.kill(os.getpid(), signal.SIGKILL)
    return [s.id for s in samples]
store.add_column(sys.argv[1], "word", values=values, batch_clips=1)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(filled)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(store.open_store(filled)) == 12  # the store is whole
    seen = []

    def values(samples: list[Sample]) -> list[str]:
        seen.extend(s.id for s in samples)
        return [s.id for s in samples]

    store.add_column(filled, "word", values=values, batch_clips=1)
    assert 0 < len(seen) < 12
    columns = store.read_columns(filled, ["id", "word"])
    assert columns["id"] == columns["word"]


def _frames_of(source: store.StoreClips, index: int) -> np.ndarray:
    return source[index].frames


def test_spawned_processes_read_the_same_version(filled: Path) -> None:
    source = store.open_store(filled)
    assert len(pickle.dumps(source)) < 1000  # no handle travels
    store.append_samples(filled, [a_sample(1000)])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        frames = pool.apply(_frames_of, (source, -1))
    assert np.array_equal(frames, source[-1].frames)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_is_refused_instead_of_hanging(filled: Path) -> None:
    source = store.open_store(filled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python and Lance warn of forking, which is the point
        child = os.fork()
    if child == 0:
        try:
            _frames_of(source, 0)
            os._exit(1)
        except RuntimeError as error:
            os._exit(0 if "spawn" in str(error) else 2)
        except BaseException:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cyclorama ingest"):
        store.open_store(tmp_path / "absent.lance")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no readable store"):
        store.open_store(tmp_path / "empty")
    with pytest.raises(ValueError, match="exists"):
        store.create_store(tmp_path / "empty")
    lance = pytest.importorskip("lance")
    pa = pytest.importorskip("pyarrow")
    lance.write_dataset(pa.table({"a": [1]}), str(tmp_path / "other.lance"))
    with pytest.raises(ValueError, match="another make"):
        store.open_store(tmp_path / "other.lance")
