"""Rows to train on with media in them: clips and their captions, cards in films, words in noise.

Picture flash cards for the reader. On one side something to see or hear, as it will stand in a
stream (`passages`); on the other what may be asked of it and the answer, written with the same
marks and weights as any question (`needle_stream`). A clip of the engine is asked for its captions
or what its truth answers; a film with numbered cards held up in it, or noise with words in it, for
what stands at an instant, or when something stands: one of both, since either tells the other. A
row has one clip, so that "the ball" is nobody else's: rows of clips must not see each other, and
questions about a clip are asked apart (`asked`), since most of them name what another one asks for.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cyclorama.data.instants import Stretch
from cyclorama.data.named_squares import square_names
from cyclorama.data.needle_stream import (
    ABSENT,
    Part,
    Question,
    Sequence,
    joined,
    question_part,
    text_part,
)
from cyclorama.data.passages import (
    STAMP_EVERY_S,
    Passage,
    image_passage,
    joined_passage,
    scale_frame,
    seconds_of,
    sound_passages,
    stamp,
    video_passages,
)
from cyclorama.data.requests import CAPTION_REQUESTS, SAID_REQUEST
from cyclorama.data.sample import Sample
from cyclorama.shapes import SOUND_RATE_HZ

CARD_COLOURS = {
    "red": (200, 30, 30), "green": (20, 130, 40), "blue": (30, 60, 200),
    "purple": (120, 30, 150), "black": (10, 10, 10), "brown": (110, 60, 20),
}  # fmt: skip
CARD_PX, LATEST_S = 64, 36_000
CARD_NUMBERS = (1000, 10_000)
QUESTIONS_A_CLIP = 12
WHEN_SHARE = 0.45  # of things in a film or sound, asked for their instant; the rest by it
ANSWER_WEIGHT = 5.0  # above one, as what marks an answer (`next_token`); only answers weigh here


@dataclass(frozen=True, eq=False)
class MediaRow:
    """A row of ids and weights, and the media whose places in it have the id `MEDIUM`."""

    sequence: Sequence
    media: tuple[np.ndarray, ...]
    said: str = ""  # in its sound, from first to last word
    names: np.ndarray | None = None  # of the squares of its frames (`named_squares`)
    asked: tuple[Part, ...] = ()  # each behind the sequence, as if there were no other


def media_row(
    shown: Many[Passage], questions: Many[Part], *, num_tokens: int, said: str = ""
) -> MediaRow:
    """Return what is shown, then as many of the questions as fit; ValueError when none does."""
    passage = joined_passage(shown)
    room = num_tokens - len(passage.ids)
    fitting: list[Part] = []
    for part in questions:
        if len(part.ids) <= room:
            fitting.append(part)
            room -= len(part.ids)
    if not fitting:
        raise ValueError(
            f"{num_tokens} tokens have no room for {len(passage.ids)} of media and a question: "
            "give more"
        )
    parts = [text_part(passage.ids, 0.0), *fitting]
    return MediaRow(joined(parts, num_tokens), passage.media, said)


def clip_row(
    rng: np.random.Generator,
    sample: Sample,
    *,
    every: int = 1,
    num_asked: int = QUESTIONS_A_CLIP,
    is_image: bool = False,
) -> MediaRow:
    """Return a clip of `AskedClips`, each ``every``-th frame, or its first picture, and questions.

    There are at most ``num_asked``, those of a kind taking turns; with 0 captions are asked for.
    """
    truth = sample.truth or {}
    if missing := [name for name in ("questions", "events") if name not in truth]:
        wanted = " and ".join(missing)
        raise ValueError(f"clip {sample.id!r} comes without {wanted}: take it from asked_clips")
    if is_image:
        shown = [image_passage(sample.frames[0].copy())]  # of a cache it cannot be written to
        every, asked = len(sample.frames), truth["still"]["questions"]
        captions = {"dense": truth["still"]["caption"]}
    else:
        frames = np.stack([scale_frame(frame) for frame in sample.frames[::every]])
        shown = [*video_passages([frames], rate_fps=sample.rate_fps / every)]
        asked, captions = truth["questions"], sample.captions
    chosen = _in_turn(rng, asked)[:num_asked]
    parts = [_asked(q["text"], q["answer"], q["kind"]) for q in chosen]
    if num_asked == 0:
        styles = [style for style in CAPTION_REQUESTS if style in captions]
        parts = [_asked(CAPTION_REQUESTS[style], captions[style], style) for style in styles]
    passage, ids = joined_passage(shown), sample.weight_map
    sequence = joined([text_part(passage.ids, 0.0)], len(passage.ids))
    row = MediaRow(sequence, passage.media, asked=tuple(parts))
    if ids is None or ids.shape[1:] != row.media[0].shape[1:3]:  # of another size than is shown
        return row
    rate_fps = sample.rate_fps / every
    names = square_names(ids[::every], truth, rate_fps=rate_fps, is_image=is_image)
    return replace(row, names=names)


def _in_turn(rng: np.random.Generator, asked: Many[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return questions in random order, but for a second of any kind after the first of all."""
    turns: Counter[str] = Counter()
    placed = []
    for number in rng.permutation(len(asked)):
        turns[asked[number]["kind"]] += 1
        placed.append((turns[asked[number]["kind"]], asked[number]))
    return [question for _, question in sorted(placed, key=lambda pair: pair[0])]


def card(text: str, colour: str) -> np.ndarray:
    """Return a white card uint8 (64, 64, 3) with ``text`` in large coloured letters."""
    image = Image.new("RGB", (CARD_PX, CARD_PX), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=2.0 * CARD_PX / max(3, len(text)) * 0.8)
    middle = (CARD_PX / 2, CARD_PX / 2)
    draw.text(middle, text, fill=CARD_COLOURS[colour], font=font, anchor="mm")
    return np.array(image)


def card_row(rng: np.random.Generator, *, num_tokens: int = 96) -> MediaRow:
    """Return one numbered card, of one to four digits, and what is asked of it: to read by."""
    number = str(rng.integers(10 ** rng.integers(1, 5)))
    colour = list(CARD_COLOURS)[rng.integers(len(CARD_COLOURS))]
    questions = [
        _asked("What number is shown?", number, "number"),
        _asked("What colour is the number?", colour, "colour"),
    ]
    shown = [image_passage(card(number, colour))]
    return media_row(shown, [questions[i] for i in rng.permutation(2)], num_tokens=num_tokens)


def film_needle_row(
    rng: np.random.Generator,
    footage: np.ndarray,
    *,
    num_needles: int = 4,
    num_tokens: int = 2048,
    stretch: Stretch | None = None,
    taken: set[int] | None = None,
) -> MediaRow:
    """Return footage uint8 (T, 64, 64, 3) at 1 fps in which numbered cards are held up for a frame.

    Asked is which number and colour stand at an instant, or when a number is shown, and what number
    is shown when none is. ``stretch`` tells where in the film this is and where the cards are, its
    last place having none; by default ``num_needles`` are drawn, within ten hours. Numbers in
    ``taken`` are avoided, and it grows.
    """
    if footage.shape[1:] != (CARD_PX, CARD_PX, 3) or len(footage) <= num_needles:
        raise ValueError(
            f"footage must be (T, {CARD_PX}, {CARD_PX}, 3), T above {num_needles}: {footage.shape}"
        )
    frames = footage.copy()
    if stretch is None:
        drawn = rng.choice(len(frames), num_needles + 1, replace=False)
        stretch = Stretch(int(rng.integers(LATEST_S)), tuple(drawn.tolist()))
    stretch.check(length_s=len(frames))
    start_s, (*places, bare) = stretch.start_s, stretch.places
    taken = set() if taken is None else taken
    free = [number for number in range(*CARD_NUMBERS) if number not in taken]
    numbers = rng.choice(free, len(places), replace=False).tolist()
    taken.update(numbers)
    questions = [_asked(*number_at(start_s + bare, ABSENT), "absent")]
    for place, number in zip(places, numbers, strict=True):
        colour = list(CARD_COLOURS)[rng.integers(len(CARD_COLOURS))]
        frames[place] = card(str(number), colour)
        time_s = start_s + place
        if rng.random() < WHEN_SHARE:
            questions.append(_asked(*number_when(str(number), time_s), "when"))
        else:
            questions.append(_asked(*number_at(time_s, str(number)), "number_at"))
            questions.append(_asked(*colour_at(time_s, colour), "colour_at"))
    shown = [*video_passages([frames], rate_fps=1.0, start_s=start_s)]
    return media_row(
        shown, [questions[i] for i in rng.permutation(len(questions))], num_tokens=num_tokens
    )


def speech_row(text: str, samples: np.ndarray, *, num_tokens: int = 512) -> MediaRow:
    """Return words and their sound (mono at 16 kHz) as a row that asks for the words."""
    shown = [*sound_passages([seconds_of(samples)])]
    asked = [_asked(SAID_REQUEST, text, "said")]
    return media_row(shown, asked, num_tokens=num_tokens, said=text)


def sound_needle_row(
    rng: np.random.Generator,
    spoken: Many[tuple[str, np.ndarray]],
    *,
    num_seconds: int = 60,
    num_tokens: int = 2048,
    stretch: Stretch | None = None,
) -> MediaRow:
    """Return noise in which words are spoken, each at a stamp, and questions by instant.

    ``spoken`` are words with their sound, of which none is said twice or for longer than 5 s.
    ``stretch`` tells where in a sound this is and at which stamps the words are, its last place
    having none; by default places are drawn, from 00:00:00 on.
    ValueError when there are fewer stamps than these and one without.
    """
    stamps = range(0, num_seconds, STAMP_EVERY_S)
    if len(stamps) <= len(spoken):
        raise ValueError(f"{num_seconds} s have {len(stamps)} stamps, needed: {len(spoken) + 1}")
    samples = noise(rng, num_seconds)
    if stretch is None:
        drawn = rng.choice(stamps, len(spoken) + 1, replace=False)
        stretch = Stretch(0, tuple(drawn.tolist()))
    stretch.check(length_s=num_seconds, grain_s=STAMP_EVERY_S)
    start_s, (*places, bare) = stretch.start_s, stretch.places
    questions = [_asked(*said_at(start_s + bare, ABSENT), "absent")]
    for place, (text, words) in zip(places, spoken, strict=True):
        start = place * SOUND_RATE_HZ
        samples[start : start + len(words)] += words[: len(samples) - start]
        if rng.random() < WHEN_SHARE:
            questions.append(_asked(*said_when(text, start_s + place), "when"))
        else:
            questions.append(_asked(*said_at(start_s + place, text), "said_at"))
    shown = [*sound_passages([seconds_of(np.clip(samples, -1, 1))], start_s=start_s)]
    order = rng.permutation(len(questions))
    said = " ".join(text for _, (text, _) in sorted(zip(places, spoken, strict=True)))
    return media_row(shown, [questions[i] for i in order], num_tokens=num_tokens, said=said)


def noise(rng: np.random.Generator, num_seconds: int) -> np.ndarray:
    """Return soft white noise, float32 (N,) at 16 kHz."""
    level = rng.uniform(0.001, 0.01)
    return rng.standard_normal(num_seconds * SOUND_RATE_HZ, dtype=np.float32) * np.float32(level)


def number_at(time_s: float, answer: str) -> tuple[str, str]:
    """Return the question for the number on a film's card at an instant, and its answer."""
    return f"What number is shown at {stamp(time_s)}?", answer


def colour_at(time_s: float, answer: str) -> tuple[str, str]:
    """Return the question for the colour of the number at an instant, and its answer."""
    return f"What colour is the number at {stamp(time_s)}?", answer


def number_when(number: str, time_s: float) -> tuple[str, str]:
    """Return the question for the instant of a number, and its answer."""
    return f"When is the number {number} shown?", stamp(time_s)


def said_at(time_s: float, answer: str) -> tuple[str, str]:
    """Return the question for the words at an instant of a sound, and its answer."""
    return f"What is said at {stamp(time_s)}?", answer


def said_when(text: str, time_s: float) -> tuple[str, str]:
    """Return the question for the instant of words, and its answer."""
    return f"When is {text} said?", stamp(time_s)


def _asked(text: str, answer: str, kind: str) -> Part:
    return question_part(Question(text, answer, kind, "media", (), ()), ANSWER_WEIGHT)
