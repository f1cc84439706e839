"""Answers in the words of what was read: which tokens may come next, if nothing is to be made up.

Picture a witness with a finger on the page, who may say only what stands there, from the beginning
of a word to the end of one: at every syllable the words under the finger say which syllables can
follow, and of these the witness says the likeliest. A name half remembered, a number that will not
end, a word without its first letters cannot be said; a wrong line can. Several quotations may
follow each other behind commas, and "not found" may always be said. Generation held to what a
language accepts by masking logits: Willard and Louf 2023, arXiv 2307.09702, section 3; here the
language is the pieces of one text, and the text itself its automaton. Leaves out which text is
quoted from: of a long memory that on a question's desk (`second_look`), else all of it (`text`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.inference.second_look import Desk

_LETTER = rb"[0-9a-z\x80-\xff]"
# Of a word as spaces part them, or of one behind a sign: "QX-4817", "4817", and "(see".
_BEGINNING = rb"(?:(?<![^\0 ])|(?<!%b)(?=%b))" % (_LETTER, _LETTER)
_REST = rb"(?=( ?[^\0 ]*))"  # no token goes on behind a word's end
_WORD, _ENDS_IN_WORD = re.compile(_LETTER), re.compile(_LETTER + rb"\Z")
_ABSENT = ABSENT.encode()
_GAP = b"\0"  # between pieces that do not follow each other


def may_follow(page: bytes, said: Sequence[int], *, stop: int) -> list[int]:
    """Return the ids that may come behind the tokens of an answer; ``stop`` where it may end."""
    spelled, ids_of = _spelling()
    text = b"".join(spelled[i] for i in said).lower()
    allowed, rests = set[int](), set[bytes]()
    if _ABSENT.startswith(text.lstrip()):
        rests.add(_ABSENT.removeprefix(text.lstrip()))
        allowed |= {stop} if b"" in rests else set()
    # What was said is a quotation from its beginning on, or a new one began behind some comma.
    for start in (0, *(comma.end() for comma in re.finditer(b",", text))):
        part = text[start:].lstrip()
        found = set(re.findall(_BEGINNING + re.escape(part) + _REST, page))
        if not part:
            found = {rest for rest in found if not rest.startswith((b" ", b","))}
        elif any(not (_ENDS_IN_WORD.search(part) and _WORD.match(rest)) for rest in found):
            allowed |= {stop, *ids_of[b","]}
        rests |= found
    if not text or text.endswith(b","):
        rests |= {b" " + rest for rest in rests}
    for rest in rests:
        for length in range(1, len(rest) + 1):
            allowed.update(ids_of.get(rest[:length], ()))
    return sorted(allowed)


def page_of(ids: np.ndarray, places: np.ndarray | None = None) -> bytes:
    """Return the text of token ids, to be quoted from: of those at sorted ``places``, or of all.

    Letters are small and white space is single spaces: a quotation may run over a line's end.
    """
    pieces = [ids]
    if places is not None:
        pieces = np.split(ids[places], np.flatnonzero(np.diff(places) != 1) + 1)
    spelled, _ = _spelling()
    text = _GAP.join(b"".join([spelled[i] or _GAP for i in piece.tolist()]) for piece in pieces)
    return re.sub(rb"\s+", b" ", text).lower() + _GAP


@dataclass(eq=False)
class Quotations:
    """The pages from which the answers to some questions are quoted."""

    ids: np.ndarray  # of all that was read
    stop: int
    desks: dict[int, Desk | None] = field(default_factory=dict)  # by question, the newest
    pages: dict[int, bytes] = field(default_factory=dict)

    def hold(
        self,
        logits_RV: Tensor,
        *,
        questions: Sequence[int],
        said: Sequence[Sequence[int]],
        desks: Mapping[int, Desk],
    ) -> None:
        """Take from the logits of some questions, in place, what cannot be quoted next.

        ``said`` are the answers so far, of all questions. A question without a desk has all that
        was read before it; one that was brought another desk has both.
        """
        for row_V, question in zip(logits_RV, questions, strict=True):
            desk = desks.get(question)
            if question not in self.pages or self.desks[question] is not desk:
                new = page_of(self.ids, None if desk is None else desk.place_S.numpy())
                self.pages[question] = self.pages.get(question, b"") + new
                self.desks[question] = desk
            allowed = may_follow(self.pages[question], said[question], stop=self.stop)
            held_V = torch.full_like(row_V, float("-inf"))
            held_V[allowed] = row_V[allowed]
            row_V.copy_(held_V)


@cache
def _spelling() -> tuple[tuple[bytes, ...], dict[bytes, list[int]]]:
    """Return the bytes of each token, none of a mark, and the tokens by their bytes when small."""
    spelled = load_tokenizer().spelling()
    ids_of: dict[bytes, list[int]] = {}
    for number, letters in enumerate(spelled):
        if letters:
            ids_of.setdefault(letters.lower(), []).append(number)
    return spelled, ids_of
