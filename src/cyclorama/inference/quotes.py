"""Answers in the words of what was read: which tokens may come next, if nothing is to be made up.

Picture a witness with a finger on the page, who may say only what stands there, from the beginning
of a word to the end of one: at every syllable the words under the finger say which syllables can
follow, and of these the witness says the likeliest. A name half remembered, a number that will not
end, a word without its first letters cannot be said; a wrong line can. Several quotations may
follow each other, a comma and a space between them, and "not found" may always be said. Generation
held to what a language accepts by masking logits: Willard and Louf 2023, arXiv 2307.09702,
section 3; here the language is the runs of words of one text. Leaves out which text that is: of a
long memory what lies on a question's desk (`second_look`), else all of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.inference.second_look import Desk
from cyclorama.inference.sources import outside_media

_LETTERS = r"\w\u0300-\u036f"  # and marks that combine with the letter before them
# "1,000" and "3.14" are one word, "QX-4817" is two.
_WORD = re.compile(rf"[{_LETTERS}]+(?:(?<=\d)[.,](?=\d)[{_LETTERS}]+)*")
_BETWEEN_SPACES = re.compile(r"[^\s\0]+")
_CUT_BEFORE, _CUT_BEHIND = re.compile(rf"\A[{_LETTERS}.,]+"), re.compile(rf"[{_LETTERS}.,]+\Z")
_REST = re.compile(rb" ?[^ \0]*")  # no token goes on behind a word's end
_ABSENT = ABSENT.encode()
_GAP = "\0"  # between pieces that do not follow each other
_BESIDE = 32  # tokens read on either side of a desk's: a word may lie across its edge


@dataclass(frozen=True, eq=False)
class Page:
    """A text to quote from, as UTF-8 with single spaces and A to Z small.

    By byte, one more than there are: where a quotation may begin, and where it may end.
    """

    text: bytes
    begins_P: np.ndarray
    ends_P: np.ndarray

    @cached_property
    def beginnings(self) -> set[bytes]:
        """The first words that a quotation may have."""
        return self.rests(b"", np.flatnonzero(self.begins_P))

    def places(self, part: bytes) -> np.ndarray:
        """Return where a quotation that begins with ``part`` may stand."""
        found, place = list[int](), self.text.find(part)
        while place >= 0:
            found.append(place)
            place = self.text.find(part, place + 1)
        places = np.array(found, np.int64)
        return places[self.begins_P[places]]

    def holds(self, part: bytes) -> bool:
        """Tell whether ``part`` is a whole quotation."""
        places = self.places(part) if part else np.empty(0, np.int64)
        return bool(self.ends_P[places + len(part)].any())

    def rests(self, part: bytes, places: np.ndarray) -> set[bytes]:
        """Return what goes on behind ``part`` at some places, at most to the end of a word."""
        longest = _longest()
        found = (_REST.match(self.text, place + len(part)) for place in places.tolist())
        return {rest[0][:longest] for rest in found if rest}


def page_of(ids: np.ndarray, places: np.ndarray | None = None) -> Page:
    """Return the text of token ids, to be quoted from: around sorted ``places``, or all of it."""
    pieces = [(0, len(ids))] if places is None else _runs(places, len(ids))
    text = _GAP.join(_piece(ids, *piece) for piece in pieces)
    words = [word.span() for word in _WORD.finditer(text)]
    # What stands between spaces has signs about its words: "(see", "48%".
    whole = [run.span() for run in _BETWEEN_SPACES.finditer(text) if _WORD.search(run[0])]
    begins = [first for first, _ in (*words, *whole) if text[first] != ","]
    ends = [end for _, end in (*words, *whole) if text[end - 1] != ","]
    letters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    size_L = 1 + (letters >= 0x80).astype(np.int64) + (letters >= 0x800) + (letters >= 0x10000)
    place_L = np.concatenate(([0], np.cumsum(size_L)))  # of each letter, in bytes
    begins_P, ends_P = (np.zeros(place_L[-1] + 1, bool) for _ in range(2))
    begins_P[place_L[begins]] = True
    ends_P[place_L[ends]] = True
    return Page(text.encode().lower(), begins_P, ends_P)


def has_words(ids: np.ndarray) -> bool:
    """Tell whether there is anything to quote from; what a film is headed by is no text."""
    return len(outside_media(ids, np.flatnonzero(_has_letter()[ids]))) > 0


def may_follow(page: Page, said: Sequence[int], *, stop: int) -> list[int]:
    """Return the ids that may come behind the tokens of an answer; ``stop`` where it may end."""
    spelled, ids_of = _spelling()
    text = b"".join(spelled[i] for i in said).lower()
    begun = text.lstrip()
    allowed, rests = set[int](), set[bytes]()
    if _ABSENT.startswith(begun):
        rests.add(_ABSENT.removeprefix(begun))
        allowed |= {stop} if begun == _ABSENT else set()
    for behind in _begun(page, text):
        part = behind.lstrip()
        if part:
            rests |= page.rests(part, page.places(part))
            allowed |= {stop, *ids_of[b","]} if page.holds(part) else set()
        else:
            rests |= page.beginnings if behind or not text else _spaced(page.beginnings)
    if not text:
        rests |= _spaced(rests)
    for rest in rests:
        for length in range(1, len(rest) + 1):
            allowed.update(ids_of.get(rest[:length], ()))
    # The page may end behind a sign: what was said before it is whole (`whole_parts`).
    return sorted(allowed) or [stop]


def _begun(page: Page, text: bytes) -> list[bytes]:
    """Return an answer from each place on at which its last quotation may have begun.

    That is its beginning, or behind a comma before which a whole one ended; there a space follows.
    """
    starts = [0]
    for comma in re.finditer(rb",(?= |\Z)", text):
        if any(page.holds(text[start : comma.start()].lstrip()) for start in starts):
            starts.append(comma.end())
    return [text[start:] for start in starts]


def _spaced(words: set[bytes]) -> set[bytes]:
    return {b" " + word for word in words}


@dataclass(eq=False)
class Quotations:
    """The pages from which the answers to some questions are quoted."""

    ids: np.ndarray  # of all that was read
    stop: int
    desks: dict[int, tuple[Desk, np.ndarray, Page]] = field(default_factory=dict)  # by question

    def __post_init__(self) -> None:
        """Raise ValueError where nothing was read that could be quoted."""
        if not has_words(self.ids):
            raise ValueError("there are no words in what was read: ask without --quote")

    @cached_property
    def whole(self) -> Page:
        """All that was read."""
        return page_of(self.ids)

    def hold(
        self,
        logits_RV: Tensor,
        *,
        questions: Sequence[int],
        said: Sequence[Sequence[int]],
        desks: Mapping[int, Desk],
    ) -> None:
        """Take from the logits of some questions, in place, what cannot be quoted next.

        ``said`` are the answers so far, of all questions.
        """
        for row_V, question in zip(logits_RV, questions, strict=True):
            page = self.page(question, desks.get(question))
            forbidden_V = torch.ones_like(row_V, dtype=torch.bool)
            forbidden_V[may_follow(page, said[question], stop=self.stop)] = False
            row_V.masked_fill_(forbidden_V, float("-inf"))

    def whole_parts(
        self, said: Sequence[Sequence[int]], desks: Mapping[int, Desk]
    ) -> list[list[int]]:
        """Return each answer up to the last token at which it is a whole quotation.

        One that ran out of tokens ends in the middle of something.
        """
        parts: list[list[int]] = []
        for question, answer in enumerate(said):
            page, part = self.page(question, desks.get(question)), list(answer)
            while part and self.stop not in may_follow(page, part, stop=self.stop):
                part.pop()
            parts.append(part)
        return parts

    def page(self, question: int, desk: Desk | None) -> Page:
        """Return what a question may quote: all desks it has had, or what was read."""
        if desk is None:
            return self.whole
        if question not in self.desks or self.desks[question][0] is not desk:
            places = desk.place_S.numpy()
            if question in self.desks:
                places = np.union1d(places, self.desks[question][1])
            self.desks[question] = desk, places, page_of(self.ids, places)
        return self.desks[question][2]


def _runs(places: np.ndarray, num: int) -> list[tuple[int, int]]:
    """Return first and end of the pieces of ``num`` tokens around sorted places."""
    runs: list[tuple[int, int]] = []
    for run in np.split(places, np.flatnonzero(np.diff(places) > 2 * _BESIDE) + 1):
        runs.append((max(0, int(run[0]) - _BESIDE), min(num, int(run[-1]) + 1 + _BESIDE)))
    return runs


def _piece(ids: np.ndarray, first: int, end: int) -> str:
    """Return the text of some tokens, with single spaces and without words that are cut."""
    spelled, _ = _spelling()
    letters = b"".join([spelled[i] or _GAP.encode() for i in ids[first:end].tolist()])
    text = re.sub(r"\s+", " ", letters.decode("utf-8", "replace")).strip()
    if first > 0:
        text = _CUT_BEFORE.sub("", text)
    return _CUT_BEHIND.sub("", text) if end < len(ids) else text


@cache
def _spelling() -> tuple[tuple[bytes, ...], dict[bytes, list[int]]]:
    """Return the bytes of each token, and the tokens by these with A to Z small."""
    spelled = load_tokenizer().spelling()
    ids_of: dict[bytes, list[int]] = {}
    for number, letters in enumerate(spelled):
        if letters:
            ids_of.setdefault(letters.lower(), []).append(number)
    return spelled, ids_of


@cache
def _longest() -> int:
    """Return the most bytes that a token has."""
    return max(map(len, _spelling()[1]))


@cache
def _has_letter() -> np.ndarray:
    """Return which tokens have a letter, bool (V,)."""
    return np.array([re.search(rb"[A-Za-z\x80-\xff]", one) is not None for one in _spelling()[0]])
