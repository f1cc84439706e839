"""How pictures, films and sound are written into a stream of tokens: the one place for it.

Picture a tape of words into which slides are spliced. A slide lies between its two boundary marks;
of a film or a sound, the instant is written in front in plain digits, `00:00:07`, wherever a new
second (of sound, each fifth) begins::

    <image> f f f .. </image>
    <video> 1 fps 00:00:00 f f f .. 00:00:01 f f f .. </video>
    <audio> 00:00:00 s s s .. 00:00:05 s s s .. </audio>

An `f` is one square of a frame and an `s` 40 ms of sound; both have the id of the reserved mark
`MEDIUM`, and the arrays that belong to these places travel beside the ids. A stream is an iterator
of such `Passage`s, so that ten hours are never in memory at once. Timestamps as text after Gemini
1.5 and Qwen3-VL (2511.21631, section 2): they need no positions and end with no length.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cyclorama.data.tokenizer import SPECIAL_TOKENS, load_tokenizer
from cyclorama.shapes import (
    SOUND_RATE_HZ,
    SOUND_TOKENS_PER_S,
    TokenGrid,
    frame_grid,
    frame_size,
    grid_of_frames,
)

MEDIUM = SPECIAL_TOKENS.index("<reserved2>")
STAMP_EVERY_S = 5  # of sound: 8 digits and colons in 125 tokens
LEAD_SAMPLES = 352  # a second of sound begins with the end of the one before (`nn.mel.LEAD`)


@dataclass(frozen=True, eq=False)
class Passage:
    """A run of a stream: ids int64 (L,), `MEDIUM` where a token of ``media`` stands, in order.

    Media are frames uint8 (T, H, W, 3) and seconds of sound float32 (B, 16352).
    """

    ids: np.ndarray
    media: tuple[np.ndarray, ...] = ()


def stamp(time_s: float) -> str:
    """Return an instant as ``hh:mm:ss``, rounded down; hours go on beyond 99."""
    if not 0 <= time_s < float("inf"):
        raise ValueError(f"an instant must be 0 s or later, got {time_s}")
    seconds = int(time_s + 1e-6)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def scale_frame(picture: np.ndarray) -> np.ndarray:
    """Return a picture uint8 (H, W, 3) scaled to whole tokens, its proportions kept nearly."""
    rows, columns = frame_size(frame_grid(*picture.shape[:2]))
    if picture.shape[:2] == (rows, columns):
        return picture
    way = Image.Resampling.BOX if picture.shape[0] >= rows else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(picture).resize((columns, rows), way))


def image_passage(picture: np.ndarray) -> Passage:
    """Return a picture uint8 (H, W, 3) of any size between its marks."""
    frame = scale_frame(picture)[None]
    num = grid_of_frames(1, frame.shape[1:3]).num_tokens
    return Passage(np.array([_mark("<image>"), *[MEDIUM] * num, _mark("</image>")]), (frame,))


def video_passages(
    chunks: Iterable[np.ndarray], *, rate_fps: float, start_s: float = 0.0
) -> Iterator[Passage]:
    """Yield a film between its marks, one passage for each chunk of frames uint8 (T, H, W, 3).

    Frames stand at start_s + k / rate_fps and are of whole tokens (`scale_frame`).
    """
    yield Passage(np.array([_mark("<video>"), *_encode(f"{rate_fps:g} fps ")]))
    first = 0
    for frames in chunks:
        num = grid_of_frames(1, frames.shape[1:3]).num_tokens
        ids: list[int] = []
        for number in range(first, first + len(frames)):
            ids += _video_stamp(number, rate_fps, start_s) + [MEDIUM] * num
        first += len(frames)
        yield Passage(np.array(ids), (frames,))
    yield Passage(np.array([_mark("</video>")]))


def num_video_tokens(
    num_frames: int, grid: TokenGrid, *, rate_fps: float, start_s: float = 0.0
) -> int:
    """Return how many tokens `video_passages` gives, from first to last mark."""
    around = 2 + len(_encode(f"{rate_fps:g} fps "))
    stamps = sum(len(_video_stamp(number, rate_fps, start_s)) for number in range(num_frames))
    return around + stamps + num_frames * grid.height * grid.width


def sound_passages(chunks: Iterable[np.ndarray], *, start_s: int = 0) -> Iterator[Passage]:
    """Yield a sound between its marks, one passage for each chunk of seconds (see `seconds_of`).

    The sound begins at the instant ``start_s``, a multiple of `STAMP_EVERY_S`, else ValueError.
    """
    if start_s % STAMP_EVERY_S:
        raise ValueError(f"start_s must be a multiple of {STAMP_EVERY_S}, got {start_s}")
    yield Passage(np.array([_mark("<audio>")]))
    first = start_s
    for seconds in chunks:
        ids: list[int] = []
        for number in range(first, first + len(seconds)):
            ids += _sound_stamp(number) + [MEDIUM] * SOUND_TOKENS_PER_S
        first += len(seconds)
        yield Passage(np.array(ids), (seconds,))
    yield Passage(np.array([_mark("</audio>")]))


def num_sound_tokens(num_seconds: int) -> int:
    """Return how many tokens `sound_passages` gives, from first to last mark."""
    stamps = sum(len(_sound_stamp(number)) for number in range(0, num_seconds, STAMP_EVERY_S))
    return 2 + stamps + num_seconds * SOUND_TOKENS_PER_S


def seconds_of(samples: np.ndarray, *, before: np.ndarray | None = None) -> np.ndarray:
    """Return mono samples float32 (N,) at 16 kHz as whole seconds (B, 16352), the last filled up.

    ``before`` are the samples in front of the first one; silence when there are none.
    """
    num = max(1, -(-len(samples) // SOUND_RATE_HZ))
    lead = np.zeros(LEAD_SAMPLES, np.float32)
    if before is not None and len(before):
        lead = np.concatenate((lead, before))[-LEAD_SAMPLES:]
    padded = np.zeros(LEAD_SAMPLES + num * SOUND_RATE_HZ, np.float32)
    padded[:LEAD_SAMPLES], padded[LEAD_SAMPLES : LEAD_SAMPLES + len(samples)] = lead, samples
    seconds = np.lib.stride_tricks.sliding_window_view(padded, LEAD_SAMPLES + SOUND_RATE_HZ)
    return seconds[::SOUND_RATE_HZ].copy()


def joined_passage(passages: Sequence[Passage]) -> Passage:
    """Return passages behind each other as one."""
    return Passage(
        np.concatenate([passage.ids for passage in passages]),
        tuple(medium for passage in passages for medium in passage.media),
    )


def _video_stamp(number: int, rate_fps: float, start_s: float) -> list[int]:
    """Return the ids of a frame's instant, none when the frame before has it already."""
    now, earlier = (stamp(start_s + n / rate_fps) for n in (number, max(0, number - 1)))
    return _encode(now) if number == 0 or now != earlier else []


def _sound_stamp(number: int) -> list[int]:
    return [] if number % STAMP_EVERY_S else _encode(stamp(number))


def _encode(text: str) -> list[int]:
    return load_tokenizer().encode(text)


def _mark(name: str) -> int:
    return load_tokenizer().special(name)
