"""Samples in WebDataset tars, in and out: plain tar files, members grouped by name.

Picture a drawer where everything of one clip has the same name and another ending: ``000012.mp4``
the film, ``000012.json`` its record, ``000012.txt`` its words. Anything that writes such tars can
be read, and what is written here opens with ordinary tools. Only headers are walked at first; a
film is read by its place in the file when it is asked for, so access is random. A torn tar (a
download that stopped, a killed writer) is told in `TarClips.problems` and its whole samples are
served. Follows the layout of the webdataset library without needing it; leaves out compressed
tars, which cannot be read at random.
"""

import io
import json
import tarfile
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from cyclorama.data.clip import decode_clip, encode_clip
from cyclorama.data.sample import Sample, checked_index
from cyclorama.shapes import VideoShape

_FILMS = {"mp4": "h264", "lossless.mp4": "lossless", "raw": "raw"}
_SUFFIX_OF = {codec: suffix for suffix, codec in _FILMS.items()}


@dataclass(frozen=True)
class Member:
    """Where the bytes of one file inside a tar lie."""

    path: Path
    offset_bytes: int
    size_bytes: int

    def read(self) -> bytes:
        """Return the bytes; ValueError when the file has been cut since it was listed."""
        with self.path.open("rb") as file:
            file.seek(self.offset_bytes)
            data = file.read(self.size_bytes)
        if len(data) != self.size_bytes:
            raise ValueError(f"{self.path} is shorter than it was: open it again")
        return data


class TarClips:
    """Source over the samples of some tars, in the order of the files and inside them.

    ``problems`` lists torn tars and samples without a readable record, one line each; they are
    also given as warnings. ValueError when nothing at all could be read.
    """

    def __init__(self, paths: Sequence[Path | str]) -> None:
        found: list[dict[str, Any]] = []
        problems: list[str] = []
        for path in paths:
            members, torn = list_members(path)
            problems += torn
            for key, parts in members.items():
                try:
                    found.append(_entry(key, parts))
                except ValueError as error:
                    problems.append(f"{path}: {error}")
        if not found:
            raise ValueError(f"no clips in {', '.join(map(str, paths))}: {'; '.join(problems)}")
        self._entries = found
        self.problems = tuple(problems)
        for problem in problems:
            warnings.warn(problem, stacklevel=2)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._entries)

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of clip ``index`` from its record."""
        return self._entries[checked_index(index, len(self))]["shape"]

    def __getitem__(self, index: int) -> Sample:
        """Return clip ``index``; ValueError when its film is damaged."""
        entry = self._entries[checked_index(index, len(self))]
        record, shape = entry["record"], entry["shape"]
        try:
            frames = decode_clip(entry["film"].read(), shape, codec=entry["codec"])
        except ValueError as error:
            raise ValueError(f"{entry['film'].path}, sample {record['id']}: {error}") from error
        ids = entry["ids"]
        return Sample(
            id=record["id"],
            frames=frames,
            rate_fps=record["rate_fps"],
            captions=record["captions"],
            source=record["source"],
            truth=record["truth"],
            weight_map=None
            if ids is None
            else np.frombuffer(zlib.decompress(ids.read()), np.uint8).reshape(frames.shape[:3]),
        )


def open_tars(paths: Sequence[Path | str]) -> TarClips:
    """Return the samples of tars written by `write_tars` as a source; see `TarClips`.

    Tars made elsewhere hold films of any size: `unpack_tars` turns them into a folder, which
    `folder.open_folder` and `ingest` read.
    """
    return TarClips(paths)


def write_tars(
    directory: Path | str,
    samples: Iterable[Sample],
    *,
    codec: str = "h264",
    clips_per_tar: int = 1000,
) -> list[Path]:
    """Write samples as ``00000.tar``, ``00001.tar``, ... and return their paths.

    Each tar is written aside and renamed when complete. ``codec`` as in `clip.encode_clip`; the
    words stand in ``.txt`` (the short caption, for other tools) and all captions, rate and truth
    in ``.json``. Raises ValueError when the directory holds tars already.
    """
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    if list(place.glob("*.tar")):
        raise ValueError(f"{place} holds tars already: choose an empty directory")
    if codec not in _SUFFIX_OF or clips_per_tar < 1:
        raise ValueError(
            f"codec must be one of {', '.join(_SUFFIX_OF)} and clips_per_tar at least 1, "
            f"got {codec!r}, {clips_per_tar}"
        )
    paths: list[Path] = []
    waiting = iter(samples)
    number = 0
    while (first := next(waiting, None)) is not None:
        path = place / f"{len(paths):05d}.tar"
        aside = path.with_suffix(".tar.part")
        with tarfile.open(aside, "w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in chain([first], islice(waiting, clips_per_tar - 1)):
                for ending, data in _parts(sample, codec):
                    info = tarfile.TarInfo(f"{number:09d}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
                number += 1
        aside.replace(path)
        paths.append(path)
    return paths


def unpack_tars(paths: Sequence[Path | str], directory: Path | str) -> list[str]:
    """Write the members of tars as plain files; return the problems, as `TarClips` tells them.

    Members keep their name behind the tar's own, ``shard_000012.mp4``; a folder in a name becomes
    an underscore, so that nothing is written outside ``directory``.
    """
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    for path in paths:
        members, torn = list_members(path)
        problems += torn
        for key, parts in members.items():
            stem = f"{Path(path).stem}_{key}".replace("/", "_")
            for ending, member in parts.items():
                aside = place / f".{stem}.part"
                aside.write_bytes(member.read())
                aside.replace(place / f"{stem}.{ending}")
    return problems


def list_members(path: Path | str) -> tuple[dict[str, dict[str, Member]], list[str]]:
    """Return name -> ending -> member of a tar, and what is wrong with the tar (torn or none).

    A name ends at the first dot after its last folder, as the webdataset library has it. Members
    that reach beyond the end of the file are left out and told.
    """
    source = Path(path)
    members: dict[str, dict[str, Member]] = {}
    size_bytes = source.stat().st_size
    end_bytes = 0
    try:
        with tarfile.open(source, "r:") as tar:
            for info in tar:
                end_bytes = info.offset_data + info.size
                if end_bytes > size_bytes:
                    raise tarfile.ReadError(f"{info.name} is cut")
                if info.isfile():
                    folder, _, name = info.name.rpartition("/")
                    key, _, ending = name.partition(".")
                    key = f"{folder}/{key}" if folder else key
                    member = Member(source, info.offset_data, info.size)
                    members.setdefault(key, {})[ending.lower()] = member
    except tarfile.TarError as error:
        told = f"{source} is torn or no tar ({error}): its {len(members)} whole samples are used"
        return members, [told]
    if size_bytes < -(-end_bytes // 512) * 512 + 1024:  # two blocks of zeros end a whole tar
        return members, [f"{source} lacks its end mark: samples after the last one may be lost"]
    return members, []


def _parts(sample: Sample, codec: str) -> Iterator[tuple[str, bytes]]:
    """Yield ending and bytes of the files of one sample; the record comes last, as its seal."""
    shape = sample.shape
    record = {
        "id": sample.id,
        "num_frames": shape.num_frames,
        "height": shape.height,
        "width": shape.width,
        "rate_fps": sample.rate_fps,
        "captions": sample.captions,
        "source": sample.source,
        "truth": sample.truth,
    }
    yield _SUFFIX_OF[codec], encode_clip(sample.frames, sample.rate_fps, codec=codec)
    if sample.weight_map is not None:
        yield "ids", zlib.compress(sample.weight_map.tobytes(), 1)
    caption = sample.captions.get("short") or next(iter(sample.captions.values()), "")
    yield "txt", caption.encode()
    yield "json", json.dumps(record).encode()


def _entry(key: str, parts: dict[str, Member]) -> dict[str, Any]:
    """Return what is kept of a sample in memory; ValueError when it is not one of ours."""
    ending = next((e for e in _FILMS if e in parts), None)
    if ending is None or "json" not in parts:
        raise ValueError(
            f"sample {key!r} has {', '.join(sorted(parts))}, not a film with its record: for tars "
            "made elsewhere call unpack_tars and open the folder"
        )
    try:
        record = json.loads(parts["json"].read())
        shape = VideoShape(record["num_frames"], record["height"], record["width"])
        for name in ("id", "rate_fps", "captions", "source", "truth"):
            record[name]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"sample {key!r} has another record than ours ({error!r})") from error
    return {
        "record": record,
        "shape": shape,
        "film": parts[ending],
        "codec": _FILMS[ending],
        "ids": parts.get("ids"),
    }
