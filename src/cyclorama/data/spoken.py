"""Utterances spoken once and kept: digits and made-up sentences, each by a voice of its own.

Picture a shelf of tapes with their scripts. A tape is one voice, spoiled as a recording is
(`speech`); to say and spoil a second of speech takes 10 ms, to take a tape from the shelf nothing,
and a training step needs minutes of speech. A shelf is a directory with two files, int16 samples
behind each other and a card with texts and lengths, made aside and renamed; after a kill it is
made anew. Scripts are words alone, lower case: what is heard, not how it is printed. Needs the
extra ``speech`` to be made, not to be opened.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cyclorama.data.speech import draw_voice, speak, spoil, timbres
from cyclorama.data.texts import prose
from cyclorama.shapes import SOUND_RATE_HZ
from cyclorama.worlds.processes import spawn_pool

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LONGEST_S = {"digits": 8.0, "sentences": 12.0}
MOST_WORDS = 12
_BLOCK = 64  # utterances between two reports
_FULL = 32767
_ALIKE_SHARE, _NEAR = 0.6, 3  # of utterances drawn together, and how near in alphabetical order
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[.!?]\")\s")
_NOT_SPOKEN = re.compile(r"[^a-z' ]+")
Block = tuple[list[str], list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Utterances:
    """A shelf: texts, where each begins in the samples, int64 (N + 1,), and samples int16."""

    texts: tuple[str, ...]
    starts: np.ndarray
    samples: np.ndarray

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray]:
        """Return words and sound, mono float32 at 16 kHz in [-1, 1]."""
        samples = self.samples[self.starts[index] : self.starts[index + 1]]
        return self.texts[index], samples.astype(np.float32) / _FULL

    def draw(
        self, rng: np.random.Generator, num: int, *, longest_s: float
    ) -> list[tuple[str, np.ndarray]]:
        """Return utterances of different words, none longer than ``longest_s``.

        Most stand near another one in alphabetical order, and so begin as that does: whoever has
        heard the first word must still know which of them it was.
        """
        short = np.flatnonzero(np.diff(self.starts) <= longest_s * SOUND_RATE_HZ)
        tapes = {self.texts[index]: index for index in rng.permutation(short)}
        texts = sorted(tapes)
        if len(texts) < num:
            raise ValueError(
                f"{len(texts)} different utterances of up to {longest_s:g} s, needed {num}: "
                "make more of them"
            )
        places: list[int] = []
        while len(places) < num:
            place = int(rng.integers(len(texts)))
            if places and rng.random() < _ALIKE_SHARE:
                place = places[rng.integers(len(places))] + int(rng.integers(-_NEAR, _NEAR + 1))
            if 0 <= place < len(texts) and place not in places:
                places.append(place)
        return [self[tapes[texts[place]]] for place in places]


def spoken_digits(rng: np.random.Generator, *, most: int = 7) -> str:
    """Return one to ``most`` digits as words."""
    return " ".join(DIGITS[i] for i in rng.integers(10, size=rng.integers(1, most + 1)))


def spoken_sentence(rng: np.random.Generator) -> str:
    """Return a made-up sentence of 3 to 12 words without numbers, lower case, words alone."""
    for paragraph in prose(int(rng.integers(2**31))):
        sentences = [s for s in _SENTENCE_END.split(paragraph) if not re.search(r"\d", s)]
        fitting = [words for s in sentences if 3 <= len((words := _words(s)).split()) <= MOST_WORDS]
        if fitting:
            return fitting[int(rng.integers(len(fitting)))]
    raise AssertionError("prose has no end")


def utter(
    rng: np.random.Generator, kind: str, *, split: str = "train", longest_s: float | None = None
) -> tuple[str, np.ndarray]:
    """Return words of a kind (digits, sentences) and their sound, spoiled, by a voice of the split.

    Utterances longer than ``longest_s`` (that of the kind by default) are drawn anew.
    """
    if kind not in LONGEST_S:
        raise ValueError(f"no utterances of kind {kind!r}: there are {', '.join(LONGEST_S)}")
    most = (longest_s or LONGEST_S[kind]) * SOUND_RATE_HZ
    while True:
        text = spoken_digits(rng) if kind == "digits" else spoken_sentence(rng)
        samples = spoil(speak(text, draw_voice(rng, split=split)), rng)
        if len(samples) <= most:
            return text, samples


def build_utterances(
    directory: Path,
    *,
    kind: str,
    num: int,
    split: str = "train",
    num_workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Utterances:
    """Return the shelf at ``directory``, made now when it is not there.

    ``progress(done, total)`` is told utterances. Raises ValueError when the directory holds other
    utterances, ImportError without the extra.
    """
    card = {"kind": kind, "num": num, "split": split}
    if not directory.is_dir():
        timbres(split)  # the extra is missed here, not in another process
        aside = directory.with_name(f"{directory.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        texts, lengths = [], []
        with (aside / "samples.i16").open("wb") as file:
            for said, spoken in _blocks(kind, split, num=num, num_workers=num_workers):
                texts += said
                lengths += [len(samples) for samples in spoken]
                file.write(np.concatenate(spoken).tobytes())
                if progress is not None:
                    progress(len(texts), num)
        whole = {**card, "texts": texts, "lengths": lengths}
        (aside / "utterances.json").write_text(json.dumps(whole))
        aside.rename(directory)
    found = json.loads((directory / "utterances.json").read_text())
    if any(found[key] != value for key, value in card.items()):
        raise ValueError(f"{directory} holds other utterances than {card}: use a new directory")
    samples = np.memmap(directory / "samples.i16", dtype="<i2", mode="r")
    starts = np.cumsum([0, *found["lengths"]], dtype=np.int64)
    return Utterances(tuple(found["texts"]), starts, samples)


def _blocks(kind: str, split: str, *, num: int, num_workers: int) -> Iterator[Block]:
    """Yield blocks of utterances in order, spoken by other processes when there are any."""
    spans = [range(start, min(start + _BLOCK, num)) for start in range(0, num, _BLOCK)]
    speak_one = partial(_speak_block, kind, split)
    if num_workers == 0:
        yield from map(speak_one, spans)
        return
    with spawn_pool(num_workers) as pool:
        yield from pool.map(speak_one, spans)


def _speak_block(kind: str, split: str, span: range) -> Block:
    texts, spoken = [], []
    for index in span:
        rng = np.random.default_rng([split == "test", index])
        text, samples = utter(rng, kind, split=split)
        texts.append(text)
        spoken.append(np.round(samples * _FULL).astype("<i2"))
    return texts, spoken


def _words(sentence: str) -> str:
    """Return lower-case words with nothing but spaces between them."""
    return " ".join(_NOT_SPOKEN.sub(" ", sentence.lower()).split())
