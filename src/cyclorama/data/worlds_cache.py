"""Engine clips kept on disk, so that any of them is there at once: rendered once, mapped for ever.

Picture the live book of `worlds_live` with its pages printed and bound in volumes. A volume (a
shard) is a directory with three plain files: all frames and all object ids as memory-mapped NumPy
arrays, and one JSON line of words and truth a clip. A volume holds clips of one size, so that it
is one array. It is bound aside and renamed when complete: after a kill, building again prints
only what is missing, and growing a cache reprints only the last volume of each size. Leaves out
compression: 17x64x64 costs 279 kB a clip and nothing to open. One builder at a time, and no
reader while a cache grows.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cyclorama.data.sample import Sample, checked_index
from cyclorama.data.worlds_live import WeightedShapes, WorldsClips, drawn_numbers
from cyclorama.shapes import VideoShape
from cyclorama.worlds.processes import spawn_pool

_CARD = "cache.json"
_FORMAT = 1
_BLOCK = 16  # clips a worker renders between two reports
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Shard:
    """One volume: where it lies, its size and the clip indices it holds, in order."""

    name: str
    shape: VideoShape
    indices: np.ndarray


class WorldsCache:
    """Source of cached clips; ``frames`` and ``weight_map`` are read-only views of the files.

    Pickles as its path. Raises ValueError when the directory is no cache or not complete.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._open()

    def _open(self) -> None:
        self.card = _read_card(self.directory)
        shapes = _shapes_of(self.card)
        self._shards = _plan(self.card["num_clips"], shapes, shard_clips=self.card["shard_clips"])
        missing = [s.name for s in self._shards if not (self.directory / s.name).is_dir()]
        if missing:
            raise ValueError(
                f"{self.directory} lacks {len(missing)} of {len(self._shards)} shards: run "
                "build_worlds_cache again with the same settings, it resumes"
            )
        self._shard_of = np.zeros(self.card["num_clips"], np.int32)
        self._row_of = np.zeros(self.card["num_clips"], np.int32)
        for number, shard in enumerate(self._shards):
            self._shard_of[shard.indices] = number
            self._row_of[shard.indices] = np.arange(len(shard.indices))
        self._opened: dict[int, tuple[np.ndarray, np.ndarray, list[bytes]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.directory = state["directory"]
        self._open()

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._row_of)

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of clip ``index``; no file is touched."""
        return self._shards[self._shard_of[checked_index(index, len(self))]].shape

    def __getitem__(self, index: int) -> Sample:
        """Return clip ``index``; its arrays are views, so only what is looked at is read."""
        position = checked_index(index, len(self))
        frames, object_ids, lines = self._shard(int(self._shard_of[position]))
        row = self._row_of[position]
        words = json.loads(lines[row])
        return Sample(
            id=words["id"],
            frames=frames[row],
            rate_fps=self.card["rate_fps"],
            captions=words["captions"],
            source=words["source"],
            truth=words["truth"],
            weight_map=object_ids[row],
        )

    def _shard(self, number: int) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
        if number not in self._opened:
            place = self.directory / self._shards[number].name
            frames = np.asarray(np.load(place / "frames.npy", mmap_mode="r"))
            object_ids = np.asarray(np.load(place / "object_ids.npy", mmap_mode="r"))
            lines = (place / "clips.jsonl").read_bytes().splitlines()
            if not len(frames) == len(object_ids) == len(lines):
                raise ValueError(f"{place} is damaged: delete it and build the cache again")
            self._opened[number] = frames, object_ids, lines
        return self._opened[number]


def open_worlds_cache(directory: Path | str) -> WorldsCache:
    """Return the complete cache at ``directory``; ValueError when it is not one."""
    return WorldsCache(directory)


def build_worlds_cache(
    directory: Path | str,
    *,
    domain: str,
    split: str,
    num_clips: int,
    shapes: WeightedShapes,
    rate_fps: float = 8.0,
    num_workers: int = 0,
    progress: Progress | None = None,
) -> WorldsCache:
    """Render what is missing of a cache and return it; a complete one is opened at once.

    ``shapes`` are sizes with weights; ``num_workers`` further processes render (0: this one).
    ``progress(done, total)`` is told clips. Raises ValueError when the directory holds a cache of
    other settings, or the disk is too small.
    """
    clips = WorldsClips(domain, split, num_clips, tuple(shapes), rate_fps)
    return render_cache(directory, clips, num_workers=num_workers, progress=progress)


def render_cache(
    directory: Path | str,
    clips: WorldsClips,
    *,
    shard_clips: int = 512,
    num_workers: int = 0,
    progress: Progress | None = None,
) -> WorldsCache:
    """`build_worlds_cache` for a given live source and number of clips in a shard."""
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    _write_card(place, clips, shard_clips)
    plan = _plan(clips.num_clips, clips.shapes, shard_clips=shard_clips)
    for torn in place.glob("*.part"):
        shutil.rmtree(torn) if torn.is_dir() else torn.unlink()
    missing = [shard for shard in plan if not (place / shard.name).is_dir()]
    _check_disk(place, missing)
    done = clips.num_clips - sum(len(shard.indices) for shard in missing)
    if missing:
        for count in _render_shards(place, missing, clips, num_workers=num_workers):
            done += count
            if progress is not None:
                progress(done, clips.num_clips)
    known = {shard.name for shard in plan}
    for old in place.iterdir():
        if old.is_dir() and old.name not in known:
            shutil.rmtree(old)  # the shorter last volume of a cache that has grown
    return WorldsCache(place)


def _plan(num_clips: int, shapes: WeightedShapes, *, shard_clips: int) -> list[Shard]:
    """Return the volumes of a cache; names hold the count, so a grown volume is another one."""
    drawn = drawn_numbers(np.arange(num_clips), shapes)
    plan = []
    for number, (shape, _) in enumerate(shapes):
        indices = np.flatnonzero(drawn == number)
        for start in range(0, len(indices), shard_clips):
            part = indices[start : start + shard_clips]
            name = f"{number}-{shape}-{start // shard_clips:05d}-{len(part)}"
            plan.append(Shard(name, shape, part))
    return plan


def _render_shards(
    place: Path, missing: Sequence[Shard], clips: WorldsClips, *, num_workers: int
) -> Iterator[int]:
    """Render the volumes block by block; yield how many clips became ready."""
    if num_workers == 0:
        for shard in missing:
            lines = []
            for start in _begin(place, shard):
                lines += _render_block(clips, place, shard, start)
                yield min(_BLOCK, len(shard.indices) - start)
            _finish(place, shard, lines)
        return
    with spawn_pool(num_workers) as pool:
        jobs = ((shard, start) for shard in missing for start in _begin(place, shard))
        running: dict[Future[list[str]], tuple[Shard, int]] = {}
        lines_of: dict[str, dict[int, list[str]]] = {}
        exhausted = False
        try:
            while running or not exhausted:
                while len(running) < 2 * num_workers and not exhausted:
                    job = next(jobs, None)
                    exhausted = job is None
                    if job is not None:
                        running[pool.submit(_render_block, clips, place, *job)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    shard, start = running.pop(future)
                    blocks = lines_of.setdefault(shard.name, {})
                    blocks[start] = future.result()
                    yield len(blocks[start])
                    if sum(map(len, blocks.values())) == len(shard.indices):
                        del lines_of[shard.name]
                        _finish(place, shard, [x for s in sorted(blocks) for x in blocks[s]])
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a rendering process died (out of memory, or a crash in OpenGL): build again, it "
                "resumes; num_workers=0 shows where it happens"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(place: Path, shard: Shard) -> Iterator[int]:
    """Create the arrays of a volume aside, then yield the starts of its blocks."""
    aside = place / f"{shard.name}.part"
    aside.mkdir()
    size = (len(shard.indices), shard.shape.num_frames, shard.shape.height, shard.shape.width)
    for name, extent in (("frames", (*size, 3)), ("object_ids", size)):
        np.lib.format.open_memmap(aside / f"{name}.npy", "w+", np.uint8, extent).flush()
    yield from range(0, len(shard.indices), _BLOCK)


def _render_block(clips: WorldsClips, place: Path, shard: Shard, start: int) -> list[str]:
    """Render clips ``start`` to ``start + _BLOCK`` of a volume; return their JSON lines."""
    aside = place / f"{shard.name}.part"
    frames = np.load(aside / "frames.npy", mmap_mode="r+")
    object_ids = np.load(aside / "object_ids.npy", mmap_mode="r+")
    lines = []
    for row in range(start, min(start + _BLOCK, len(shard.indices))):
        sample = clips[int(shard.indices[row])]
        frames[row], object_ids[row] = sample.frames, sample.weight_map
        words = {
            "id": sample.id,
            "captions": sample.captions,
            "source": sample.source,
            "truth": sample.truth,
        }
        lines.append(json.dumps(words))
    frames.flush()
    object_ids.flush()
    return lines


def _finish(place: Path, shard: Shard, lines: Sequence[str]) -> None:
    """Write the words and give the volume its name: from here on it exists."""
    aside = place / f"{shard.name}.part"
    (aside / "clips.jsonl").write_text("".join(line + "\n" for line in lines))
    aside.rename(place / shard.name)


def _read_card(place: Path) -> dict[str, Any]:
    try:
        card = json.loads((place / _CARD).read_text())
    except FileNotFoundError:
        raise ValueError(f"{place} is no cache of engine clips: build_worlds_cache first") from None
    if card.get("format") != _FORMAT:
        raise ValueError(
            f"{place} has cache format {card.get('format')}, this version reads {_FORMAT}: rebuild"
        )
    return card


def _shapes_of(card: dict[str, Any]) -> list[tuple[VideoShape, float]]:
    return [(VideoShape(*numbers), weight) for *numbers, weight in card["shapes"]]


def _write_card(place: Path, clips: WorldsClips, shard_clips: int) -> None:
    """Write the settings, or check them against those of the cache that lies there."""
    from cyclorama.worlds.recipe import DOMAINS

    card = {
        "format": _FORMAT,
        "domain": clips.domain,
        "domain_sha256": hashlib.sha256(repr(DOMAINS[clips.domain]).encode()).hexdigest(),
        "split": clips.split,
        "num_clips": clips.num_clips,
        "shapes": [[s.num_frames, s.height, s.width, weight] for s, weight in clips.shapes],
        "rate_fps": clips.rate_fps,
        "shard_clips": shard_clips,
        "mujoco": version("mujoco"),
    }
    if (place / _CARD).exists():
        old = _read_card(place)
        other = [key for key in card if key != "num_clips" and card[key] != old.get(key)]
        if other:
            told = ", ".join(f"{key} {old.get(key)!r} not {card[key]!r}" for key in other)
            raise ValueError(f"{place} was built with other settings ({told}): use a new directory")
        if old["num_clips"] > clips.num_clips:
            raise ValueError(
                f"{place} holds {old['num_clips']} clips, {clips.num_clips} were asked for: "
                "open it and take the first ones"
            )
    aside = place / f"{_CARD}.part"
    aside.write_text(json.dumps(card, indent=1))
    aside.replace(place / _CARD)


def _check_disk(place: Path, missing: Sequence[Shard]) -> None:
    """Refuse before hours of rendering what would end in a full disk."""
    size_bytes = sum(
        4 * len(s.indices) * s.shape.num_frames * s.shape.height * s.shape.width for s in missing
    )
    free_bytes = shutil.disk_usage(place).free
    if size_bytes > free_bytes:
        raise ValueError(
            f"the clips need {size_bytes / 1e9:.1f} GB and {place} has {free_bytes / 1e9:.1f} GB "
            "free: ask for fewer or smaller clips"
        )
