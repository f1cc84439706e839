"""Tars: what goes in comes out, a torn one gives its whole samples and says so."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.sample import Sample, Source
from cyclorama.data.tars import list_members, open_tars, unpack_tars, write_tars


def a_sample(number: int) -> Sample:
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 256, (1 + 4 * (number % 2), 16, 32, 3)).astype(np.uint8)
    return Sample(
        id=f"s{number}",
        frames=frames,
        rate_fps=12.5,
        captions={"dense": "long", "short": f"clip \u00e9 {number}"} if number else {},
        source="made",
        truth={"count": number} if number % 2 else None,
        weight_map=(frames[..., 1] > 99).astype(np.uint8) if number % 3 else None,
    )


@pytest.mark.parametrize("codec", ["raw", "lossless"])
def test_samples_come_back_to_the_bit(tmp_path: Path, codec: str) -> None:
    samples = [a_sample(n) for n in range(7)]
    paths = write_tars(tmp_path, iter(samples), codec=codec, clips_per_tar=3)
    assert [p.name for p in paths] == ["00000.tar", "00001.tar", "00002.tar"]
    source = pickle.loads(pickle.dumps(open_tars(paths)))
    assert isinstance(source, Source) and len(source) == 7 and source.problems == ()
    for n in (6, 0, 3, 1, 2, 5, 4):
        back, sample = source[n], samples[n]
        assert source.shape_of(n) == sample.shape
        assert (back.id, back.rate_fps, back.captions, back.source, back.truth) == (
            sample.id, sample.rate_fps, sample.captions, sample.source, sample.truth,
        )  # fmt: skip
        assert np.array_equal(back.frames, sample.frames)
        assert (back.weight_map is None) == (sample.weight_map is None)
        if sample.weight_map is not None:
            assert np.array_equal(back.weight_map, sample.weight_map)
    with pytest.raises(ValueError, match="holds tars already"):
        write_tars(tmp_path, samples)


def test_a_tar_torn_at_any_byte_serves_its_whole_samples(tmp_path: Path) -> None:
    samples = [a_sample(n) for n in range(4)]
    (whole,) = write_tars(tmp_path / "whole", samples, codec="lossless")
    data = whole.read_bytes()
    torn = tmp_path / "torn.tar"
    parts = list_members(whole)[0].values()
    ends = [-(-(p["json"].offset_bytes + p["json"].size_bytes) // 512) * 512 for p in parts]
    for num_whole, end_bytes in [(0, ends[0] // 2), *enumerate(ends, start=1)]:
        for size_bytes in {end_bytes, end_bytes + 700}:
            torn.write_bytes(data[:size_bytes])
            if num_whole == 0:
                with pytest.raises(ValueError, match=r"no clips in .*torn"):
                    open_tars([torn])
                continue
            with pytest.warns(UserWarning, match=r"torn|end mark"):
                source = open_tars([torn])
            assert len(source) == num_whole and len(source.problems) >= 1
            for n in range(num_whole):
                assert np.array_equal(source[n].frames, samples[n].frames)


def test_a_file_that_is_no_tar_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"hello" * 400)
    with pytest.raises(ValueError, match=r"x\.tar is torn or no tar"):
        open_tars([tmp_path / "x.tar"])


def test_foreign_tars_are_told_and_unpacked_inside_the_folder(tmp_path: Path) -> None:
    foreign = tmp_path / "shard.tar"
    with tarfile.open(foreign, "w") as tar:
        for name, data in [("a/x.mp4", b"film"), ("a/x.txt", b"words"), ("../../up.MP4", b"f2")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(ValueError, match="unpack_tars"):
        open_tars([foreign])
    assert unpack_tars([foreign], tmp_path / "out") == []
    written = {p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/**/*")}
    assert written == {"shard_a_x.mp4", "shard_a_x.txt", "shard_.._.._up.mp4"}
    assert (tmp_path / "out" / "shard_a_x.txt").read_bytes() == b"words"
    members, problems = list_members(foreign)
    assert set(members) == {"a/x", "../../up"} and problems == []
