"""From a folder of footage to a store of clips, in any number of sittings.

Picture a clerk who works through a pile of reels with helpers: the helpers cut (`cutting`), the
clerk files the clips in the order of the pile, refuses what was filed before from another reel,
and writes a line into the ledger when a reel is done. The ledger lies inside the store, one file
a reel, named by the reel's content and the settings. A clip is filed first, the line written
after; a reel without a line starts over, and its clips filed so far are taken out. So an ingest
killed at any moment and started again ends with the same rows and the same report as one that was
never disturbed. A reel that crashes its helper is a line in the report too. One
ingest at a time writes to a store. Leaves out resuming inside one reel.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclorama.data.cutting import CutConfig, CutFile, cut_file
from cyclorama.data.duplicates import Likeness, SeenClips
from cyclorama.data.shots import resolve_method
from cyclorama.data.sources import SIDECAR_SUFFIXES, VIDEO_SUFFIXES
from cyclorama.data.store import append_rows, create_store, delete_origins, likenesses
from cyclorama.worlds.processes import spawn_pool

_LEDGER = "_ingest"  # inside the store's folder; Lance leaves names it does not know alone
_ROWS_AT_ONCE = 256
# What `_origin` makes; rows of other making (rendered clips, another tool's) are never touched.
_ORIGIN = re.compile(r"[0-9a-f]{16}-[0-9a-f]{12}")
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class IngestResult:
    """What an ingest did: the store's files and clips, counted over all its sittings."""

    num_files: int
    num_clips: int
    num_rejected: int
    report: Path
    shots: str


@dataclass(frozen=True)
class _Reel:
    """A file of the folder: its name there, its content's hash, and the first file equal to it."""

    path: Path
    name: str
    sha256: str
    same_as: str | None


def ingest(
    folder: Path | str,
    store: Path | str,
    *,
    config: CutConfig | None = None,
    num_workers: int = 1,
    report: Path | str | None = None,
    progress: Progress | None = None,
) -> IngestResult:
    """Cut the videos of a folder into clips and append them to a store, made when absent.

    ``num_workers`` further processes cut, one file each (0: this one, where a decoder's crash is
    this process's own). ``report`` (default: the store's name + ``.report.jsonl``) gets a line of
    JSON for each rejected file and clip. ``progress(done, total, name)`` is told files.

    Raises ValueError when there is no folder, nothing in it, or the store is none of ours; a bad
    file is never an error.
    """
    config = config or CutConfig()
    config = config.model_copy(update={"shots": resolve_method(config.shots)})
    place, target = Path(folder), Path(store)
    if not place.is_dir():
        raise ValueError(f"no folder at {place}")
    reels, strange = _list_reels(place, leave_out=target)
    if not reels:
        raise ValueError(f"{place} holds no videos: known are {' '.join(sorted(VIDEO_SUFFIXES))}")
    if not target.exists():
        create_store(target)
    ledger = target / _LEDGER
    ledger.mkdir(exist_ok=True)
    seen = _start_over(target, ledger)
    unique = [reel for reel in reels if reel.same_as is None]
    open_reels = [reel for reel in unique if not _line_of(ledger, reel, config).exists()]
    done = len(unique) - len(open_reels)
    for reel, result in _cut_all(open_reels, config, num_workers=num_workers):
        line = _line_of(ledger, reel, config)
        _file(target, line, reel, result, config=config, seen=seen)
        done += 1
        if progress is not None:
            progress(done, len(unique), reel.name)
    path = Path(report) if report is not None else target.with_name(f"{target.name}.report.jsonl")
    lines, num_clips = _report(ledger, reels, config=config, strange=strange)
    _write_aside(path, "".join(json.dumps(line) + "\n" for line in lines))
    return IngestResult(len(reels), num_clips, len(lines), path, config.shots)


def _list_reels(folder: Path, *, leave_out: Path) -> tuple[list[_Reel], list[str]]:
    """Return the videos below a folder, by name, and the names of files that are none.

    ``leave_out`` is the store, which may lie in the folder itself, and its report.
    """
    reels: list[_Reel] = []
    strange: list[str] = []
    first_of: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        name = relative.as_posix()
        if leave_out in path.parents or path.name.startswith(f"{leave_out.name}.report"):
            continue
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            if path.suffix.lower() not in SIDECAR_SUFFIXES:
                strange.append(name)
            continue
        sha256 = _hash_file(path)
        reels.append(_Reel(path, name, sha256, first_of.get(sha256)))
        first_of.setdefault(sha256, name)
    return reels, strange


def _hash_file(path: Path) -> str:
    """Return the SHA-256 of a file and its sidecars, since the words belong to the clips."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    for suffix in SIDECAR_SUFFIXES:
        sidecar = path.with_suffix(suffix)
        if sidecar.is_file():
            digest.update(suffix.encode() + sidecar.read_bytes())
    return digest.hexdigest()


def _origin(reel: _Reel, config: CutConfig) -> str:
    """Return the name of a reel's work: its content under these settings."""
    return f"{reel.sha256[:16]}-{config.digest()}"


def _line_of(ledger: Path, reel: _Reel, config: CutConfig) -> Path:
    return ledger / f"{_origin(reel, config)}.json"


def _start_over(store: Path, ledger: Path) -> SeenClips:
    """Take out the clips of reels that were not finished; return what is known of the others."""
    finished = {path.stem for path in ledger.glob("*.json")}
    known = likenesses(store)
    torn = {o for _, o, *_ in known if _ORIGIN.fullmatch(o) and o not in finished}
    if torn:
        delete_origins(store, sorted(torn))
    seen = SeenClips()
    for clip_id, origin, plain, mirrored, thumbnail in known:
        if origin not in torn:
            seen.add(clip_id, Likeness(plain, mirrored, thumbnail), origin=origin)
    return seen


def _cut_all(
    reels: Sequence[_Reel], config: CutConfig, *, num_workers: int
) -> Iterator[tuple[_Reel, CutFile]]:
    """Yield each reel with its clips, in order, cut by a few processes ahead."""
    if num_workers == 0:
        for reel in reels:
            yield reel, _cut(reel, config)
        return
    todo = deque(reels)
    running: deque[tuple[_Reel, Future[CutFile]]] = deque()
    pool: ProcessPoolExecutor | None = None
    try:
        while todo or running:
            try:
                pool = pool or spawn_pool(num_workers)
                while todo and len(running) <= num_workers:
                    running.append((todo[0], pool.submit(_cut, todo[0], config)))
                    todo.popleft()
                result = running[0][1].result()
            except BrokenProcessPool:
                # Any of those under way may have crashed it: the first is tried alone, once.
                todo.extendleft(reel for reel, _ in reversed(running))
                running.clear()
                pool = None
                reel = todo.popleft()
                yield reel, _cut_alone(reel, config)
            else:
                yield running.popleft()[0], result
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _cut(reel: _Reel, config: CutConfig) -> CutFile:
    origin = _origin(reel, config)
    return cut_file(reel.path, config, name=reel.name, key=origin)


def _cut_alone(reel: _Reel, config: CutConfig) -> CutFile:
    with spawn_pool(1) as pool:
        try:
            return pool.submit(_cut, reel, config).result()
        except BrokenProcessPool:
            reason = "crashes its decoder (or needs more memory than there is)"
            return CutFile(rejected=[{"file": reel.name, "reason": reason}])


def _file(
    store: Path,
    line: Path,
    reel: _Reel,
    result: CutFile,
    *,
    config: CutConfig,
    seen: SeenClips,
) -> None:
    """Append a reel's clips that are no twins, then write its line: now it is done."""
    origin = line.stem
    rejected = list(result.rejected)
    kept: list[dict[str, Any]] = []
    for row in result.rows:
        look = Likeness(
            bytes(row["hash"]), bytes(row["mirrored_hash"]), row["thumbnail"].reshape(3, 16, 16)
        )
        twin = None
        if config.max_hash_distance is not None:
            twin = seen.twin_of(
                look,
                origin=origin,
                max_distance=config.max_hash_distance,
                max_difference=config.max_thumb_difference,
            )
        if twin is not None:
            reason = f"twin of {twin.id} ({twin.distance} of 192 signs differ)"
            rejected.append({"file": reel.name, "clip": row["id"], "reason": reason})
            continue
        seen.add(row["id"], look, origin=origin)
        kept.append({**row, "origin": origin})
    for start in range(0, len(kept), _ROWS_AT_ONCE):
        append_rows(store, kept[start : start + _ROWS_AT_ONCE])
    record = {"file": reel.name, "num_clips": len(kept), "rejected": rejected}
    _write_aside(line, json.dumps(record))


def _report(
    ledger: Path, reels: Sequence[_Reel], *, config: CutConfig, strange: Sequence[str]
) -> tuple[list[dict[str, Any]], int]:
    """Return the lines of the report in the order of the folder, and how many clips were kept."""
    lines: list[dict[str, Any]] = [{"file": name, "reason": "not a video"} for name in strange]
    num_clips = 0
    for reel in reels:
        if reel.same_as is not None:
            lines.append({"file": reel.name, "reason": f"same content as {reel.same_as}"})
            continue
        record = json.loads(_line_of(ledger, reel, config).read_text())
        num_clips += record["num_clips"]
        # A file may have been renamed since; the report speaks of it as it is called now.
        lines += [{**rejection, "file": reel.name} for rejection in record["rejected"]]
    return lines, num_clips


def _write_aside(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
