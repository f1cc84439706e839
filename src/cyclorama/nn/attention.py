"""Attention inside the segments of a packed row, as pure functions.

A packed row holds samples of different lengths one after the other, and attention must not cross
their borders. Instead of a dense mask over the whole row (quadratic in the row, and slow on a
CPU), each run of consecutive segments of one length becomes one batch and one plain call of the
fused kernel: exact, no padding, no mask. The packer sorts a row's samples by length so that runs
are few. Packing is that of NaViT (Dehghani et al. 2023, section 2.1); the runs are ours.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Run = tuple[int, int]  # how many segments, tokens in each
SHORT_KEYS = 512


def runs_of(lengths: Sequence[int]) -> tuple[Run, ...]:
    """Return the run-length code of segment lengths: (3, 3, 5) becomes ((2, 3), (1, 5))."""
    if any(length < 1 for length in lengths):
        raise ValueError(f"a segment needs at least one token, got lengths {list(lengths)}")
    return tuple((len(list(same)), length) for length, same in groupby(lengths))


def short_attention(
    q_BLK: Float[Tensor, "B L K"], k_BSK: Float[Tensor, "B S K"], *, v_BSK: Float[Tensor, "B S K"]
) -> Float[Tensor, "B L K"]:
    """Return softmax(q k^T / sqrt(K)) v; heads are folded into the batch.

    On a CPU two batched products and a softmax train 1.4 times faster than the fused kernel while
    keys are few (its backward pass is slow there, see benchmarks/training_step.md); the fused
    kernel takes over when the matrix of scores would grow large.
    """
    if q_BLK.device.type != "cpu" or k_BSK.shape[1] > SHORT_KEYS:
        out = F.scaled_dot_product_attention(q_BLK[:, None], k_BSK[:, None], v_BSK[:, None])
        return out[:, 0]
    scores = torch.bmm(q_BLK * q_BLK.shape[-1] ** -0.5, k_BSK.transpose(1, 2))
    return torch.bmm(scores.softmax(dim=-1), v_BSK)


def segment_attention(
    q_LNK: Float[Tensor, "L N K"],
    k_LNK: Float[Tensor, "L N K"],
    *,
    v_LNK: Float[Tensor, "L N K"],
    runs: Sequence[Run],
) -> Float[Tensor, "L N K"]:
    """Return attention in which each token sees the tokens of its own segment only."""
    parts, num_heads = [], q_LNK.shape[1]
    for place, count in _places(runs, len(q_LNK)):
        q, k, v = (
            rearrange(x[place], "(G l) N K -> (G N) l K", G=count) for x in (q_LNK, k_LNK, v_LNK)
        )
        mixed = short_attention(q, k, v_BSK=v)
        parts.append(rearrange(mixed, "(G N) l K -> (G l) N K", N=num_heads))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def in_segments(
    layer: Callable[[Tensor], Tensor], x_LD: Float[Tensor, "L D"], *, runs: Sequence[Run]
) -> Float[Tensor, "L D"]:
    """Return what ``layer``, from (G, l, D) to the same, makes of each run of segments alone."""
    parts = [
        layer(x_LD[place].unflatten(0, (count, -1))).flatten(0, 1)
        for place, count in _places(runs, len(x_LD))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _places(runs: Sequence[Run], num_tokens: int) -> list[tuple[slice, int]]:
    """Return where each run lies in a row and how many segments it has; ValueError for a gap."""
    ends = [0, *accumulate(count * length for count, length in runs)]
    if ends[-1] != num_tokens:
        raise ValueError(
            f"the runs {tuple(runs)} cover {ends[-1]} tokens, the row has {num_tokens}"
        )
    return [(slice(*ends[n : n + 2]), count) for n, (count, _) in enumerate(runs)]
