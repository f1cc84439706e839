"""A folder of videos with their words beside them, as a source of clips.

Picture a shelf of tapes, each with a slip of paper: ``x.mp4`` and ``x.txt`` (the caption) or
``x.json`` (captions by name, and truth). A clip is the beginning of a file, fitted to the sizes
that models take; sizes come from the files' headers, so that a loader can plan. A file that cannot
be opened is left out and told. Leaves out long footage with cuts: `ingest` finds the shots, tests
every frame and keeps the result in a store, which also reads 20 times faster.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclorama.data.fit import ClipFit, fitted_shape
from cyclorama.data.sample import Sample, checked_index
from cyclorama.media.errors import MediaError
from cyclorama.media.video import probe_video, read_video
from cyclorama.shapes import VideoShape

VIDEO_SUFFIXES = frozenset((
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".webp", ".mpg", ".mpeg", ".ts",
    ".mts", ".m2ts", ".flv", ".wmv", ".ogv", ".3gp",
))  # fmt: skip
SIDECAR_SUFFIXES = (".json", ".txt")
# The end of a stretch that ends with its last frame: read_video takes ends as exclusive.
_JUST_AFTER_S = 1e-3


@dataclass(frozen=True)
class FolderEntry:
    """One readable file: where it lies, and the size of the clip that it gives."""

    path: Path
    shape: VideoShape


class FolderClips:
    """Source over the files of a folder and its folders, in the order of their paths.

    ``problems`` lists what was left out and why; ``num_silent`` counts files without a caption.
    Both are also given as warnings.
    """

    def __init__(self, folder: Path | str, fit: ClipFit) -> None:
        self.folder = Path(folder)
        self.fit = fit
        self._entries: list[FolderEntry] = []
        problems: list[str] = []
        self.num_silent = 0
        for path in list_videos(self.folder):
            try:
                info = probe_video(path)
                shape = fitted_shape(info.width, info.height, duration_s=info.duration_s, fit=fit)
                captions, _ = read_sidecar(path)
            except ValueError as error:
                problems.append(str(error))
                continue
            self.num_silent += not any(captions.values())
            self._entries.append(FolderEntry(path, shape))
        self.problems = tuple(problems)
        if not self._entries:
            told = "; ".join(problems[:3]) or f"it holds no file of {' '.join(VIDEO_SUFFIXES)}"
            raise ValueError(f"no videos to read in {self.folder}: {told}")
        if problems:
            warnings.warn(
                f"{len(problems)} files of {self.folder} were left out: {'; '.join(problems[:3])}",
                stacklevel=3,
            )
        if self.num_silent:
            warnings.warn(
                f"{self.num_silent} of {len(self)} videos in {self.folder} have no caption: write "
                "one into NAME.txt beside NAME.mp4",
                stacklevel=3,
            )

    def __len__(self) -> int:
        """Return the number of readable files."""
        return len(self._entries)

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of clip ``index``; nothing is decoded."""
        return self._entries[checked_index(index, len(self))].shape

    def __getitem__(self, index: int) -> Sample:
        """Return the beginning of file ``index``; a `MediaError` when it is damaged."""
        entry = self._entries[checked_index(index, len(self))]
        shape, rate_fps = entry.shape, self.fit.rate_fps
        clip = read_video(
            entry.path,
            size=(shape.width, shape.height),
            rate_fps=rate_fps,
            duration_s=(shape.num_frames - 1) / rate_fps + _JUST_AFTER_S,
        )
        if len(clip.frames) != shape.num_frames:
            raise MediaError(
                entry.path,
                f"gives {len(clip.frames)} frames at {rate_fps:g} fps where its header promises "
                f"{shape.num_frames}: take it out of the folder, or ingest the folder",
            )
        captions, truth = read_sidecar(entry.path)
        name = entry.path.relative_to(self.folder).as_posix()
        return Sample(
            id=name,
            frames=clip.frames,
            rate_fps=rate_fps,
            captions=captions,
            source=f"folder/{self.folder.name}",
            truth=truth,
        )


def open_folder(folder: Path | str, *, fit: ClipFit | None = None) -> FolderClips:
    """Return the videos of a folder as a source; sizes as ``fit`` says (64 px, 17 frames, 8 fps).

    Raises ValueError when the folder holds nothing that can be read.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"no folder at {folder}")
    return FolderClips(folder, fit or ClipFit())


def list_videos(folder: Path | str) -> list[Path]:
    """Return the files with a video's suffix below ``folder``, by path; hidden ones left out."""
    place = Path(folder)
    return sorted(
        path
        for path in place.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(place).parts)
        and path.is_file()
    )


def read_sidecar(video: Path) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Return captions and truth written beside a video; without any, the short caption is empty.

    ``x.json`` holds ``{"captions": {"short": ...}, "truth": {...}}`` or ``{"caption": ...}``;
    ``x.txt`` holds the short caption. ValueError when a sidecar cannot be understood.
    """
    captions: dict[str, str] = {}
    truth = None
    path = video.with_suffix(".json")
    if path.is_file():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: no readable JSON ({error})") from error
        captions, truth = _captions_of(path, record)
    path = video.with_suffix(".txt")
    if path.is_file():
        try:
            captions["short"] = path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: no UTF-8 text ({error})") from error
    return captions or {"short": ""}, truth


def _captions_of(path: Path, record: Any) -> tuple[dict[str, str], dict[str, Any] | None]:
    if not isinstance(record, dict):
        raise ValueError(f"{path}: needs an object such as {{'caption': 'a red ball rolls'}}")
    captions = record.get("captions", {})
    if isinstance(record.get("caption"), str):
        captions = {"short": record["caption"], **captions}
    fits = isinstance(captions, dict) and all(isinstance(t, str) for t in captions.values())
    if not fits:
        raise ValueError(f"{path}: 'captions' must map names to texts, got {captions!r:.80}")
    truth = record.get("truth")
    if truth is not None and not isinstance(truth, dict):
        raise ValueError(f"{path}: 'truth' must be an object, got {truth!r:.80}")
    return dict(captions), truth
