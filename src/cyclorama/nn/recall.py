"""Attention of a few rows over a shared memory of unit keys, of any length.

A score is ``s_h (ln n / ln 4096) cos(q, k) - g_h log2(1 + distance / 64)`` for a row that sees n
cards; see `models.lm` for why. The memory is passed in chunks and the partial results are merged by
their log-sum-exp (Milakov and Gimelshein 2018, algorithm 3; it is also how a ring of machines
merges), so that a memory on disk needs no more room than one chunk. All heads share the one key of
a card: heads and rows together are the rows of one matrix product.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

REFERENCE_LENGTH, DISTANCE_UNIT = 4096, 64
ROWS_AT_ONCE = 64
View = Callable[[int, int], tuple[Tensor | None, Tensor]]  # bool and int64, (R, S) each
Chunk = tuple[Tensor, Tensor, int]  # keys (S, K), values (S, K), position of the first


@dataclass(frozen=True)
class Look:
    """A memory, and what each of R rows may see of it.

    ``chunks()`` yields the memory piece by piece. A row sees the cards up to its own position, or,
    where ``view`` is given, those that ``view(first, length)`` marks (R, length; None: all), and
    at the distances that it also returns. ``count`` is the number of cards each row sees. Of a
    memory in several pieces ``note(scores, first)`` is shown each one's scores, (R, N, S).
    """

    chunks: Callable[[], Iterator[Chunk]]
    position_R: Int[Tensor, "R"]
    count_R: Int[Tensor, "R"]
    view: View | None = None
    note: Callable[[Tensor, int], None] | None = None

    @classmethod
    def causal(cls, k_SK: Tensor, v_SK: Tensor, *, position_R: Tensor) -> "Look":
        """Look at one memory in hand, each row as far as its own position (0 is the first)."""
        return cls(lambda: iter([(k_SK, v_SK, 0)]), position_R, position_R + 1)

    @classmethod
    def behind(
        cls,
        before: Sequence[tuple[Tensor, Tensor]],
        *,
        own: tuple[Tensor, Tensor, Tensor],
        place_R: Tensor,
        wait: int,
    ) -> "Look":
        """Look at all of what lies before a sequence of L tokens, and at that up to one's place.

        ``before`` are keys and values. ``own`` are keys written ``wait`` tokens late, keys written
        at once, and values, each (L, K): a row sees late ones from so far away on that they know
        nothing of what follows it, and of its nearest ``wait`` cards those written at once.
        """
        late_LK, early_LK, v_LK = own
        length, num_before = len(v_LK), sum(len(v) for _, v in before)
        parts = [*before, (late_LK, v_LK), *([(early_LK, v_LK)] if wait else [])]
        k_SK, v_SK = (torch.cat([cards[i] for cards in parts]) for i in (0, 1))
        position_R = num_before + place_R
        if not wait:
            return cls.causal(k_SK, v_SK, position_R=position_R)

        @lru_cache(maxsize=1)  # the same for every layer
        def view(first: int, size: int) -> tuple[Tensor, Tensor]:
            card = torch.arange(first, first + size, dtype=torch.int32, device=place_R.device)
            is_early = card >= num_before + length
            distance = position_R.int()[:, None] - torch.where(is_early, card - length, card)
            near, there = (distance >= 0) & (distance < wait), card < num_before
            return torch.where(is_early, near, there | (distance >= wait)), distance

        return cls(lambda: iter([(k_SK, v_SK, 0)]), position_R, position_R + 1, view=view)


def recall(
    q_RNK: Float[Tensor, "R N K"],
    look: Look,
    *,
    scale_N: Float[Tensor, "N"],
    slope_M: Float[Tensor, "M"],
) -> Float[Tensor, "R N K"]:
    """Return what each row's heads recall; queries have unit length, scores are float32.

    The last M heads (M <= N) have the bias on distance.
    """
    length = look.count_R.double().clamp(min=2).log() / math.log(REFERENCE_LENGTH)
    temperature_RN = length.float()[:, None] * scale_N
    queries_RNK = q_RNK.float() * temperature_RN[..., None]
    pieces = look.chunks()
    total: tuple[Tensor, Tensor] | None = None
    piece, following = next(pieces, None), next(pieces, None)
    if piece is None:
        raise ValueError("the memory is empty: read something before asking")
    while piece is not None:
        k_SK, v_SK, first = piece
        seen_RS, distance_RS = _view(look, first, len(k_SK))
        far_RS = torch.log2(1 + distance_RS.clamp(min=0).float() / DISTANCE_UNIT)
        if total is None and following is None:  # all there is, as in training
            found = _Whole.apply(queries_RNK, k_SK, v_SK, slope_M, seen_RS, far_RS)
            return found.to(q_RNK.dtype)
        with _bfloat16_units(k_SK):
            scores = _scores(queries_RNK, k_SK.float(), slope_M, seen_RS=seen_RS, far_RS=far_RS)
        if look.note is not None:
            look.note(scores, first)
        part = _weigh(scores, v_SK)
        total = part if total is None else merge(total, part)
        piece, following = following, next(pieces, None)
    assert total is not None  # there was at least one piece
    return total[0].to(q_RNK.dtype)


def _scores(
    q_RNK: Tensor, k_SK: Tensor, slope_M: Tensor, *, seen_RS: Tensor | None, far_RS: Tensor
) -> Tensor:
    """Return the scores (R, N, S) in float32: in bfloat16 near misses of 64 would tie."""
    scores = q_RNK @ k_SK.T
    if len(slope_M):  # in place: to put heads together again would copy every score
        scores[:, -len(slope_M) :] -= slope_M[:, None] * far_RS[:, None]
    if seen_RS is not None:  # added: to fill by a mask that heads share takes 12 times as long
        scores += torch.zeros_like(far_RS).masked_fill_(~seen_RS, float("-inf"))[:, None]
    return scores


@contextmanager
def _bfloat16_units(k_SK: Tensor) -> Iterator[None]:
    """Within it products of float32 with keys that were bfloat16 may use units made for these.

    Queries are then rounded as the keys were; sums stay float32. On processors with such units
    scores take a third of the time (docs/lab-log.md). The switch is the process's own: another
    thread's products of float32 are rounded meanwhile.
    """
    if k_SK.dtype != torch.bfloat16 or k_SK.device.type != "cpu":
        yield
        return
    settings = torch.backends.mkldnn.matmul
    before, settings.fp32_precision = settings.fp32_precision, "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = before


class _Whole(torch.autograd.Function):
    """All rows over a memory in one piece, `ROWS_AT_ONCE` after each other.

    Scores of all rows at once would go through the machine's memory a dozen times; those of a few
    stay in its cache, and are made once more for the gradients (Dao et al. 2022, "FlashAttention",
    arXiv 2205.14135, sections 3.1 and B.2). Gradients are products in the values' own dtype.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        q_RNK, k_SK, v_SK, slope_M, seen_RS, far_RS = given
        found_RNK, k_float_SK = v_SK.new_empty(q_RNK.shape), k_SK.float()
        for rows in _few(len(q_RNK)):
            with _bfloat16_units(k_SK):
                scores = _scores(q_RNK[rows], k_float_SK, slope_M, **_seen(seen_RS, far_RS, rows))
            found_RNK[rows] = _mean(_softmax(scores, scores.amax(dim=-1)), v_SK)
        ctx.save_for_backward(*given, found_RNK)
        return found_RNK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q_RNK, k_SK, v_SK, slope_M, seen_RS, far_RS, found_RNK = ctx.saved_tensors
        dtype, num_biased = v_SK.dtype, len(slope_M)
        q_grad, slope_grad = torch.empty_like(q_RNK), torch.zeros_like(slope_M)
        k_grad, v_grad = (torch.zeros_like(cards, dtype=torch.float32) for cards in (k_SK, v_SK))
        k_float_SK = k_SK.float()
        for rows in _few(len(q_RNK)):
            with _bfloat16_units(k_SK):
                scores = _scores(q_RNK[rows], k_float_SK, slope_M, **_seen(seen_RS, far_RS, rows))
            weights = _softmax(scores, scores.amax(dim=-1))
            out_grad = grads[0][rows].to(dtype)
            v_grad += weights.to(dtype).flatten(0, 1).T @ out_grad.flatten(0, 1)
            mean = (out_grad.float() * found_RNK[rows].float()).sum(-1, keepdim=True)
            score_grad = weights.mul_((out_grad @ v_SK.T).float().sub_(mean))
            if num_biased:
                biased = score_grad[:, -num_biased:] * far_RS[rows][:, None]
                slope_grad -= biased.sum((0, 2))
            score_grad = score_grad.to(dtype)
            q_grad[rows] = (score_grad @ k_SK).to(q_grad.dtype)
            k_grad += score_grad.flatten(0, 1).T @ q_RNK[rows].to(dtype).flatten(0, 1)
        return q_grad, k_grad.to(k_SK.dtype), v_grad.to(dtype), slope_grad, None, None


def _few(num_rows: int) -> list[slice]:
    return [slice(i, min(i + ROWS_AT_ONCE, num_rows)) for i in range(0, num_rows, ROWS_AT_ONCE)]


def _seen(seen_RS: Tensor | None, far_RS: Tensor, rows: slice) -> dict[str, Tensor | None]:
    return {"seen_RS": None if seen_RS is None else seen_RS[rows], "far_RS": far_RS[rows]}


def _view(look: Look, first: int, length: int) -> tuple[Tensor | None, Tensor]:
    """Return which cards of a chunk each row sees (None: all), and their distances."""
    if look.view is not None:
        return look.view(first, length)
    place = torch.arange(first, first + length, device=look.position_R.device)
    distance = look.position_R[:, None] - place
    if first + length <= int(look.position_R.min()) + 1:
        return None, distance
    return distance >= 0, distance


def _weigh(scores_RNS: Tensor, v_SK: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of values under softmax, float32, and the log-sum-exp of the scores."""
    top_RN = scores_RNS.amax(dim=-1)
    weights_RNS = _softmax(scores_RNS, top_RN)
    heaviest_RN = weights_RNS.amax(dim=-1).clamp(min=1e-30)  # exp(top - lse), or 0 of no cards
    lse_RN = torch.where(top_RN.isinf(), top_RN, top_RN - heaviest_RN.log())
    return _mean(weights_RNS, v_SK).float(), lse_RN


def _softmax(scores_RNS: Tensor, top_RN: Tensor) -> Tensor:
    """Return weights, 0 for rows whose highest score is -inf: they see nothing."""
    blind_RN1 = (top_RN == float("-inf"))[..., None]
    if not blind_RN1.any():
        return scores_RNS.softmax(dim=-1)
    return scores_RNS.masked_fill(blind_RN1, 0).softmax(dim=-1).masked_fill(blind_RN1, 0)


def _mean(weights_RNS: Tensor, v_SK: Tensor) -> Tensor:
    mean = weights_RNS.to(v_SK.dtype).flatten(0, 1) @ v_SK
    return mean.unflatten(0, weights_RNS.shape[:2])


def merge(
    one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]
) -> tuple[Float[Tensor, "R N K"], Float[Tensor, "R N"]]:
    """Merge two partial results (means, log-sum-exp) into that of both sets of cards."""
    lse = torch.logaddexp(one[1], other[1])
    safe = torch.where(lse.isinf(), torch.zeros_like(lse), lse)
    parts = [(lse_i - safe).exp()[..., None] * mean for mean, lse_i in (one, other)]
    return parts[0] + parts[1], lse
