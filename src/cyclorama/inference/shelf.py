"""The questions' own cards: what is asked, and what is answered so far, beside what was read.

Picture a reading room with one great shelf along its wall and a small one at every seat: all who
sit there may walk along the wall, and each has the few cards of their own question to hand. The
rows of all questions meet each chunk of the great memory in one product; a question whose desk has
been laid (`second_look`) sees that in its place. Leaves out what is said, token by token (`text`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cyclorama.inference.second_look import Desk, Places
from cyclorama.inference.third_look import Spot, spots_in
from cyclorama.models.lm import LM, ReadState
from cyclorama.nn.cache import Memory
from cyclorama.nn.recall import Chunk, Look
from cyclorama.nn.window import Past


@dataclass
class OwnShelf:
    """The cards of the questions' own tokens, beside the memory that all share or a desk each."""

    k: list[Tensor]  # per question (Lq, K)
    v: list[Tensor]
    desks: dict[int, Desk] = field(default_factory=dict)
    spots: dict[int, list[Spot]] = field(default_factory=dict)

    def add(self, questions: Sequence[int], k_BLK: Tensor, *, v_BLK: Tensor) -> None:
        """Add the newest cards of some questions."""
        for question, k_LK, v_LK in zip(questions, k_BLK, v_BLK, strict=True):
            self.k[question] = torch.cat((self.k[question], k_LK))
            self.v[question] = torch.cat((self.v[question], v_LK))

    def search(
        self,
        lm: LM,
        rows_BD: Tensor,
        *,
        memory: Memory,
        questions: Sequence[int],
        num_far: int = 0,
    ) -> None:
        """Walk the memory with the rows of some questions, and bring each its desk.

        With ``num_far`` heads to whom nothing is nearer, also note where these looked.
        """
        places = Places(memory, num_far)
        lm.answer(rows_BD, self.look(memory, questions, dtype=rows_BD.dtype, note=places.note))
        self.desks.update(zip(questions, places.desks(rows_BD.dtype), strict=True))
        if num_far:
            spots = [spots_in(weight_D) for weight_D in places.weights()]
            self.spots.update(zip(questions, spots, strict=True))

    def answer(
        self, lm: LM, rows_BD: Tensor, *, memory: Memory, questions: Sequence[int]
    ) -> Float[Tensor, "B V"]:
        """Return next-token logits of some questions, one row each."""
        logits: dict[int, Tensor] = {}  # by question
        row_of = dict(zip(questions, rows_BD.split(1), strict=True))
        if whole := [question for question in questions if question not in self.desks]:
            rows = torch.cat([row_of[question] for question in whole])
            look = self.look(memory, whole, dtype=rows.dtype)
            logits |= zip(whole, lm.answer(rows, look).split(1), strict=True)
        for question in row_of.keys() - logits.keys():
            look = self.desks[question].look(self.k[question], self.v[question])
            logits[question] = lm.answer(row_of[question], look)
        return torch.cat([logits[question] for question in questions])

    def look(
        self,
        memory: Memory,
        questions: Sequence[int],
        *,
        dtype: torch.dtype,
        note: Callable[[Tensor, int], None] | None = None,
    ) -> Look:
        """Show each question (one row each) the whole memory, then its own cards alone."""
        lengths = torch.tensor([len(self.k[q]) for q in questions])
        k_own = torch.cat([self.k[q] for q in questions])
        v_own = torch.cat([self.v[q] for q in questions])
        owner = torch.repeat_interleave(torch.arange(len(questions)), lengths)
        at = torch.cat([torch.arange(n) for n in lengths.tolist()])
        base = memory.num_cards
        position = base + lengths - 1

        def chunks() -> Iterator[Chunk]:
            yield from memory.chunks(dtype)
            yield k_own, v_own, base

        def view(first: int, length: int) -> tuple[Tensor | None, Tensor]:
            if first < base:
                return None, position[:, None] - torch.arange(first, first + length)
            mine = owner == torch.arange(len(questions))[:, None]
            return mine, position[:, None] - (base + at)

        return Look(chunks, position, base + lengths, view=view, note=note)


def walk_prompts(
    lm: LM, state: ReadState, *, prompts: Sequence[Sequence[int]]
) -> tuple[OwnShelf, Tensor, ReadState]:
    """Walk all prompts, those of one length together; return cards, last rows and states."""
    shelf = OwnShelf([torch.empty(0)] * len(prompts), [torch.empty(0)] * len(prompts))
    rows: list[Tensor] = [torch.empty(0)] * len(prompts)
    states: list[ReadState] = [state] * len(prompts)
    for length in sorted({len(prompt) for prompt in prompts}):
        chosen = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
        ids = torch.tensor([list(prompts[i]) for i in chosen])
        x, k, v, after = lm.read(
            lm.embed(ids), state.take(torch.zeros(len(chosen), dtype=torch.int64))
        )
        for number, question in enumerate(chosen):
            shelf.k[question], shelf.v[question] = k[number], v[number]
            rows[question] = x[number, -1]
            states[question] = after.take(torch.tensor([number]))
    return shelf, torch.stack(rows), _join(states)


def _join(states: Sequence[ReadState]) -> ReadState:
    """Return the states of several batches as that of one."""
    layers = [
        Past(*(torch.cat([getattr(past, name) for past in pasts]) for name in PAST_FIELDS))
        for pasts in zip(*(state.layers for state in states), strict=True)
    ]
    tail_BJD = torch.cat([state.tail_BJD for state in states])
    return replace(states[0], layers=tuple(layers), tail_BJD=tail_BJD)


PAST_FIELDS = tuple(field.name for field in fields(Past))
