"""Rows to train on with media in them: clips and their captions, cards in films, words in noise.

Picture flash cards for the reader. On one side something to see or hear, as it will stand in a
stream (`passages`); on the other what may be asked of it and the answer, written with the same
marks and weights as any question (`needle_stream`). A clip of the engine is asked for its captions
and what its truth answers; a film with numbered cards held up in it, or noise with words in it, for
what stands at an instant, or when something stands. A row has one clip, so that "the ball" is
nobody else's: rows of clips must not see each other (``share=false``).
"""

import random
from collections.abc import Sequence as Many
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

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
from cyclorama.data.speech import draw_voice, speak, spoil
from cyclorama.shapes import SOUND_RATE_HZ
from cyclorama.worlds.episode import Episode, make_episode, witness
from cyclorama.worlds.questions import Question as Asked
from cyclorama.worlds.questions import ask
from cyclorama.worlds.recipe import DOMAINS, recipe_hash, recipes

STILL_KINDS = ("count", "exists", "colour", "shape", "material", "where")
CARD_COLOURS = {
    "red": (200, 30, 30), "green": (20, 130, 40), "blue": (30, 60, 200),
    "purple": (120, 30, 150), "black": (10, 10, 10), "brown": (110, 60, 20),
}  # fmt: skip
CARD_PX, LATEST_S = 64, 36_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, eq=False)
class MediaRow:
    """A row of ids and weights, and the media whose places in it have the id `MEDIUM`."""

    sequence: Sequence
    media: tuple[np.ndarray, ...]


def media_row(shown: Many[Passage], questions: Many[Part], *, num_tokens: int) -> MediaRow:
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
    return MediaRow(joined(parts, num_tokens), passage.media)


def clip_row(
    rng: np.random.Generator,
    *,
    domain: str = "stage",
    split: str = "train",
    num_tokens: int = 768,
    is_image: bool = False,
    weight: float = 5.0,
) -> MediaRow:
    """Return a clip of the engine (or one picture of it), requests for captions, and questions.

    A clip of 17 frames at 8 fps is shown at 8, 4, 2 or 1 fps.
    """
    start = int(rng.integers(2**40))
    recipe = next(recipes(split, domain=DOMAINS[domain], start=start))
    episode = make_episode(recipe, num_frames=1 if is_image else 17)
    asked = [q for q in truths(episode) if not is_image or q.kind in STILL_KINDS]
    questions = [_asked(q.text, q.answer, q.kind, weight) for q in asked]
    if is_image:
        shown = [image_passage(episode.frames[0])]
        there = episode.captions["dense"].split(". ")[0] + "."  # the rest tells what moves
        questions.append(_asked(CAPTION_REQUESTS["dense"], there, "dense", weight))
    else:
        step = int(2 ** rng.integers(4))
        frames = np.stack([scale_frame(frame) for frame in episode.frames[::step]])
        shown = [*video_passages([frames], rate_fps=episode.rate_fps / step)]
        for style, request in CAPTION_REQUESTS.items():
            questions.append(_asked(request, episode.captions[style], style, weight))
    order = rng.permutation(len(questions))
    return media_row(shown, [questions[i] for i in order], num_tokens=num_tokens)


def truths(episode: Episode) -> tuple[Asked, ...]:
    """Return the engine's balanced questions about an episode, without rendering its full truth."""
    num = len(episode.recipe.bodies)
    areas = [(episode.object_ids == i + 1).sum((1, 2)) for i in range(num)]
    facts = witness(
        episode.recipe,
        episode.tracks,
        pixels=episode.pixels,
        cameras=episode.cameras,
        visible_px=np.stack(areas, axis=1),
        size_px=episode.frames.shape[1:3],
    )
    return ask(facts, random.Random("questions/" + recipe_hash(episode.recipe)))


def card(text: str, colour: str) -> np.ndarray:
    """Return a white card uint8 (64, 64, 3) with ``text`` in large coloured letters."""
    image = Image.new("RGB", (CARD_PX, CARD_PX), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=2.0 * CARD_PX / max(3, len(text)) * 0.8)
    middle = (CARD_PX / 2, CARD_PX / 2)
    draw.text(middle, text, fill=CARD_COLOURS[colour], font=font, anchor="mm")
    return np.array(image)


def film_needle_row(
    rng: np.random.Generator,
    footage: np.ndarray,
    *,
    num_needles: int = 4,
    num_tokens: int = 2048,
    weight: float = 5.0,
) -> MediaRow:
    """Return footage uint8 (T, 64, 64, 3) at 1 fps in which numbered cards are held up for a frame.

    Asked is which number or colour stands at an instant, when a number is shown, and what number is
    shown when none is. The film starts at a random second of ten hours.
    """
    if footage.shape[1:] != (CARD_PX, CARD_PX, 3) or len(footage) <= num_needles:
        raise ValueError(
            f"footage must be (T, {CARD_PX}, {CARD_PX}, 3), T above {num_needles}: {footage.shape}"
        )
    frames, start_s = footage.copy(), int(rng.integers(LATEST_S))
    *places, bare = rng.choice(len(frames), num_needles + 1, replace=False).tolist()
    numbers = rng.choice(np.arange(1000, 10_000), num_needles, replace=False).tolist()
    questions = [_asked(*_number_at(start_s + bare, ABSENT), "absent", weight)]
    for place, number in zip(places, numbers, strict=True):
        colour = list(CARD_COLOURS)[rng.integers(len(CARD_COLOURS))]
        frames[place] = card(str(number), colour)
        at = stamp(start_s + place)
        questions += [
            _asked(*_number_at(start_s + place, str(number)), "number_at", weight),
            _asked(f"When is the number {number} shown?", at, "when", weight),
            _asked(f"What colour is the number at {at}?", colour, "colour_at", weight),
        ]
    shown = [*video_passages([frames], rate_fps=1.0, start_s=start_s)]
    return media_row(
        shown, [questions[i] for i in rng.permutation(len(questions))], num_tokens=num_tokens
    )


def spoken_digits(rng: np.random.Generator, *, most: int = 7) -> str:
    """Return one to ``most`` digits as words."""
    return " ".join(DIGITS[i] for i in rng.integers(10, size=rng.integers(1, most + 1)))


def speech_row(
    rng: np.random.Generator,
    text: str,
    *,
    split: str = "train",
    num_tokens: int = 512,
    weight: float = 5.0,
) -> MediaRow:
    """Return ``text`` spoken by a voice of the split and spoiled, and the request for its words."""
    samples = spoil(speak(text, draw_voice(rng, split=split)), rng)
    shown = [*sound_passages([seconds_of(samples)])]
    return media_row(shown, [_asked(SAID_REQUEST, text, "said", weight)], num_tokens=num_tokens)


def sound_needle_row(
    rng: np.random.Generator,
    *,
    num_seconds: int = 60,
    num_needles: int = 3,
    split: str = "train",
    num_tokens: int = 2048,
    weight: float = 5.0,
) -> MediaRow:
    """Return noise in which digits are spoken at some stamps, and questions by instant.

    ValueError when there are fewer stamps than needles and one without.
    """
    stamps = range(0, num_seconds, STAMP_EVERY_S)
    if len(stamps) <= num_needles:
        raise ValueError(f"{num_seconds} s have {len(stamps)} stamps, needed: {num_needles + 1}")
    level = rng.uniform(0.001, 0.01)
    samples = (rng.normal(size=num_seconds * SOUND_RATE_HZ) * level).astype(np.float32)
    *places, bare = rng.choice(stamps, num_needles + 1, replace=False).tolist()
    questions = [_asked(f"What is said at {stamp(bare)}?", ABSENT, "absent", weight)]
    taken: set[str] = set()
    for place in places:
        text = spoken_digits(rng, most=4)
        while text in taken:
            text = spoken_digits(rng, most=4)
        taken.add(text)
        words = spoil(speak(text, draw_voice(rng, split=split)), rng)
        start = place * SOUND_RATE_HZ
        words = words[: min(STAMP_EVERY_S * SOUND_RATE_HZ, len(samples) - start)]
        samples[start : start + len(words)] += words
        at = stamp(place)
        questions.append(_asked(f"What is said at {at}?", text, "said_at", weight))
        questions.append(_asked(f"When is {text} said?", at, "when", weight))
    shown = [*sound_passages([seconds_of(np.clip(samples, -1, 1))])]
    return media_row(
        shown, [questions[i] for i in rng.permutation(len(questions))], num_tokens=num_tokens
    )


def _asked(text: str, answer: str, kind: str, weight: float) -> Part:
    return question_part(Question(text, answer, kind, "media", (), ()), weight)


def _number_at(time_s: float, answer: str) -> tuple[str, str]:
    return f"What number is shown at {stamp(time_s)}?", answer
