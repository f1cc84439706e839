"""A store of clips on disk: one Lance table, a row a clip, read at random, grown by columns.

Picture a card index: every card holds the rolled-up film, its size and rate, its words, what was
measured of it and the engine's truth. Cards are appended in atomic batches, columns (a second
captioner's words, latents) are added without touching the film, and a training run reads one
pinned version whatever happens meanwhile. Source of the choice and of its traps: Lance 14.0.2,
measured against Parquet, WebDataset and others. The traps are closed here: a process forked after
Lance was loaded is refused (one in six crashed or hung), handles never travel in a pickle, row
ids are stable, the storage version is written out, rows are found by our own id and checked.
Leaves out editing rows in place. Needs the extra ``data``.
"""

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cyclorama.data.clip import decode_clip, encode_clip
from cyclorama.data.duplicates import HASH_BYTES, THUMBNAIL_BYTES, likeness
from cyclorama.data.filters import Quality
from cyclorama.data.sample import Sample, checked_index
from cyclorama.shapes import VideoShape

STORAGE_VERSION = "2.1"  # Lance's default moved twice within a year, so it is written out
_FORMAT = b"1"
_FORMAT_KEY = b"cyclorama_store"
_QUALITIES = tuple(f.name for f in fields(Quality))
_CAPTION = "caption_"  # columns so named join a sample's captions
_SHAPE_COLUMNS = ["id", "num_frames", "height", "width"]
_SAMPLE_COLUMNS = [
    *_SHAPE_COLUMNS, "rate_fps", "codec", "clip", "captions", "source", "truth", "object_ids",
]  # fmt: skip
_loaded_in: list[int] = []


def create_store(path: Path | str) -> None:
    """Make an empty store; ValueError when something lies at ``path``."""
    lance, pa = _lance()
    if Path(path).exists():
        raise ValueError(f"{path} exists: open it, append to it, or choose another name")
    aside = Path(path).with_name(f".{Path(path).name}.part")
    shutil.rmtree(aside, ignore_errors=True)  # left by a process killed right here
    lance.write_dataset(
        pa.Table.from_pylist([], schema=_schema(pa)),
        str(aside),
        mode="create",
        data_storage_version=STORAGE_VERSION,
        enable_stable_row_ids=True,
        max_rows_per_file=8192,
    )
    aside.rename(path)


def clip_row(
    sample: Sample,
    *,
    codec: str = "h264",
    quality: Quality | None = None,
    origin: str = "",
) -> dict[str, Any]:
    """Return the card of a sample, its film encoded; cheap to send between processes.

    ``origin`` says which file it was cut from, so that all its clips can be found again.
    """
    shape = sample.shape
    look = likeness(sample.frames)
    ids = sample.weight_map
    measured = {} if quality is None else quality.to_dict()
    return {
        "id": sample.id,
        "num_frames": shape.num_frames,
        "height": shape.height,
        "width": shape.width,
        "rate_fps": sample.rate_fps,
        "codec": codec,
        "clip": encode_clip(sample.frames, sample.rate_fps, codec=codec),
        "captions": json.dumps(sample.captions),
        "source": sample.source,
        "origin": origin,
        "truth": None if sample.truth is None else json.dumps(sample.truth),
        "object_ids": None if ids is None else zlib.compress(ids.tobytes(), 1),
        "hash": list(look.plain),
        "mirrored_hash": list(look.mirrored),
        "thumbnail": look.thumbnail.reshape(-1),
        **{name: measured.get(name) for name in _QUALITIES},
    }


def append_rows(path: Path | str, rows: Sequence[dict[str, Any]]) -> int:
    """Append cards made by `clip_row` in one atomic step; return the store's new version.

    Raises ValueError when an id is there already, since ids are how rows are found.
    """
    lance, pa = _lance()
    dataset = _open_dataset(path)
    if not rows:
        return dataset.version
    known = set(dataset.to_table(columns=["id"])["id"].to_pylist())
    twice = [row["id"] for row in rows if row["id"] in known or known.add(row["id"])]
    if twice:
        raise ValueError(f"{path} holds these ids already: {', '.join(twice[:5])}")
    table = pa.Table.from_pylist(list(rows), schema=_schema(pa))
    extra = [name for name in dataset.schema.names if name not in table.schema.names]
    for name in extra:  # columns added later are empty for new rows
        kind = dataset.schema.field(name).type
        table = table.append_column(name, pa.nulls(len(table), kind))
    written = lance.write_dataset(
        table.select(dataset.schema.names), dataset, mode="append", max_rows_per_file=8192
    )
    return written.version


def append_samples(
    path: Path | str, samples: Iterable[Sample], *, codec: str = "h264", batch_clips: int = 256
) -> int:
    """Append samples of any source in batches; return the store's new version."""
    rows: list[dict[str, Any]] = []
    version = _open_dataset(path).version
    for sample in samples:
        rows.append(clip_row(sample, codec=codec))
        if len(rows) == batch_clips:
            version = append_rows(path, rows)
            rows.clear()
    return append_rows(path, rows) if rows else version


def delete_origins(path: Path | str, origins: Sequence[str]) -> None:
    """Delete all rows cut from some files, as an interrupted ingest must before it starts over."""
    quoted = ", ".join("'" + origin.replace("'", "''") + "'" for origin in origins)
    if quoted:
        _open_dataset(path).delete(f"origin IN ({quoted})")


def likenesses(path: Path | str) -> list[tuple[str, str, bytes, bytes, np.ndarray]]:
    """Return (id, origin, hash, mirrored hash, thumbnail (3,16,16)) of every row, as appended."""
    names = ["id", "origin", "hash", "mirrored_hash", "thumbnail"]
    table = _open_dataset(path).to_table(columns=names).combine_chunks()
    if not len(table):
        return []
    plain, mirrored, thumbnails = (
        table[name].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        for name in names[2:]
    )
    return [
        (clip_id, origin, p.tobytes(), m.tobytes(), t.reshape(3, 16, 16))
        for clip_id, origin, p, m, t in zip(
            table["id"].to_pylist(), table["origin"].to_pylist(), plain, mirrored, thumbnails,
            strict=True,
        )
    ]  # fmt: skip


def read_columns(path: Path | str, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return columns of the newest version as lists, in the order of appending."""
    table = _open_dataset(path).to_table(columns=list(names))
    return {name: table[name].to_pylist() for name in names}


@dataclass(frozen=True)
class _Index:
    """What is kept of a version in memory: 50 bytes a clip."""

    ids: list[str]
    rows: np.ndarray  # (num_clips,), place of the i-th id in the version
    shapes: np.ndarray  # (num_clips, 3)


class StoreClips:
    """Source over one version of a store, ordered by id; opened anew in each process.

    Pickles as path and version. Raises ValueError when ``path`` is no store of this project.
    """

    def __init__(self, path: Path | str, *, version: int | None = None) -> None:
        self.path = Path(path)
        self._open(version)

    def _open(self, version: int | None) -> None:
        self._dataset = _open_dataset(self.path, version=version)
        self.version: int = self._dataset.version
        names = self._dataset.schema.names
        self._captions = [name for name in names if name.startswith(_CAPTION)]
        table = self._dataset.to_table(columns=_SHAPE_COLUMNS)
        ids = table["id"].to_pylist()
        rows = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
        sizes = np.stack([table[name].to_numpy() for name in _SHAPE_COLUMNS[1:]], 1)
        self._index = _Index([ids[row] for row in rows], rows, sizes[rows])

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "version": self.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open(state["version"])

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._index.ids)

    @property
    def ids(self) -> list[str]:
        """Ids of all clips, in the order of the indices."""
        return list(self._index.ids)

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of clip ``index``; nothing is read."""
        return VideoShape(*map(int, self._index.shapes[checked_index(index, len(self))]))

    def __getitem__(self, index: int) -> Sample:
        """Return clip ``index``, decoded; ValueError when the row is damaged."""
        position = checked_index(index, len(self))
        _lance()  # refuses a forked process before it can hang
        columns = [*_SAMPLE_COLUMNS, *self._captions]
        table = self._dataset.take([int(self._index.rows[position])], columns=columns)
        rows = table.to_pylist()
        if [row["id"] for row in rows] != [self._index.ids[position]]:
            raise ValueError(
                f"{self.path} version {self.version} does not hold clip "
                f"{self._index.ids[position]!r} where it did: the files were changed from outside"
            )
        return _to_sample(rows[0])


def open_store(path: Path | str, *, version: int | None = None) -> StoreClips:
    """Return a store as a source, pinned to ``version`` or to the newest one now."""
    return StoreClips(path, version=version)


def add_column(
    path: Path | str,
    name: str,
    *,
    values: Callable[[list[Sample]], list[Any]],
    kind: str = "string",
    batch_clips: int = 32,
) -> int:
    """Compute a value for every clip and add it as a column; return the new version.

    ``values`` is handed samples and returns as many values of Arrow type ``kind`` ("string",
    "float32", "binary", ...). A column ``caption_x`` becomes caption ``x`` of every sample.
    Killed, it goes on where it was when called again (a checkpoint lies beside the store).
    """
    lance, pa = _lance()
    dataset = _open_dataset(path)
    if name in dataset.schema.names:
        raise ValueError(f"{path} has a column {name!r} already: choose another name")
    schema = pa.schema([pa.field(name, pa.type_for_alias(kind))])
    checkpoint = Path(f"{path}.{name}.checkpoint")
    captions = [c for c in dataset.schema.names if c.startswith(_CAPTION)]

    def compute(batch: Any) -> Any:
        samples = [_to_sample(row) for row in batch.to_pylist()]
        made = values(samples)
        if len(made) != len(samples):
            raise ValueError(f"{len(made)} values of {name!r} for {len(samples)} clips")
        return pa.RecordBatch.from_arrays([pa.array(made, schema.field(0).type)], schema=schema)

    transform = lance.batch_udf(output_schema=schema, checkpoint_file=str(checkpoint))(compute)
    dataset.add_columns(
        transform, read_columns=[*_SAMPLE_COLUMNS, *captions], batch_size=batch_clips
    )
    checkpoint.unlink(missing_ok=True)
    return dataset.version


def _to_sample(row: dict[str, Any]) -> Sample:
    shape = VideoShape(row["num_frames"], row["height"], row["width"])
    try:
        frames = decode_clip(row["clip"], shape, codec=row["codec"])
    except ValueError as error:
        raise ValueError(f"clip {row['id']!r} of the store: {error}") from error
    ids = row["object_ids"]
    captions = json.loads(row["captions"])
    for name, text in row.items():
        if name.startswith(_CAPTION) and text is not None:
            captions[name.removeprefix(_CAPTION)] = text
    return Sample(
        id=row["id"],
        frames=frames,
        rate_fps=row["rate_fps"],
        captions=captions,
        source=row["source"],
        truth=None if row["truth"] is None else json.loads(row["truth"]),
        weight_map=None
        if ids is None
        else np.frombuffer(zlib.decompress(ids), np.uint8).reshape(frames.shape[:3]),
    )


def _schema(pa: Any) -> Any:
    text, whole, real = pa.string(), pa.int32(), pa.float32()
    hash_type = pa.list_(pa.uint8(), HASH_BYTES)
    columns = {
        "id": text, "num_frames": whole, "height": whole, "width": whole, "rate_fps": pa.float64(),
        "codec": text, "clip": pa.large_binary(), "captions": text, "source": text,
        "origin": text, "truth": text, "object_ids": pa.large_binary(), "hash": hash_type,
        "mirrored_hash": hash_type, "thumbnail": pa.list_(pa.uint8(), THUMBNAIL_BYTES),
        **dict.fromkeys(_QUALITIES, real),
    }  # fmt: skip
    return pa.schema(columns.items(), metadata={_FORMAT_KEY: _FORMAT})


def _open_dataset(path: Path | str, *, version: int | None = None) -> Any:
    lance, _ = _lance()
    if not Path(path).is_dir():
        raise ValueError(f"no store at {path}: make one with `cyclorama ingest` or create_store")
    try:
        dataset = lance.dataset(str(path), version=version)
    except (ValueError, OSError) as error:
        told = f" with version {version}" if version is not None else ""
        raise ValueError(f"{path} is no readable store{told}: {error}") from error
    if (dataset.schema.metadata or {}).get(_FORMAT_KEY) != _FORMAT:
        raise ValueError(f"{path} is a Lance table of another make: ingest its clips anew")
    return dataset


def _lance() -> tuple[Any, Any]:
    """Return Lance and PyArrow; one line when the extra is absent or the process was forked."""
    try:
        import lance
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{error}: a store needs pip install 'cyclorama[data]'") from error
    if not _loaded_in:
        _loaded_in.append(os.getpid())
    if _loaded_in[0] != os.getpid():
        raise RuntimeError("Lance crashes in forked processes: start workers with 'spawn'")
    return lance, pyarrow
