"""The reader's loss: the next token, where it matters, against everyone's memory.

A batch is B sequences; the scribe walks through all tokens, and the rows that are to be judged (all
answers' tokens and a sample of the text's) then ask the memory. Since the inquirer knows no
positions, softmax over the cards of several sequences *is* the softmax of a document that holds
them all: with ``crossbatch`` a row sees its own sequence up to itself and all of every other one,
laid before it. Thus a step with short sequences trains on a haystack as long as the whole batch
(Tworkowski et al. 2023, "Focused Transformer", arXiv 2307.03170, section 3.2; exact here). More
strangers are read without gradients (`extra`), at a third of the price.

Questions about one thing give each other away: "what colour is the cylinder?" tells whoever is
asked for a shape next. Where they are `asked` apart, each is read as if it alone stood behind its
sequence, which is read once for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclorama.nn.recall import Look

READ_TOGETHER = 2048  # tokens of short sequences; long ones are read one by one
ASKED_TOGETHER = 4096  # tokens of sequences and of what continues them
ROWS_TOGETHER = 8  # rows are filled up to a multiple: a kernel is made for every new number


@dataclass(frozen=True, eq=False)
class Asked:
    """Q continuations of sequences, none of which knows another."""

    ids_QL: Tensor  # int64
    weights_QL: Tensor  # float32, as in `TokenBatch`
    of_Q: Tensor  # int64; which sequence each continues, in ascending order

    def __post_init__(self) -> None:
        if bool((self.of_Q.diff() < 0).any()):
            raise ValueError(f"continuations must come in their sequences' order: {self.of_Q}")


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """B sequences of L tokens with the weight of foreseeing each, and E sequences of strangers.

    Where something is ``asked``, that is judged in place of the sequences.
    """

    ids_BL: Tensor  # int64
    weights_BL: Tensor  # float32; of predicting ids[b, l] from what stands before it
    extra_EL: Tensor  # int64; may be empty
    crossbatch: bool
    max_rows: int  # rows judged in a step, the heaviest first
    asked: Asked | None = None


def pick_rows(
    weights_BL: Tensor, max_rows: int, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return sequence and place of the targets to judge, at most ``max_rows``.

    Tokens of answers (weight above one) come first; the rest is drawn among the others.
    """
    flat = weights_BL.clone()
    flat[:, 0] = 0  # nothing stands before the first token
    flat = flat.flatten()
    order = torch.rand(len(flat), generator=generator) + (flat > 1) + (flat > 0)
    rows = order.argsort(descending=True)[: min(max_rows, int((flat > 0).sum()))].sort().values
    length = weights_BL.shape[1]
    return rows // length, rows % length


def apart_look(
    k_MK: Tensor, v_MK: Tensor, *, own_R: Tensor, place_R: Tensor, num_before: int, length: int
) -> Look:
    """Show rows the first ``num_before`` cards, and of those after them their own.

    After the first come the cards of continuations of ``length`` tokens; row r stands at place
    ``place_R[r]`` of continuation ``own_R[r]``, and sees it up to itself.
    """
    skipped_R = own_R * length  # cards of other continuations that lie before its own

    @lru_cache(maxsize=1)  # the same for every layer
    def view(first: int, size: int) -> tuple[Tensor, Tensor]:
        card = torch.arange(first, first + size, dtype=torch.int32, device=own_R.device)
        behind_RM = card - skipped_R[:, None]
        own_RM = behind_RM >= num_before
        distance_RM = position_R[:, None] - torch.where(own_RM, behind_RM, card)
        return ((card < num_before) | own_RM) & (distance_RM >= 0), distance_RM

    position_R, skipped_R = (num_before + place_R).int(), skipped_R.int()
    return Look(lambda: iter([(k_MK, v_MK, 0)]), position_R, position_R + 1, view=view)


def next_token_loss(
    model: nn.Module, batch: TokenBatch, *, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Return the weighted mean cross-entropy of the judged rows, and how many answers are right."""
    ids_BL, weights_BL, answer = batch.ids_BL, batch.weights_BL, _answer_each
    if batch.asked is not None:
        ids_BL, weights_BL, answer = batch.asked.ids_QL, batch.asked.weights_QL, _answer_apart
    own_R, target_R = pick_rows(weights_BL, batch.max_rows, generator=generator)
    place_R = target_R - 1  # the row that predicts a token stands before it
    logits_RV = answer(model, batch, own_R=own_R, place_R=place_R).float()
    targets_R = ids_BL[own_R, target_R]
    weights_R = weights_BL[own_R, target_R]
    losses_R = F.cross_entropy(logits_RV, targets_R, reduction="none")
    answers_R = weights_R > 1
    right_R = logits_RV.detach().argmax(dim=-1) == targets_R
    metrics = {
        "text_nats": _mean(losses_R.detach(), ~answers_R),
        "answer_nats": _mean(losses_R.detach(), answers_R),
        "answer_right": _mean(right_R.float(), answers_R),
    }
    return (losses_R * weights_R).sum() / weights_R.sum(), metrics


def _answer_each(model: nn.Module, batch: TokenBatch, *, own_R: Tensor, place_R: Tensor) -> Tensor:
    """Return logits of rows (sorted) that ask their own sequence, and all others if they see them.

    The others count as read before, the neighbour in the batch being nearest.
    """
    sequences = list(_read_each(model, batch.ids_BL))
    with torch.no_grad():
        strangers = list(_read_each(model, batch.extra_EL))
    cards = [(late_LK, v_LK) for _, late_LK, _, v_LK in (*sequences, *strangers)]
    places = place_R.split(own_R.bincount(minlength=len(sequences)).tolist())
    parts = []
    for number, (sequence, place) in enumerate(zip(sequences, places, strict=True)):
        if not len(place):
            continue
        others = [*cards[number + 1 :], *cards[:number]] if batch.crossbatch else []
        even = F.pad(place, (0, -len(place) % ROWS_TOGETHER))
        look = Look.behind(others, own=sequence[1:], place_R=even, wait=model.config.hindsight)
        parts.append(model.answer(sequence[0][even], look)[: len(place)])
    return torch.cat(parts)


def _answer_apart(model: nn.Module, batch: TokenBatch, *, own_R: Tensor, place_R: Tensor) -> Tensor:
    """Return logits of rows (sorted) of continuations, each knowing its sequence and itself."""
    assert batch.asked is not None
    ids_QL, of_Q = batch.asked.ids_QL, batch.asked.of_Q
    num_asked = of_Q.bincount(minlength=len(batch.ids_BL))
    longest = batch.ids_BL.shape[1] + int(num_asked.max()) * ids_QL.shape[1]
    some = max(1, ASKED_TOGETHER // longest)
    places = place_R.split(own_R.bincount(minlength=len(ids_QL)).tolist())
    parts, first = [], 0
    for rows, num in zip(batch.ids_BL.split(some), num_asked.split(some), strict=True):
        x_BLD, _, _, state = model.read(model.embed(rows))
        if not num.any():  # read all the same: what lies in frames is named (`media_tokens`)
            continue
        k_BLK, v_BLK = model.write(x_BLD)
        each = torch.arange(len(rows)).repeat_interleave(num)
        asked_QL = ids_QL[first : first + len(each)]
        behind = model.read(model.embed(asked_QL), state.take(each))[:3]
        pieces = (together.split(num.tolist()) for together in behind)
        for k_LK, v_LK, *own in zip(k_BLK, v_BLK, *pieces, strict=True):
            mine = places[first : first + len(own[0])]
            first += len(mine)
            if sum(map(len, mine)):
                parts.append(_answer_behind(model, (k_LK, v_LK), own=own, places=mine))
    return torch.cat(parts)


def _answer_behind(
    model: nn.Module,
    before: tuple[Tensor, Tensor],
    *,
    own: Sequence[Tensor],
    places: Sequence[Tensor],
) -> Tensor:
    """Return logits at ``places`` of each continuation of one sequence, whose cards are ``before``.

    ``own`` are the continuations' tokens (N, L, D), keys and values.
    """
    x_NLD, *behind = own
    k_MK, v_MK = (torch.cat((a, b.flatten(0, 1))) for a, b in zip(before, behind, strict=True))
    own_R = torch.arange(len(places)).repeat_interleave(torch.tensor([len(p) for p in places]))
    even = -len(own_R) % ROWS_TOGETHER
    own_R, place_R = F.pad(own_R, (0, even)), F.pad(torch.cat(tuple(places)), (0, even))
    look = apart_look(
        k_MK, v_MK, own_R=own_R, place_R=place_R, num_before=len(before[0]), length=x_NLD.shape[1]
    )
    return model.answer(x_NLD[own_R, place_R], look)[: len(own_R) - even]


def _read_each(model: nn.Module, ids_BL: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield tokens, keys written late and at once, and values of each sequence.

    A few are read at once, `READ_TOGETHER`: what layers pass on then stays in the processor's
    cache, and a step is 1.2 times faster.
    """
    some = max(1, READ_TOGETHER // ids_BL.shape[1])
    for embedded_BLD in model.embed(ids_BL).split(some) if len(ids_BL) else ():
        x_BLD, early_BLK, v_BLK, _ = model.read(embedded_BLD)
        late_BLK = model.write(x_BLD)[0] if model.config.hindsight else early_BLK
        yield from zip(x_BLD, late_BLK, early_BLK, v_BLK, strict=True)


def _mean(values: Tensor, chosen: Tensor) -> float:
    return values[chosen].mean().item() if bool(chosen.any()) else 0.0
