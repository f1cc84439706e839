"""Where an answer stands in what was read: the file, and the line in it.

Picture a finger laid on the page. The words of an answer are looked for in the stream as they are;
where they stand more than once, the place is taken around which most of the question's words stand,
rare words counting more (inverse frequency: Sparck Jones 1972). An answer in other words than the
text's has no place, nor has "not found", nor what was seen or heard: there the answer itself tells
the instant, and a film's stamps are no text. Files are told apart by the line that
`messages.file_stream` sets before each of several; a text that has such lines of its own misleads.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.tokenizer import load_tokenizer

AROUND = 64  # tokens on each side of an answer that count as its surroundings
_HEAD = "\nfile:"
_OPENS, _CLOSES = (
    tuple(f"<{way}{kind}>" for kind in ("image", "video", "audio")) for way in ("", "/")
)


@dataclass(frozen=True)
class Place:
    """Where some words stand: the file's name (empty when only one was read), the line from 1."""

    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.name else f"line {self.line}"


def place_of(ids: np.ndarray, *, question: str, answer: str) -> Place | None:
    """Return where the words of ``answer`` stand in the stream ``ids`` (L,); None when nowhere."""
    encode, answer = load_tokenizer().encode, answer.strip()
    if not answer or answer.lower() == ABSENT:
        return None
    parts = [_whole(ids, encode(lead + answer), answer=answer) for lead in (" ", "")]
    places = outside_media(ids, np.concatenate(parts))
    if not len(places):
        return None
    place = int(places[_closeness(ids, places, encode(" " + question.strip())).argmax()])
    return _place(ids, place)


def _found(ids: np.ndarray, words: list[int]) -> np.ndarray:
    """Return the places at which ``words`` stand, in order."""
    places = np.flatnonzero(ids[: max(0, len(ids) - len(words) + 1)] == words[0])
    for number, word in enumerate(words[1:], start=1):
        places = places[ids[places + number] == word]
    return places


def _whole(ids: np.ndarray, words: list[int], *, answer: str) -> np.ndarray:
    """Return the places of ``words`` at which no number goes on: 48 does not stand in 14823."""
    begins, ends = _digit_edges()
    places, stops = _found(ids, words), len(words)
    if begins[words[0]]:
        places = places[(places == 0) | ~ends[ids[places - 1]]]
    if answer[-1].isdigit():
        after = np.minimum(places + stops, len(ids) - 1)
        places = places[(places + stops == len(ids)) | ~begins[ids[after]]]
    return places


@lru_cache(maxsize=1)
def _digit_edges() -> tuple[np.ndarray, np.ndarray]:
    """Return which ids begin, and which end, with a digit, bool (V,) each."""
    tokenizer = load_tokenizer()
    texts = [tokenizer.token(index) for index in range(len(tokenizer))]
    begins, ends = (
        np.array([text[edge].isdigit() for text in texts]) for edge in (slice(1), slice(-1, None))
    )
    return begins, ends


def outside_media(ids: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return those of ``places`` that are not between the marks of a picture, film or sound."""
    special = load_tokenizer().special
    opens, closes = ([special(name) for name in names] for names in (_OPENS, _CLOSES))
    inside = np.isin(ids, opens).cumsum() - np.isin(ids, closes).cumsum()
    return places[inside[places] == 0]


def _closeness(ids: np.ndarray, places: np.ndarray, words: list[int]) -> np.ndarray:
    """Return for each place the weight of the question's words that stand around it."""
    weights = np.zeros(len(places))
    for word in set(words):
        stands = np.flatnonzero(ids == word)
        around = np.searchsorted(stands, places + AROUND) > np.searchsorted(stands, places - AROUND)
        if len(stands):
            weights += around * np.log1p(len(ids) / len(stands))
    return weights


def _place(ids: np.ndarray, place: int) -> Place:
    tokenizer = load_tokenizer()
    head = tokenizer.encode(_HEAD)
    [newline] = tokenizer.encode("\n")
    before = ids[: place + 1]
    heads = _found(before, head) + 1
    if len(ids) >= len(head) and ids[: len(head) - 1].tolist() == head[1:]:
        heads = np.append(0, heads)
    if not len(heads):
        return Place("", 1 + int((before[:-1] == newline).sum()))
    start = int(heads[-1])
    ends = np.flatnonzero(ids[start:] == newline)
    text = start + int(ends[0]) + 1 if len(ends) else len(ids)
    name = tokenizer.decode(ids[start + len(head) - 1 : text - 1].tolist()).strip()
    return Place(name, 1 + int((ids[text:place] == newline).sum()))
