"""What every paper of the reader's examination shares: the reader, the texts, the settings.

Picture the examination room: how long the haystacks are, how many questions are asked, from which
seed everything is drawn, and the user's own file in which to hide things, if there is one: a text,
a film or a sound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cyclorama.data.needles import Needle, Question
from cyclorama.data.texts import Texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation.needle import HaystackCost, Trial, try_haystack
from cyclorama.inference.files import Item, Viewing, media_items
from cyclorama.inference.messages import file_text
from cyclorama.inference.text import Reader
from cyclorama.models.lm import LMConfig, cannot_read

GOLDEN = 0.618034  # of any number of haystacks, the depths together are spread evenly
TEXT_TESTS = ("needle", "many", "kinds", "position", "dictionary", "retrieval")
READS: dict[str, Literal["pictures", "sound"]] = {
    "video": "pictures", "questions": "pictures", "captions": "pictures",
    "audio": "sound", "speech": "sound",
}  # fmt: skip
ANSWERS_STAND_IN_TEXT = ("needle", "many", "kinds", "retrieval")
HIDES_IN = {**dict.fromkeys(TEXT_TESTS, "text"), "video": "film", "audio": "sound"}
_UNITS_S = {"h": 3600, "min": 60, "s": 1}


@dataclass(frozen=True)
class ReaderTests:
    """What is examined: lengths, and how many things a test hides or asks at each."""

    tests: tuple[str, ...] = ("needle", "many", "kinds", "position", "shots", "dictionary")
    lengths: tuple[int, ...] = (65_536,)
    durations_s: tuple[int, ...] = (3600,)  # of films and sounds
    num_trials: int = 1000
    num_haystacks: int = 10  # among which a test's questions are dealt at each length
    seed: int = 0
    haystack: Path | None = None  # None: prose by a grammar, clips of the engine, noise
    speech: Path | None = None  # a folder of recordings with their words
    memory_dtype: str = "int8"
    quote: bool = False  # answers only with words that stand in the text


@dataclass(frozen=True, eq=False)
class Bench:
    """What all tests share."""

    reader: Reader
    texts: Texts
    config: ReaderTests
    report: Callable[[str], None]
    haystack: Item | None = None  # the user's film or sound

    def rng(self, *numbers: int) -> np.random.Generator:
        """Return the generator of one haystack of one test."""
        return np.random.default_rng([self.config.seed, *numbers])

    def text(self, num_tokens: int, number: int = 0) -> np.ndarray:
        """Return the text of haystack ``number``; each begins elsewhere, and repeats if short."""
        start = number * len(self.texts) // self.config.num_haystacks
        return self.texts.stream(num_tokens, start=start)

    def attempt(
        self,
        num_tokens: int,
        number: int,
        *,
        needles: Sequence[Needle],
        questions: Sequence[Question],
    ) -> tuple[list[Trial], HaystackCost, np.ndarray]:
        """Try one haystack that is exactly ``num_tokens`` long with its facts."""
        encode = load_tokenizer().encode
        room = sum(len(encode(" " + needle.statement)) for needle in needles)
        if room > num_tokens / 2:
            raise ValueError(
                f"{len(needles)} facts of {room} tokens fill half of {num_tokens}: "
                "ask fewer --trials, or a longer --length"
            )
        trials, cost, reading = try_haystack(
            self.reader,
            self.text(num_tokens - room, number),
            needles=needles,
            questions=questions,
            number=number,
            offset=(0.5 + GOLDEN * number) % 1,
            memory_dtype=self.config.memory_dtype,
        )
        right = sum(trial.right for trial in trials)
        self.report(
            f"{length_name(num_tokens)} tokens, haystack {number + 1}: read in "
            f"{cost.prefill_s:.1f} s, {right} of {len(trials)} right"
        )
        return trials, cost, reading.ids


def length_name(num_tokens: int) -> str:
    """Return 64k for 65,536, 10m for 10,485,760, and other numbers as they are."""
    for unit, size in (("m", 1 << 20), ("k", 1 << 10)):
        if num_tokens % size == 0:
            return f"{num_tokens // size}{unit}"
    return str(num_tokens)


def parse_length(text: str) -> int:
    """Return the tokens of "4096", "64k" (65,536) or "10m" (10,485,760); else ValueError."""
    digits = text.strip().lower()
    size = {"k": 1 << 10, "m": 1 << 20}.get(digits[-1:], 1)
    digits = digits[:-1] if size > 1 else digits
    if not digits.isdecimal() or int(digits) == 0:
        raise ValueError(
            f"a length is a number of tokens such as 4096, 64k or 10m, or a duration such as 3h, "
            f"90min or 75s, got {text!r}"
        )
    return int(digits) * size


def portions(num: int, haystacks: int) -> list[int]:
    """Return ``num`` questions dealt to at most ``haystacks`` haystacks."""
    haystacks = min(haystacks, num)
    return [num * (n + 1) // haystacks - num * n // haystacks for n in range(haystacks)]


def duration_name(duration_s: int) -> str:
    """Return 3h for 10,800 seconds, 90min for 5,400, else the seconds, as 75s."""
    unit, size = next((u, s) for u, s in _UNITS_S.items() if duration_s % s == 0)
    return f"{duration_s // size}{unit}"


def parse_duration(text: str) -> int | None:
    """Return the seconds of "3h", "90min" or "75s", None for what is no duration."""
    for unit, size in _UNITS_S.items():
        digits = text.strip().lower().removesuffix(unit)
        if digits != text.strip().lower() and digits.isdecimal() and int(digits):
            return int(digits) * size
    return None


def is_text_file(path: Path) -> bool:
    """Tell whether a file is UTF-8 text; an absent one counts as text, whose reader names it."""
    return not path.exists() or file_text(path) is not None


def media_haystack(path: Path, tests: Sequence[str], *, config: LMConfig) -> Item:
    """Return the user's film or sound in which the only one of ``tests`` that hides, hides.

    ValueError when a test hides in something else, and for weights that do not read it.
    """
    wanted = [test for test in tests if test in HIDES_IN]
    if wanted not in (["video"], ["audio"]):
        raise ValueError(
            f"{path} is no text, and {', '.join(wanted) or 'none of the tests'} would hide facts "
            "in it: give --tests video for a film, or audio for a sound"
        )
    viewing = Viewing(with_sound=wanted == ["audio"])
    items = {item.kind: item for item in media_items(path, config=config, viewing=viewing)}
    if HIDES_IN[wanted[0]] not in items:
        raise ValueError(f"{path} holds {' and '.join(items)}, no {HIDES_IN[wanted[0]]}")
    return items[HIDES_IN[wanted[0]]]


def check_reads(tests: Sequence[str], config: LMConfig) -> None:
    """Raise ValueError for a test of what the weights do not read."""
    for test in tests:
        if test in READS and READS[test] not in config.reads:
            raise ValueError(f"test {test}: {cannot_read(READS[test], config)}")
