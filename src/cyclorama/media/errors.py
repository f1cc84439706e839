"""What can be wrong with a media file, and how much of one may be decoded.

Every function of this package that meets a bad file raises one of these, so that an ingest can
catch `MediaError`, write down `path` and `reason`, and go on::

    ValueError
      MediaError                 has .path and .reason
        UnreadableMediaError     missing, empty, garbage, or nothing of the wanted kind inside
        CorruptMediaError        opens, but some of its pictures or samples are damaged
          TruncatedMediaError    ends before the length that it declares
        UnsupportedMediaError    sound, but not what this package handles (HDR, ...)
        MediaLimitError          larger or longer than the limits the caller set
        MediaRangeError          the wanted stretch does not lie inside the file
        MediaWriteError          could not be written; nothing was left behind

Arguments that are wrong whatever the file holds (a negative rate) are plain ValueErrors.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av.logging
from av.error import FFmpegError

# FFmpeg's log callback into Python can deadlock (PyAV issues 751, 2276): it stays off.
av.logging.set_level(None)

PathLike = str | os.PathLike[str]


class MediaError(ValueError):
    """A media file cannot be used: ``path`` says which, ``reason`` why and what to do."""

    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Exceptions are rebuilt from their message by default; worker processes need both parts.
        return type(self), (self.path, self.reason)


class UnreadableMediaError(MediaError):
    """The file is missing, empty, not media, or holds nothing of the wanted kind."""


class CorruptMediaError(MediaError):
    """The file opens, but the decoder flagged or refused part of it."""


class TruncatedMediaError(CorruptMediaError):
    """The file ends before the length that it declares."""


class UnsupportedMediaError(MediaError):
    """The file is sound, but of a sort that this package refuses to guess about."""


class MediaLimitError(MediaError):
    """The file, or what was asked of it, is larger than the caller's limits."""


class MediaRangeError(MediaError):
    """The wanted stretch of time does not lie inside the file."""


class MediaWriteError(MediaError):
    """The file could not be written; whatever was at its place before is untouched."""


@dataclass(frozen=True)
class Limits:
    """How much of one file may be decoded; what exceeds a limit is a `MediaLimitError`.

    The defaults admit 4K video and an hour of small frames, and refuse what could exhaust a
    machine. ``max_pixels`` bounds one picture, as coded and as returned; ``max_frames`` and
    ``max_duration_s`` bound what is returned; ``max_size_bytes`` bounds the decoded array.
    ``max_corrupt_frames`` is how many damaged frames are let through.
    """

    max_pixels: int = 4096 * 2304
    max_frames: int = 40_000
    max_duration_s: float = 3600.0
    max_size_bytes: int = 4 << 30
    max_corrupt_frames: int = 0

    def __post_init__(self) -> None:
        if self.max_corrupt_frames < 0:
            raise ValueError(f"max_corrupt_frames must be 0 or more, got {self.max_corrupt_frames}")
        for name in ("max_pixels", "max_frames", "max_duration_s", "max_size_bytes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


def check_exists(path: PathLike) -> None:
    """Raise `UnreadableMediaError` unless ``path`` is a file with something in it."""
    file = Path(path)
    if not file.exists():
        raise UnreadableMediaError(path, "there is no such file")
    if not file.is_file():
        raise UnreadableMediaError(path, "is not a file")
    if file.stat().st_size == 0:
        raise UnreadableMediaError(path, "is empty (0 bytes)")


@contextmanager
def media_errors(path: PathLike) -> Iterator[None]:
    """Turn what FFmpeg's side raises into `CorruptMediaError`; ours pass as they are."""
    try:
        yield
    except MediaError:
        raise
    except (FFmpegError, ValueError, OSError, AssertionError) as error:
        raise CorruptMediaError(path, f"cannot be decoded ({_said(error)})") from error


@contextmanager
def picture_errors(path: PathLike) -> Iterator[None]:
    """Turn what Pillow raises into `CorruptMediaError` or `TruncatedMediaError`.

    Damaged pictures make Pillow raise nearly anything, IndexError and SyntaxError among it, so
    only calls of Pillow itself belong inside.
    """
    try:
        yield
    except (MemoryError, MediaError):
        raise
    except Exception as error:
        kind = TruncatedMediaError if "truncated" in str(error) else CorruptMediaError
        raise kind(path, f"cannot be decoded ({_said(error)})") from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
