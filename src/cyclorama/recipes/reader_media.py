"""What a reader's stage draws besides text: cards, clips, films, voices, noise.

Picture a projection booth next to the reading room. Before the lesson the reels are made, engine
clips with their questions and spoken words (50 ms each), and put on shelves beside the run's
folder, where the next run finds them. A step is of one kind: text, or rows of one kind of media,
drawn by the shares of the stage; so rows are as long as their kind, and little padding is read. Of
clips, questions are one kind and captions another. Rows with media see only themselves, but for
films and sounds where the stage shares: those are stretches of one film or sound of ten hours, in
which nothing is shown or said twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field
from torch.utils.data import ConcatDataset

from cyclorama.config import Config
from cyclorama.data.asked_clips import TRUTH, asked_clips
from cyclorama.data.instants import Stretch, draw_stretches
from cyclorama.data.media_rows import (
    LATEST_S,
    QUESTIONS_A_CLIP,
    MediaRow,
    card_row,
    clip_row,
    film_needle_row,
    sound_needle_row,
    speech_row,
)
from cyclorama.data.mirror import mirrored
from cyclorama.data.needle_stream import Sequence
from cyclorama.data.passages import STAMP_EVERY_S
from cyclorama.data.sample import Sample
from cyclorama.data.spoken import Utterances, build_utterances
from cyclorama.data.worlds_cache import render_cache
from cyclorama.training.media_tokens import EVEN_TOKENS, MediaBatch, media_batch

# Tokens of a row with all that is asked of it, nearly.
CLIP_TOKENS = {"clips": 600, "captions": 720, "images": 300}
CAPTIONED_IMAGES = 0.2  # of the steps of images; the rest have questions
# Tokens of a row at most, and of the longest of a batch mostly; films and sounds are as long as the
# stage's texts.
ROW_TOKENS = {
    "cards": (96, 64),
    "digits": (256, 144), "sentences": (448, 192),
}  # fmt: skip
# Of a stretch of film or sound: one thing is hidden in so many tokens; marks and a question about
# nothing.
NEEDLE_EVERY, SPARE = 256, 50
RATE_SHARES = (0.55, 0.2, 0.15, 0.1)  # of clips shown whole, every second frame, fourth, eighth
LEAST_TOKENS = {"films": 256, "sounds": 512}
NEEDS = {
    "cards": "pictures", "clips": "pictures", "captions": "pictures", "images": "pictures",
    "films": "pictures",
    "digits": "sound", "sentences": "sound", "sounds": "sound",
}  # fmt: skip
TEXT = "text"
ROUNDS = 3  # of questions about a clip


class Density(NamedTuple):
    """Tokens of a second with its share of a stamp, and of all questions about one thing.

    Things are hidden at multiples of ``grain_s``; a film shows one frame a second.
    """

    second_tokens: int
    needle_tokens: int
    grain_s: int


STRETCHES = {"films": Density(25, 60, 1), "sounds": Density(27, 34, STAMP_EVERY_S)}


class MediaConfig(Config):
    """What the shelves hold."""

    clips: dict[str, int] = Field(
        default_factory=lambda: dict.fromkeys(("stage", "practice", "tour"), 1500)
    )
    num_utterances: int = 3000  # of digits, and as many sentences
    num_workers: int = 2  # that make them; none works while training


@dataclass(frozen=True, eq=False)
class Shelves:
    """Clips with questions and utterances; None where no stage draws them."""

    clips: ConcatDataset[Sample] | None
    digits: Utterances | None
    sentences: Utterances | None


def check_media(shares: Mapping[str, float], *, num_tokens: int, reads: tuple[str, ...]) -> None:
    """Raise ValueError for shares that cannot be drawn, or that the model does not read."""
    if unknown := [kind for kind in shares if kind not in NEEDS]:
        raise ValueError(f"no kind {', '.join(unknown)}: there are {', '.join(NEEDS)}")
    if min(shares.values(), default=0) < 0 or sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"shares of steps must be 0 or more and at most 1 together: {shares}")
    for kind in drawn_kinds(shares):
        if NEEDS[kind] not in reads:
            wanted = ",".join(f'"{name}"' for name in dict.fromkeys((*reads, NEEDS[kind])))
            raise ValueError(
                f"{kind} need a model that reads {NEEDS[kind]}: --set 'model.reads=[{wanted}]'"
            )
        if num_tokens < LEAST_TOKENS.get(kind, 0):
            raise ValueError(f"{kind} need num_tokens of at least {LEAST_TOKENS[kind]}")


def drawn_kinds(shares: Mapping[str, float]) -> list[str]:
    """Return the kinds of which a stage draws any."""
    return [kind for kind in NEEDS if shares.get(kind, 0) > 0]


def open_shelves(
    config: MediaConfig, kinds: set[str], *, directory: Path, report: Callable[[str], None]
) -> Shelves:
    """Return what ``kinds`` are drawn from; what is not in ``directory`` yet is made.

    ImportError naming the extra (worlds, speech) that is missing.
    """

    def told(what: str) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if done % 512 < 16 or done == total:
                report(f"made {done}/{total} {what}")

        return progress

    def utterances(kind: str) -> Utterances:
        return build_utterances(
            directory / f"spoken-{kind}-{config.num_utterances}",
            kind=kind,
            num=config.num_utterances,
            num_workers=config.num_workers,
            progress=told(kind),
        )

    clips = None
    if kinds & {*CLIP_TOKENS, "films"}:
        wanted = [
            asked_clips(domain, "train", num_clips=num, num_rounds=ROUNDS)
            for domain, num in config.clips.items()
        ]
        clips = ConcatDataset(
            [
                render_cache(
                    directory / f"asked{TRUTH}-{live.domain}-{live.num_clips}-{ROUNDS}",
                    live,
                    num_workers=config.num_workers,
                    progress=told(f"clips of {live.domain}"),
                )
                for live in wanted
            ]
        )
    digits = utterances("digits") if kinds & {"digits", "sounds"} else None
    return Shelves(clips, digits, utterances("sentences") if "sentences" in kinds else None)


def draw_kind(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """Return the kind of a step; what the shares leave is text."""
    place = rng.random()
    for kind in drawn_kinds(shares):
        place -= shares[kind]
        if place < 0:
            return kind
    return TEXT


def draw_batch(
    rng: np.random.Generator,
    shelves: Shelves,
    *,
    kind: str,
    batch: int,
    num_tokens: int,
    max_rows: int = 1536,
    share: bool = False,
    extra: int = 0,
) -> MediaBatch:
    """Return rows of a kind, about as many tokens as ``batch`` texts of ``num_tokens``.

    With ``share`` rows of films see each other, as parts of one film, and so do those of sounds;
    then ``extra`` more are strangers to them.
    """
    length, mostly = ROW_TOKENS.get(kind, (num_tokens, CLIP_TOKENS.get(kind, num_tokens)))
    num_rows = max(1, batch * num_tokens // mostly)
    stretches = {"films": _film_rows, "sounds": _sound_rows}
    share = share and kind in stretches
    if kind in stretches:
        rows = trimmed(stretches[kind](rng, shelves, num_rows + extra * share, length))
    elif kind in CLIP_TOKENS:
        rows = _clip_rows(rng, shelves, num_rows, kind)
    else:
        rows = trimmed([_row(rng, shelves, kind, length) for _ in range(num_rows)])
    own, strangers = rows[:num_rows], rows[num_rows:]
    shown = media_batch(own, strangers=strangers, max_rows=max_rows, share=share)
    return replace(shown, kind=kind)


def _laid_out(
    rng: np.random.Generator, kind: str, num_rows: int, length: int
) -> tuple[list[Stretch], int, int]:
    """Return stretches of one recording of hours, how many seconds each has, and things hidden."""
    density = STRETCHES[kind]
    num_needles = max(1, length // NEEDLE_EVERY)
    length_s = (length - density.needle_tokens * num_needles - SPARE) // density.second_tokens
    length_s -= length_s % density.grain_s
    num_needles = min(num_needles, length_s // density.grain_s - 1)
    stretches = draw_stretches(
        rng,
        num_rows,
        length_s=length_s,
        num_places=num_needles + 1,
        grain_s=density.grain_s,
        latest_s=LATEST_S,
    )
    return stretches, length_s, num_needles


def _film_rows(
    rng: np.random.Generator, shelves: Shelves, num_rows: int, length: int
) -> list[MediaRow]:
    """Return stretches of one film of hours, with cards of different numbers in them."""
    assert shelves.clips is not None
    stretches, num_frames, num_needles = _laid_out(rng, "films", num_rows, length)
    taken: set[int] = set()
    return [
        film_needle_row(
            rng,
            some_footage(rng, shelves.clips, num_frames=num_frames),
            stretch=stretch,
            taken=taken,
            num_needles=num_needles,
            num_tokens=length,
        )
        for stretch in stretches
    ]


def _sound_rows(
    rng: np.random.Generator, shelves: Shelves, num_rows: int, length: int
) -> list[MediaRow]:
    """Return stretches of one sound of hours, with different words in them."""
    assert shelves.digits is not None
    stretches, num_seconds, num_needles = _laid_out(rng, "sounds", num_rows, length)
    spoken = shelves.digits.draw(rng, num_rows * num_needles, longest_s=STAMP_EVERY_S)
    return [
        sound_needle_row(
            rng,
            spoken[number * num_needles : (number + 1) * num_needles],
            stretch=stretch,
            num_seconds=num_seconds,
            num_tokens=length,
        )
        for number, stretch in enumerate(stretches)
    ]


def _clip_rows(
    rng: np.random.Generator, shelves: Shelves, num_rows: int, kind: str
) -> list[MediaRow]:
    """Return clips at one rate, so that all are as long, or first pictures of clips."""
    assert shelves.clips is not None
    is_image = kind == "images"
    is_captioned = rng.random() < CAPTIONED_IMAGES if is_image else kind == "captions"
    every = int(2 ** rng.choice(len(RATE_SHARES), p=RATE_SHARES))
    num_asked = 0 if is_captioned else QUESTIONS_A_CLIP
    rows = []
    for number in rng.integers(len(shelves.clips), size=num_rows):
        sample = shelves.clips[int(number)]
        sample = mirrored(sample) if rng.random() < 0.5 else sample
        rows.append(clip_row(rng, sample, every=every, num_asked=num_asked, is_image=is_image))
    if not any(row.asked for row in rows):
        raise ValueError(f"none of {num_rows} clips shows anything to ask about: make more clips")
    return rows


def _row(rng: np.random.Generator, shelves: Shelves, kind: str, length: int) -> MediaRow:
    if kind == "cards":
        return card_row(rng, num_tokens=length)
    utterances = shelves.digits if kind == "digits" else shelves.sentences
    assert utterances is not None
    return speech_row(*utterances[int(rng.integers(len(utterances)))], num_tokens=length)


def some_footage(
    rng: np.random.Generator, clips: ConcatDataset[Sample], *, num_frames: int
) -> np.ndarray:
    """Return frames of random clips behind each other, uint8 (T, H, W, 3), every fourth of each."""
    pieces: list[np.ndarray] = []
    while sum(map(len, pieces)) < num_frames:
        pieces.append(clips[int(rng.integers(len(clips)))].frames[::4])
    return np.concatenate(pieces)[:num_frames]


def trimmed(rows: list[MediaRow]) -> list[MediaRow]:
    """Return rows without the padding that they all end with, but for some: see `EVEN_TOKENS`."""
    used = max(int(np.flatnonzero(row.sequence.weights)[-1]) + 1 for row in rows)
    used = -(-used // EVEN_TOKENS) * EVEN_TOKENS
    return [replace(row, sequence=_cut(row.sequence, used)) for row in rows]


def _cut(sequence: Sequence, used: int) -> Sequence:
    return replace(sequence, ids=sequence.ids[:used], weights=sequence.weights[:used])
