"""Captions of clips and transcripts of sounds: each is read alone and one thing is asked.

Picture a cataloguer with a pile of clips: one is looked at, one line is written, the next is taken.
A long sound is cut where it is quietest, so that no word is cut in two, into stretches of at most
twelve seconds; each stretch is read on its own and gives a line with its instant.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cyclorama.data.passages import (
    Passage,
    joined_passage,
    scale_frame,
    seconds_of,
    sound_passages,
    video_passages,
)
from cyclorama.data.requests import SAID_REQUEST, caption_request
from cyclorama.inference.files import Viewing, read_minutes, sound_length_s
from cyclorama.inference.messages import answer_all, file_stream
from cyclorama.inference.text import Reader, read_stream
from cyclorama.shapes import SOUND_RATE_HZ

LONGEST_S, SHORTEST_S = 12, 8  # a stretch ends at the quietest instant between these
QUIET_SAMPLES = SOUND_RATE_HZ // 10


def caption_clips(
    reader: Reader,
    clips: Iterable[tuple[np.ndarray, float]],
    *,
    style: str = "dense",
    max_tokens: int = 96,
) -> list[str]:
    """Return a caption of each clip: frames uint8 (T, H, W, 3) of any size, and their rate in fps.

    ``style`` is short, dense or timed. ValueError for weights that do not read pictures.
    """
    captions = []
    for frames, rate_fps in clips:
        scaled = np.stack([scale_frame(frame) for frame in frames])
        passage = joined_passage([*video_passages([scaled], rate_fps=rate_fps)])
        captions.append(_ask(reader, passage, caption_request(style), max_tokens))
    return captions


def caption_file(
    reader: Reader, path: Path, *, style: str, viewing: Viewing, max_tokens: int = 96
) -> str:
    """Return a caption of a film or picture file; its pictures alone are read."""
    question = caption_request(style)
    stream = file_stream([path], config=reader.lm.config, viewing=viewing)
    if not {"film", "picture"} & set(stream.counts()):
        raise ValueError(f"{path} is neither film nor picture: a caption needs something to see")
    reading = read_stream(reader, stream.passages(), num_tokens=stream.num_tokens)
    return answer_all(reader, reading, questions=[question], max_tokens=max_tokens)[0]


def transcribe_file(
    reader: Reader, path: Path, *, max_tokens: int = 64, viewing: Viewing | None = None
) -> Iterator[tuple[float, str]]:
    """Yield instant in seconds and words of each stretch of a sound, or of a film's sound.

    Raises ValueError for a file without sound and for weights that do not read sound.
    """
    viewing, first = viewing or Viewing(), 0
    num_seconds = sound_length_s(path, config=reader.lm.config, viewing=viewing)
    for stretch in stretches(read_minutes(path, num_seconds, viewing=viewing)):
        words = transcribe_stretch(reader, stretch, max_tokens=max_tokens)
        yield first / SOUND_RATE_HZ, words
        first += len(stretch)


def transcribe_samples(reader: Reader, samples: np.ndarray, *, max_tokens: int = 64) -> str:
    """Return the words of a sound of any length, float32 (N,) at 16 kHz in [-1, 1]."""
    parts = stretches([samples])
    return " ".join(transcribe_stretch(reader, part, max_tokens=max_tokens) for part in parts)


def transcribe_stretch(reader: Reader, samples: np.ndarray, *, max_tokens: int = 64) -> str:
    """Return the words of one stretch of sound."""
    passage = joined_passage([*sound_passages([seconds_of(samples)])])
    return _ask(reader, passage, SAID_REQUEST, max_tokens)


def stretches(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield a sound that comes in chunks, cut where it is quietest."""
    held = np.zeros(0, np.float32)
    for samples in chunks:
        held = np.concatenate((held, samples))
        while len(held) > LONGEST_S * SOUND_RATE_HZ:
            stop = quiet_cut(held)
            yield held[:stop]
            held = held[stop:]
    if len(held):
        yield held


def quiet_cut(samples: np.ndarray) -> int:
    """Return where to cut a long sound: in the middle of the quietest tenth of a second."""
    start = SHORTEST_S * SOUND_RATE_HZ
    tenths = samples[start : LONGEST_S * SOUND_RATE_HZ].reshape(-1, QUIET_SAMPLES)
    return start + int((tenths**2).sum(axis=1).argmin()) * QUIET_SAMPLES + QUIET_SAMPLES // 2


def _ask(reader: Reader, passage: Passage, question: str, max_tokens: int) -> str:
    reading = read_stream(reader, [passage], num_tokens=len(passage.ids))
    return answer_all(reader, reading, questions=[question], max_tokens=max_tokens)[0]
