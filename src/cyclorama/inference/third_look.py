"""The third look: the pages to which a long memory points are read anew, each by itself.

Picture the clerk of the second look, back at his desk with an answer put together from cards. Is he
sure of it, he gives it. Else he takes the book itself from the shelf, opens it where most of his
trains of thought had led and at the next such spots, reads each page as if there were no other, and
asks the question of each, to be answered in its own words (`quotes`). Each of these answers has a
vote, as loud as the spot and the answer are sure; the answer from the cards votes on every page
where it stands, and a little by itself. Where the cards had nothing to say, pages that have nothing
to say vote too. What a million cards garble, a page by itself mostly says
plainly. To let what was retrieved bear on an answer one passage at a time, by how sure the
retrieval was: Lewis et al. 2020, arXiv 2005.11401, section 2.1; here what retrieves is the reader's
own attention. Leaves out lists, whose parts stand on different pages, pages with pictures or sound,
which are not kept, and how a page is asked (`text`).
"""

import math
import re
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

SURE = math.log(0.95)  # four of five answers are surer; of seven wrong ones none was
NUM_SPOTS = 3  # the right one was among the first two, for all of 300 facts
AROUND = 8  # drawers of a page on either side of its spot
APART = 2 * AROUND + 1  # drawers between two spots, at least: no page has what another has
LEAST_WEIGHT = 0.3  # of one head of one layer: what all of them pass over is no spot
_ABSENT = ABSENT.encode()
_LIST = re.compile(rb",(?= |\Z)")


@dataclass(frozen=True)
class Spot:
    """A drawer of a memory, and what heads laid on it and its neighbours, 1 a head of a layer."""

    drawer: int
    weight: float


@dataclass(frozen=True)
class Said:
    """An answer's tokens, and the logarithm of its probability."""

    ids: list[int]
    log_probability: float

    @property
    def words(self) -> bytes:
        """The answer as pages have it: UTF-8 with single spaces, A to Z small."""
        return b" ".join(load_tokenizer().decode(self.ids).encode().lower().split())


def spots_in(weight_D: Float[Tensor, "D"]) -> list[Spot]:
    """Return the drawers around which most weight lies, the heaviest first."""
    around_D = F.avg_pool1d(weight_D[None], 3, stride=1, padding=1)[0] * 3
    spots: list[Spot] = []
    while len(spots) < NUM_SPOTS and float(around_D.max()) >= LEAST_WEIGHT:
        best = int(around_D.argmax())
        spots.append(Spot(best, float(around_D[best])))
        around_D[max(0, best - APART + 1) : best + APART] = 0
    return spots


def settled(
    said: Said, *, ids: np.ndarray, spots: Sequence[Spot], ask: Callable[[np.ndarray], Said]
) -> Said:
    """Return the answer to one question after the pages at its spots in ``ids`` (L,) were asked.

    ``said`` is the answer from the cards. ``ask`` reads a page and answers from it.
    """
    if said.log_probability > SURE or _LIST.search(said.words):
        return said
    places = [(spot, places_of(spot, len(ids))) for spot in spots]
    if not places or not _is_text(ids[places[0][1]]):
        return said  # what was seen or heard, mostly
    loudness = defaultdict[bytes, float](float)
    loudness[said.words] = LEAST_WEIGHT * math.exp(said.log_probability)
    first = {said.words: said}
    for spot, place_P in places:
        if not _is_text(ids[place_P]):
            continue
        page = page_of(ids, place_P)
        for vote in (ask(ids[place_P]), said):
            if _has_vote(vote, page, said=said):
                loudness[vote.words] += spot.weight * math.exp(vote.log_probability)
                first.setdefault(vote.words, vote)
    return first[max(loudness, key=lambda words: loudness[words])]


def _has_vote(vote: Said, page: Page, *, said: Said) -> bool:
    """Tell whether an answer stands on a page, or the page agrees that nothing is to be found.

    That it has nothing to say is no argument against what the cards or another page have. Where
    the cards found nothing only a sure answer counts: many a page knows something of a like key.
    """
    if vote.words == _ABSENT:
        return said.words == _ABSENT and vote is not said
    if said.words == _ABSENT and vote.log_probability <= SURE:
        return False
    return page.holds(vote.words)


def places_of(spot: Spot, num_tokens: int) -> np.ndarray:
    """Return the places of the tokens of a spot's page, (P,)."""
    begin, end = (spot.drawer - AROUND) * BLOCK, (spot.drawer + AROUND + 1) * BLOCK
    return np.arange(max(0, begin), min(num_tokens, end))


def _is_text(ids: np.ndarray) -> bool:
    return has_words(ids) and not (ids == MEDIUM).any()
