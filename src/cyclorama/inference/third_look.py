"""The third look: the pages to which a long memory points are read anew, each by itself.

Picture the clerk of the second look, back at his desk with an answer put together from cards. Is he
sure of it, and does it stand on the page where most of his trains of thought had led, he gives it.
Else he takes the book itself from the shelf, opens it at that page and at the next places, reads
each as if there were no other, and asks the question of each, to be answered in its own words
(`quotes`). Each of these answers has a vote, as loud as the place and the answer are sure; the
answer from the cards votes on every page where it stands. What a million cards garble, a page by
itself mostly says plainly. To let pages that were retrieved bear on an answer each by itself, by
how sure their retrieval was: Lewis et al. 2020, arXiv 2005.11401, section 2.1; here what retrieves
is the reader's own attention. Leaves out lists, whose parts stand on different pages, pages with
pictures or sound, which are not kept, "not found", which no page can confirm, and how a page is
asked (`text`).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.passages import MEDIUM
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.inference.quotes import Page, has_words, page_of
from cyclorama.inference.second_look import BLOCK

SURE = math.log(0.95)
NUM_PLACES = 3
APART = 5  # drawers between two places, at least
AROUND = 8  # drawers of a page on either side of the one that was wanted
LEAST_WEIGHT = 0.3  # of one head of one layer: what all of them pass over is no place


@dataclass(frozen=True)
class Place:
    """A drawer of a memory, and how much of their weight heads laid around it, together."""

    drawer: int
    weight: float


@dataclass(frozen=True)
class Said:
    """An answer's tokens, and the logarithm of its probability."""

    ids: list[int]
    log_probability: float

    @property
    def text(self) -> str:
        """The answer with single spaces, in lower case."""
        return " ".join(load_tokenizer().decode(self.ids).lower().split())


def places_of(weight_RD: Float[Tensor, "R D"]) -> list[list[Place]]:
    """Return for each question the drawers around which most weight lies, the heaviest first."""
    around_RD = F.avg_pool1d(weight_RD[:, None], 3, stride=1, padding=1)[:, 0] * 3
    places: list[list[Place]] = [[] for _ in around_RD]
    for row, chosen in enumerate(places):
        while len(chosen) < NUM_PLACES:
            best = int(around_RD[row].argmax())
            if around_RD[row, best] < LEAST_WEIGHT:
                break
            chosen.append(Place(best, float(around_RD[row, best])))
            around_RD[row, max(0, best - APART + 1) : best + APART] = 0
    return places


def settled(
    said: Said, *, ids: np.ndarray, places: Sequence[Place], ask: Callable[[np.ndarray], Said]
) -> Said:
    """Return the answer to one question after the pages of ``ids`` at its places were asked.

    ``said`` is the answer from the cards. ``ask`` reads a page and answers from it.
    """
    if said.text == ABSENT or "," in said.text:
        return said
    leaves = [(place, leaf_of(ids, place)) for place in places]
    pages = [(place, leaf, page_of(leaf)) for place, leaf in leaves if _is_text(leaf)]
    if not pages or (said.log_probability > SURE and _stands(said, pages[0][2])):
        return said
    loudness, first = defaultdict[str, float](float), {said.text: said}
    for place, leaf, page in pages:
        answer = ask(leaf)
        for vote in (answer, said):
            if vote.text != ABSENT and _stands(vote, page):
                loudness[vote.text] += place.weight * math.exp(vote.log_probability)
                first.setdefault(vote.text, vote)
    return first[max(loudness, key=lambda text: loudness[text], default=said.text)]


def leaf_of(ids: np.ndarray, place: Place) -> np.ndarray:
    """Return the tokens of a page."""
    return ids[max(0, place.drawer - AROUND) * BLOCK : (place.drawer + AROUND + 1) * BLOCK]


def _is_text(leaf: np.ndarray) -> bool:
    return has_words(leaf) and not (leaf == MEDIUM).any()


def _stands(said: Said, page: Page) -> bool:
    return page.holds(said.text.encode())
