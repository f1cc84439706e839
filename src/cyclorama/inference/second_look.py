"""The second look: a long memory is searched once, and read where something was found.

Picture a clerk with a question in a hall of a million drawers. He walks past all of them, notes for
each of his trains of thought the few drawers whose cards fit best, has these and the ones beside
them brought to his desk, and answers from the desk. Attention is a weighted mean: of a million
cards the many that fit a little take weight from the one that fits, and each train of thought that
looks elsewhere misleads those that build on it; on the desk both are rarer. The other tokens of an
answer stand where its first one does, so that they too are read from the desk, and only behind a
comma, where a list goes on to what stands elsewhere, is the hall walked anew. Choosing blocks of
keys by their best score and attending to those alone: Quest (Tang et al. 2024, arXiv 2406.10774,
section 3), for every token anew; here seldom, by full scores. Leaves out short memories, which are
one desk (`LEAST`), and how a model is asked (`text`). In a memory with sound only questions that
name an instant are looked at twice: what is said is told from what is like it by very many cards,
each of which is in no head's best drawers (decision 0013).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from cyclorama.nn.cache import Memory
from cyclorama.nn.recall import Look

BLOCK = 64  # cards of a drawer
TOP = 2  # drawers that a head of a layer notes
BESIDE = (-1, 0, 1, 2)  # drawers brought with each: an answer may go on behind it
HEAVIEST = 16  # drawers whose weight is noted, of a head of a layer
LEAST = 32_768  # cards that are still looked at whole


@dataclass(frozen=True, eq=False)
class Desk:
    """Cards brought from a memory for one question, and where in it they stand."""

    k_SK: Float[Tensor, "S K"]
    v_SK: Float[Tensor, "S K"]
    place_S: Int[Tensor, "S"]
    num_cards: int  # of the whole memory

    def look(self, k_LK: Float[Tensor, "L K"], v_LK: Float[Tensor, "L K"]) -> Look:
        """Show the last of a question's own tokens the desk and its own cards.

        Distances and the number of cards, by which scores grow, are those of the whole memory.
        """
        k_SK, v_SK = torch.cat((self.k_SK, k_LK)), torch.cat((self.v_SK, v_LK))
        place_S = torch.cat((self.place_S, self.num_cards + torch.arange(len(k_LK))))
        position_R = place_S[-1:]

        def view(first: int, length: int) -> tuple[None, Tensor]:
            return None, position_R[:, None] - place_S[first : first + length]

        return Look(lambda: iter([(k_SK, v_SK, 0)]), position_R, position_R + 1, view=view)


@dataclass(eq=False)
class Places:
    """The drawers at which the heads of some rows look hardest, in one walk of a model's layers.

    Give ``note`` to the `Look` with which the rows search the memory; the memory must come in
    pieces, the questions' own cards as the last of them.
    """

    memory: Memory
    num_far: int = 0  # heads, the first of each layer, whose weight is noted too
    best_RND: Float[Tensor, "R N D"] | None = None  # of the layer under way, by drawer
    chosen: list[Int[Tensor, "R C"]] = field(default_factory=list)  # numbers of drawers, by layer
    heaviest: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # (R, C) each, by layer

    def note(self, scores_RNS: Float[Tensor, "R N S"], first: int) -> None:
        """Note the drawers of a piece; a layer begins with the piece whose ``first`` is 0."""
        if first >= self.memory.num_cards:
            return  # the questions' own cards
        assert first % BLOCK == 0  # or drawers of different pieces would overlap
        if first == 0:
            self._choose()
            # One table for all pieces: small tensors kept from each would break up the heap.
            num_drawers = -(-self.memory.num_cards // BLOCK)
            self.best_RND = scores_RNS.new_empty((*scores_RNS.shape[:2], num_drawers))
        if short := -scores_RNS.shape[-1] % BLOCK:
            scores_RNS = F.pad(scores_RNS, (0, short), value=float("-inf"))
        best = scores_RNS.unflatten(-1, (-1, BLOCK)).amax(dim=-1)
        assert self.best_RND is not None  # made by the first piece
        self.best_RND[..., first // BLOCK :][..., : best.shape[-1]] = best

    def desks(self, dtype: torch.dtype) -> list[Desk]:
        """Return each row's desk: what was noted in any layer, and the drawers beside it."""
        self._choose()
        return [self._desk(numbers, dtype) for numbers in torch.cat(self.chosen, dim=1)]

    def weights(self) -> Iterator[Float[Tensor, "D"]]:
        """Yield for each row what heads laid on drawers, by the best card of each, in all layers.

        A head of a layer lays 1 on the memory; what it lays on the row's own cards is left out.
        """
        num_drawers = -(-self.memory.num_cards // BLOCK)
        for row in range(len(self.heaviest[0][0])):
            weight_D = torch.zeros(num_drawers)
            for numbers_RC, weight_RC in self.heaviest:
                weight_D.index_add_(0, numbers_RC[row], weight_RC[row])
            yield weight_D

    def _choose(self) -> None:
        """End the layer under way."""
        if self.best_RND is not None:
            top = self.best_RND.topk(min(TOP, self.best_RND.shape[-1]), dim=-1)
            self.chosen.append(top.indices.flatten(1))
            if self.num_far:
                self.heaviest.append(_heaviest(self.best_RND[:, : self.num_far]))
            self.best_RND = None

    def _desk(self, numbers: Tensor, dtype: torch.dtype) -> Desk:
        beside = (numbers[:, None] + torch.tensor(BESIDE)).flatten().unique()
        place = (beside[:, None] * BLOCK + torch.arange(BLOCK)).flatten()
        place = place[(place >= 0) & (place < self.memory.num_cards)]
        return Desk(*self.memory.take(place, dtype), place, self.memory.num_cards)


def _heaviest(best_RND: Tensor) -> tuple[Tensor, Tensor]:
    """Return the drawers on which each row's heads lay most weight, and how much; (R, C) each."""
    num = min(HEAVIEST, best_RND.shape[-1])
    found = [best_ND.topk(num, dim=-1) for best_ND in best_RND]
    # Row by row: the sum for all at once would need another table of all drawers.
    weights = [
        (top.values - best_ND.logsumexp(dim=-1, keepdim=True)).exp().flatten()
        for top, best_ND in zip(found, best_RND, strict=True)
    ]
    return torch.stack([top.indices.flatten() for top in found]), torch.stack(weights)
