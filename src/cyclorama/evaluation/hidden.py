"""Cards in films of hours and words in sounds of hours: one instant of many, asked for.

Picture a film of somebody else's, one frame a second, in which now and then for one frame a white
card with a coloured number is held up; and hours of hiss in which now and then somebody says a few
digits. The stream is read once, as it is made, a minute at a time; then each card is asked for by
its instant (number, colour) and by its number (instant), and instants without a card are asked for
too. After the video and audio haystacks of Gemini 1.5 (2403.05530, section 5.2.1); there a frame is
overlaid with a sentence and asked for without its instant. Voices are those that no training heard.
The film is clips of the engine that no training saw, in random order, the sound soft noise, or the
user's own, over and over where it is too short.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from PIL import Image

from cyclorama.data.asked_clips import asked_clips
from cyclorama.data.media_rows import (
    CARD_COLOURS,
    CARD_NUMBERS,
    card,
    colour_at,
    noise,
    number_at,
    number_when,
    said_at,
    said_when,
)
from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.passages import (
    LEAD_SAMPLES,
    STAMP_EVERY_S,
    Passage,
    num_sound_tokens,
    num_video_tokens,
    seconds_of,
    sound_passages,
    video_passages,
)
from cyclorama.data.spoken import utter
from cyclorama.evaluation.bench import GOLDEN, Bench, duration_name, portions
from cyclorama.evaluation.needle import Trial, ask
from cyclorama.evaluation.outcome import Outcome
from cyclorama.inference.files import Item
from cyclorama.inference.text import Reading, read_stream
from cyclorama.shapes import SOUND_RATE_HZ, grid_of_frames

NUM_FOOTAGE = 64  # clips of the engine of which a film is made
Asked = tuple[str, float | None, tuple[str, str]]  # kind, depth, (question, answer)
Hide = Callable[[np.random.Generator, int, int, int], "Hidden"]  # duration in s, things, number


@dataclass(frozen=True, eq=False)
class Hidden:
    """A stream in which things are hidden, made while it is read, and what is asked about them."""

    passages: Iterable[Passage]
    num_tokens: int
    asked: list[Asked]


def video(bench: Bench) -> Outcome:
    """Ask cards in films of every duration, at even depths."""
    footage = None if bench.haystack else _engine_footage(bench.config.seed)
    return _examine(bench, "video", 4, partial(_film, bench.haystack, footage))


def audio(bench: Bench) -> Outcome:
    """Ask for spoken digits in sounds of every duration, at even depths."""
    return _examine(bench, "audio", 5, partial(_sound, bench.haystack))


def _examine(bench: Bench, what: str, paper: int, hide: Hide) -> Outcome:
    """Hide things in streams of every duration, read each once, and ask."""
    outcome, config = Outcome(), bench.config
    for duration_s in config.durations_s:
        name, prefills = f"{what}_{duration_name(duration_s)}", []
        for number, num in enumerate(portions(config.num_trials, config.num_haystacks)):
            hidden = hide(bench.rng(paper, duration_s, number), duration_s, num, number)
            started = time.perf_counter()
            reading = read_stream(
                bench.reader,
                hidden.passages,
                num_tokens=hidden.num_tokens,
                memory_dtype=config.memory_dtype,
            )
            prefills.append(time.perf_counter() - started)
            _mark(bench, outcome, reading, hidden.asked, name=name)
        outcome.figures[f"prefill_{name}_s"] = float(np.mean(prefills))
    return outcome


def _film(
    haystack: Item | None,
    footage: list[np.ndarray] | None,
    rng: np.random.Generator,
    duration_s: int,
    num: int,
    number: int,
) -> Hidden:
    """Return a film at one frame a second with ``num`` cards in it."""
    places, bare = _places(rng, duration_s, num, number)
    numbers = rng.choice(np.arange(*CARD_NUMBERS), num, replace=False).tolist()
    colours = rng.choice(list(CARD_COLOURS), num).tolist()
    held = [*zip(places, numbers, colours, strict=True)]
    cards = {place: card(str(value), colour) for place, value, colour in held}
    chunks = _shuffled(rng, footage) if footage else _frames_of(haystack)
    first = next(chunks)
    film = held_up(chain([first], chunks), cards, num_frames=duration_s)
    asked: list[Asked] = []
    for place, value, colour in held:
        depth = place / duration_s
        asked += [
            ("needle", depth, number_at(place, str(value))),
            ("colour", depth, colour_at(place, colour)),
            ("when", depth, number_when(str(value), place)),
        ]
    asked += [("absent", None, number_at(place, ABSENT)) for place in bare]
    grid = grid_of_frames(1, first.shape[1:3])
    num_tokens = num_video_tokens(duration_s, grid, rate_fps=1.0)
    return Hidden(video_passages(film, rate_fps=1.0), num_tokens, asked)


def _sound(
    haystack: Item | None, rng: np.random.Generator, duration_s: int, num: int, number: int
) -> Hidden:
    """Return a sound in which digits are said ``num`` times, each at a stamp."""
    stamps, bare = _places(rng, duration_s // STAMP_EVERY_S, num, number)
    words: dict[str, np.ndarray] = {}
    while len(words) < num:
        text, samples = utter(rng, "digits", split="test", longest_s=STAMP_EVERY_S)
        words.setdefault(text, samples)
    said = [*zip((stamp * STAMP_EVERY_S for stamp in stamps), words.items(), strict=True)]
    sound = with_words(
        _samples_of(haystack) if haystack else _hiss(rng),
        {place: samples for place, (_, samples) in said},
        num_seconds=duration_s,
        gives_way=haystack is not None,
    )
    asked: list[Asked] = []
    for place, (text, _) in said:
        asked.append(("needle", place / duration_s, said_at(place, text)))
        asked.append(("when", place / duration_s, said_when(text, place)))
    asked += [("absent", None, said_at(stamp * STAMP_EVERY_S, ABSENT)) for stamp in bare]
    return Hidden(sound_passages(sound), num_sound_tokens(duration_s), asked)


def held_up(
    chunks: Iterable[np.ndarray], cards: Mapping[int, np.ndarray], *, num_frames: int
) -> Iterator[np.ndarray]:
    """Yield ``num_frames`` of footage (T, H, W, 3), each card in place of its frame."""
    first = 0
    for chunk in chunks:
        frames = chunk[: num_frames - first].copy()
        for place in range(len(frames)):
            if first + place in cards:
                frames[place] = _fitted(cards[first + place], *frames.shape[1:3])
        first += len(frames)
        yield frames
        if first == num_frames:
            return


def with_words(
    chunks: Iterable[np.ndarray],
    words: Mapping[int, np.ndarray],
    *,
    num_seconds: int,
    gives_way: bool,
) -> Iterator[np.ndarray]:
    """Yield seconds (B, 16352) of sounds, chunks of whole stamps, with words from their second on.

    Words last one stamp at most; the sound beneath them is heard too, or with ``gives_way`` not.
    """
    step, first = STAMP_EVERY_S * SOUND_RATE_HZ, 0
    before = np.zeros(0, np.float32)
    for chunk in chunks:
        samples = chunk[: (num_seconds - first) * SOUND_RATE_HZ].copy()
        for start in range(0, len(samples), step):
            said = words.get(first + start // SOUND_RATE_HZ)
            if said is not None:
                stretch = samples[start : start + step]
                stretch *= not gives_way
                stretch[: len(said)] += said[: len(stretch)]
        samples = np.clip(samples, -1, 1)
        yield seconds_of(samples, before=before)
        before, first = samples, first + len(samples) // SOUND_RATE_HZ
        if first == num_seconds:
            return


def _places(
    rng: np.random.Generator, num_all: int, num: int, number: int
) -> tuple[list[int], list[int]]:
    """Return ``num`` of ``num_all`` places at even depths, and as many without anything."""
    if num > num_all / 2:
        raise ValueError(
            f"{num} things fill half of {num_all} places to hide them: ask fewer --trials, or a "
            "longer --length"
        )
    offset = (0.5 + GOLDEN * number) % 1
    places = [int((i + offset) * num_all / num) for i in range(num)]
    others = np.setdiff1d(np.arange(num_all), places)
    return places, rng.choice(others, num, replace=False).tolist()


def _mark(
    bench: Bench, outcome: Outcome, reading: Reading, asked: list[Asked], *, name: str
) -> None:
    """Ask, and add what came to an outcome; an answer to what is absent is false."""
    found = ask(bench.reader, reading, questions=[question for _, _, (question, _) in asked])
    num_tokens = len(reading.ids)
    haystack = 1 + max((trial.haystack for trial in outcome.rows), default=-1)
    trials = [
        Trial(num_tokens, haystack, depth, kind, name, question, answer, text)
        for (kind, depth, (question, answer)), text in zip(asked, found, strict=True)
    ]
    outcome.add_kinds(name, trials)
    right = sum(trial.right for trial in trials)
    bench.report(f"{name}: {num_tokens:,} tokens, {right} of {len(trials)} right")


def _engine_footage(seed: int) -> list[np.ndarray]:
    clips = asked_clips("stage", "val_id", num_clips=(seed + 1) * NUM_FOOTAGE)
    return [clips.episode(-1 - n).frames[::4] for n in range(NUM_FOOTAGE)]


def _shuffled(rng: np.random.Generator, footage: list[np.ndarray]) -> Iterator[np.ndarray]:
    while True:
        yield footage[rng.integers(len(footage))]


def _frames_of(item: Item | None) -> Iterator[np.ndarray]:
    """Yield the frames of a film over and over."""
    while item is not None:
        for passage in item.passages():
            yield from passage.media


def _samples_of(item: Item) -> Iterator[np.ndarray]:
    """Yield the samples of a sound over and over, whole stamps at a time."""
    step = STAMP_EVERY_S * SOUND_RATE_HZ
    while True:
        num = 0
        for passage in item.passages():
            for seconds in passage.media:
                samples = seconds[:, LEAD_SAMPLES:].reshape(-1)
                whole = len(samples) // step * step
                num += whole
                if whole:
                    yield samples[:whole]
        if not num:
            raise ValueError(f"{item.echo}: needs at least {STAMP_EVERY_S} s to hide words in")


def _hiss(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield soft noise without end: one minute, begun elsewhere each time."""
    minute = noise(rng, 60)
    while True:
        yield np.roll(minute, int(rng.integers(len(minute))))


def _fitted(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a card as large as a frame allows, on white."""
    side = min(height, width)
    canvas = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    scaled = np.array(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))
    canvas[top : top + side, left : left + side] = scaled
    return canvas
