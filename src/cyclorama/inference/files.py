"""From one file to its part of a stream: text, a picture, a film or a sound.

Picture a librarian who writes a slip for each thing on the desk before opening any: what it is, how
many tokens it will take, and a fingerprint of its bytes and of how it will be decoded. Only when
the slip's `passages` are called for is the thing read, and then a shelf at a time: 64 frames or a
minute of sound, by the instants at which they are shown, so that ten hours need no more room than
one minute. What the weights were not trained on is refused before it is decoded.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cyclorama.data.passages import (
    Passage,
    image_passage,
    num_sound_tokens,
    num_video_tokens,
    seconds_of,
    sound_passages,
    video_passages,
)
from cyclorama.data.texts import encode_long
from cyclorama.media.audio import probe_audio, read_audio
from cyclorama.media.errors import Limits, MediaLimitError, UnreadableMediaError
from cyclorama.media.image import probe_image, read_image
from cyclorama.media.video import VideoInfo, probe_video, read_video
from cyclorama.models.lm import LMConfig, cannot_read
from cyclorama.shapes import SOUND_RATE_HZ, frame_grid, frame_size

FRAMES_AT_ONCE, SECONDS_AT_ONCE = 64, 60
CLOCK_S = 0.02  # containers round what they declare: no frame or second begins in the last of it


@dataclass(frozen=True)
class Viewing:
    """How films and sounds are read; what is larger is refused, never thinned out unasked."""

    rate_fps: float = 1.0
    max_frames: int = 43_200
    max_duration_s: float = 43_200.0
    with_sound: bool = True  # of films, where the weights read sound

    def __post_init__(self) -> None:
        if not (0 < self.rate_fps <= 60 and self.max_frames >= 1 and self.max_duration_s > 0):
            raise ValueError(f"rate_fps must be in (0, 60] and limits above 0, got {self}")

    @property
    def limits(self) -> Limits:
        """The limits of decoding that follow."""
        return Limits(max_frames=self.max_frames, max_duration_s=self.max_duration_s)


@dataclass(frozen=True, eq=False)
class Item:
    """A part of a stream, not read yet; ``passages()`` reads it, each time anew.

    ``kind`` is text, picture, film or sound; ``echo`` says what will be read; ``content`` is the
    SHA-256 of the ids, or of the file's bytes and of how they are decoded.
    """

    kind: str
    num_tokens: int
    echo: str
    content: str
    passages: Callable[[], Iterator[Passage]]


def ids_item(ids: np.ndarray) -> Item:
    """Return token ids as a part of a stream."""
    content = hashlib.sha256(ids.astype("<u2").tobytes()).hexdigest()
    return Item("text", len(ids), "", content, lambda: iter([Passage(ids)]))


def text_item(text: str) -> Item:
    """Return text as a part of a stream."""
    return ids_item(encode_long(text))


def media_items(path: Path, *, config: LMConfig, viewing: Viewing) -> list[Item]:
    """Return the parts of a stream that a picture, a film (and its sound) or a sound makes.

    Raises `MediaError` for a file that is none of these, damaged or above the limits, and
    ValueError when weights of ``config`` do not read it.
    """
    try:
        picture = probe_image(path)
    except UnreadableMediaError:
        picture = None
    if picture is not None and not (picture.num_frames > 1 and picture.format in ("gif", "webp")):
        _check_reads(path, "pictures", "a picture", config=config)
        return [_picture_item(path, picture.height, picture.width)]
    try:
        film = probe_video(path, limits=viewing.limits)
    except UnreadableMediaError as error:
        try:
            probe_audio(path)
        except UnreadableMediaError:
            raise error from None
        _check_reads(path, "sound", "a sound", config=config)
        return [_sound_item(path, viewing)]
    _check_reads(path, "pictures", "a film", config=config)
    items = [_film_item(path, film, viewing)]
    if film.has_audio and viewing.with_sound and "sound" in config.reads:
        items.append(_sound_item(path, viewing))
    return items


def _check_reads(path: Path, what: str, kind: str, *, config: LMConfig) -> None:
    if what not in config.reads:
        raise ValueError(f"{path} is {kind}: {cannot_read(what, config)}")


def _content(path: Path, how: str) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(how.encode())
    return digest.hexdigest()


def _picture_item(path: Path, height: int, width: int) -> Item:
    num_tokens = frame_grid(height, width).num_tokens + 2
    rows, columns = frame_size(frame_grid(height, width))
    echo = f"{path.name}: a picture at {columns}x{rows}, {num_tokens} tokens"

    def passages() -> Iterator[Passage]:
        yield image_passage(read_image(path))

    return Item("picture", num_tokens, echo, _content(path, f"picture {columns}x{rows}"), passages)


def _film_item(path: Path, info: VideoInfo, viewing: Viewing) -> Item:
    _check_length(path, info.duration_s, viewing)
    rate_fps = viewing.rate_fps
    num_frames = max(1, math.ceil((info.duration_s - CLOCK_S) * rate_fps))
    if num_frames > viewing.max_frames:
        raise MediaLimitError(
            path,
            f"has {num_frames:,} frames at {rate_fps:g} fps, above the limit of "
            f"{viewing.max_frames:,}: give a lower rate, or raise max_frames",
        )
    grid = frame_grid(info.height, info.width)
    rows, columns = frame_size(grid)
    num_tokens = num_video_tokens(num_frames, grid, rate_fps=rate_fps)
    how = f"{num_frames:,} frames at {rate_fps:g} fps and {columns}x{rows}"

    def chunks() -> Iterator[np.ndarray]:
        for first in range(0, num_frames, FRAMES_AT_ONCE):
            num = min(FRAMES_AT_ONCE, num_frames - first)
            clip = read_video(
                path,
                size=(columns, rows),
                fit="stretch",
                rate_fps=rate_fps,
                start_s=first / rate_fps,
                duration_s=None if first + num == num_frames else num / rate_fps,
                limits=viewing.limits,
            )
            # What a file declares is rounded: its last picture stays up to the last instant.
            more = max(0, num - len(clip.frames))
            yield np.concatenate((clip.frames[:num], np.repeat(clip.frames[-1:], more, axis=0)))

    return Item(
        "film",
        num_tokens,
        f"{path.name}: {how}, {num_tokens:,} tokens",
        _content(path, "film " + how),
        lambda: video_passages(chunks(), rate_fps=rate_fps),
    )


def read_minutes(path: Path, num_seconds: int, *, viewing: Viewing) -> Iterator[np.ndarray]:
    """Yield a sound of ``num_seconds`` minute by minute, float32 at 16 kHz; the last to its end."""
    for first in range(0, num_seconds, SECONDS_AT_ONCE):
        is_last = first + SECONDS_AT_ONCE >= num_seconds
        yield read_audio(
            path,
            rate_hz=SOUND_RATE_HZ,
            start_s=first,
            duration_s=None if is_last else SECONDS_AT_ONCE,
            limits=viewing.limits,
        )


def _sound_item(path: Path, viewing: Viewing) -> Item:
    duration_s = probe_audio(path).duration_s
    _check_length(path, duration_s, viewing)
    num_seconds = _whole_seconds(duration_s)
    num_tokens = num_sound_tokens(num_seconds)

    def chunks() -> Iterator[np.ndarray]:
        before = np.zeros(0, np.float32)
        for first, read in enumerate(read_minutes(path, num_seconds, viewing=viewing)):
            size = min(SECONDS_AT_ONCE, num_seconds - first * SECONDS_AT_ONCE) * SOUND_RATE_HZ
            samples = np.pad(read[:size], (0, max(0, size - len(read))))
            yield seconds_of(samples, before=before)
            before = samples

    return Item(
        "sound",
        num_tokens,
        f"{path.name}: {num_seconds:,} seconds of sound, {num_tokens:,} tokens",
        _content(path, f"sound {num_seconds}"),
        lambda: sound_passages(chunks()),
    )


def sound_length_s(path: Path, *, config: LMConfig, viewing: Viewing) -> int:
    """Return how many seconds of sound a file has; ValueError for none, or too many to read."""
    duration_s = probe_audio(path).duration_s
    _check_reads(path, "sound", "to be heard", config=config)
    _check_length(path, duration_s, viewing)
    return _whole_seconds(duration_s)


def _whole_seconds(duration_s: float) -> int:
    return max(1, math.ceil(duration_s - CLOCK_S))


def _check_length(path: Path, duration_s: float, viewing: Viewing) -> None:
    if duration_s <= 0:
        raise UnreadableMediaError(
            path, "does not say how long it is: write it anew with a program that does"
        )
    if duration_s > viewing.max_duration_s:
        raise MediaLimitError(
            path,
            f"lasts {duration_s:,.0f} s, above the limit of {viewing.max_duration_s:,.0f}: raise "
            "max_duration_s, or cut it",
        )
