"""Attention inside the segments of a packed row, as pure functions.

A packed row holds samples of different lengths one after the other, and attention must not cross
their borders. Instead of a dense mask over the whole row (quadratic in the row, and slow on a
CPU), each run of consecutive segments of one length becomes one batch and one plain call of the
fused kernel: exact, no padding, no mask. The packer sorts a row's samples by length so that runs
are few. Packing is that of NaViT (Dehghani et al. 2023, section 2.1); the runs are ours.
"""

from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Run = tuple[int, int]  # how many segments, tokens in each


def runs_of(lengths: Sequence[int]) -> tuple[Run, ...]:
    """Return the run-length code of segment lengths: (3, 3, 5) becomes ((2, 3), (1, 5))."""
    if any(length < 1 for length in lengths):
        raise ValueError(f"a segment needs at least one token, got lengths {list(lengths)}")
    return tuple((len(list(same)), length) for length, same in groupby(lengths))


def segment_attention(
    q: Float[Tensor, "L N K"],
    k: Float[Tensor, "L N K"],
    v: Float[Tensor, "L N K"],
    runs: Sequence[Run],
) -> Float[Tensor, "L N K"]:
    """Return softmax(q k^T / sqrt(K)) v, each token seeing the tokens of its own segment only."""
    parts, start = [], 0
    for count, length in runs:
        place = slice(start, start + count * length)
        q_GNlK, k_GNlK, v_GNlK = (
            rearrange(x[place], "(G l) N K -> G N l K", G=count) for x in (q, k, v)
        )
        mixed = F.scaled_dot_product_attention(q_GNlK, k_GNlK, v_GNlK)
        parts.append(rearrange(mixed, "G N l K -> (G l) N K"))
        start = place.stop
    if start != len(q):
        raise ValueError(f"the runs {tuple(runs)} cover {start} tokens, the row has {len(q)}")
    return parts[0] if len(parts) == 1 else torch.cat(parts)
