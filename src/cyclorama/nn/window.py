"""What a stream needs to be read in pieces: sliding-window attention and a short convolution.

Each token sees itself and the ``window - 1`` tokens before it. The row is cut into blocks of the
window's length; a block's queries meet the keys of their own block and of the one before, so the
work is linear in the row (Beltagy et al. 2020, "Longformer", section 3.1). Rotary phases are
counted inside such a pair of blocks: attention depends on differences only, and a phase at token
ten million would be rounded to a radian in float32. What the next piece must know of this one is a
`Past`, so that reading in pieces equals reading at once.
"""

from dataclasses import dataclass, fields

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from cyclorama.nn.rope import axial_angles, rotate


@dataclass(frozen=True)
class Past:
    """The last tokens of what was read: unrotated keys and values, and the convolution's tail."""

    k_BWGK: Float[Tensor, "B W G K"]
    v_BWGK: Float[Tensor, "B W G K"]
    tail_BJD: Float[Tensor, "B J D"]
    num_valid_B: Int[Tensor, "B"]  # tokens of k and v really read; the rest is before any text

    def take(self, rows_R: Int[Tensor, "R"]) -> "Past":
        """Return what was read in rows, in any order and as often as they are named."""
        return Past(*(getattr(self, field.name)[rows_R] for field in fields(self)))


def window_mask(window: int, *, device: torch.device | None = None) -> Bool[Tensor, "W W2"]:
    """Return which of two blocks of keys each query of the second block sees."""
    ahead = torch.arange(2 * window, device=device) - torch.arange(window, device=device)[:, None]
    return (ahead > 0) & (ahead <= window)


def window_attention(
    q_BLNK: Float[Tensor, "B L N K"],
    k_BLGK: Float[Tensor, "B L G K"],
    *,
    v_BLGK: Float[Tensor, "B L G K"],
    window: int,
    past: Past | None,
) -> Float[Tensor, "B L N K"]:
    """Return attention over each token's window; N query heads share G key heads (G divides N)."""
    batch, length, num_heads, head_size = q_BLNK.shape
    groups = k_BLGK.shape[2]
    blocks = -(-length // window)
    spare = blocks * window - length

    def extended(x: Tensor, before: Tensor | None) -> Tensor:
        """Return (B, blocks, 2 W, G, K): each block with the one before it."""
        before = x.new_zeros(batch, window, groups, head_size) if before is None else before
        x = torch.cat((before, x, x.new_zeros(batch, spare, groups, head_size)), dim=1)
        x = x.unflatten(1, (blocks + 1, window))
        return torch.cat((x[:, :-1], x[:, 1:]), dim=2)

    k = extended(k_BLGK, None if past is None else past.k_BWGK)
    v = extended(v_BLGK, None if past is None else past.v_BWGK)
    q = torch.cat((q_BLNK, q_BLNK.new_zeros(batch, spare, num_heads, head_size)), dim=1)
    q = q.unflatten(1, (blocks, window))
    cos, sin = window_phases(window, head_size, like=q_BLNK)
    q = rotate(q, cos=cos[window:, None], sin=sin[window:, None])
    k = rotate(k, cos=cos[:, None], sin=sin[:, None])
    q = rearrange(q, "B b W (G n) K -> (B b G) (n W) K", G=groups)
    k = rearrange(k, "B b S G K -> (B b G) K S")
    v = rearrange(v, "B b S G K -> (B b G) S K")
    hidden = _hidden(window, blocks, past, like=q_BLNK)  # (B or 1, blocks, W, 2 W) additive
    scores = torch.bmm(q * head_size**-0.5, k)
    scores = rearrange(
        scores, "(B b G) (n W) S -> B b G n W S", B=batch, b=blocks, W=window
    ) + rearrange(hidden, "B b W S -> B b 1 1 W S")
    weights = rearrange(scores.softmax(dim=-1), "B b G n W S -> (B b G) (n W) S")
    mixed = torch.bmm(weights, v)
    mixed = rearrange(mixed, "(B b G) (n W) K -> B (b W) (G n) K", B=batch, b=blocks, W=window)
    return mixed[:, :length]


def _hidden(
    window: int, blocks: int, past: Past | None, *, like: Tensor
) -> Float[Tensor, "B b W W2"]:
    """Return 0 where a query may look and minus infinity elsewhere."""
    num_valid_B = torch.zeros(1, dtype=torch.int64) if past is None else past.num_valid_B
    unread = torch.arange(2 * window) < window - num_valid_B[:, None].cpu()  # (B, 2 W)
    seen = window_mask(window).repeat(len(unread) if unread.any() else 1, blocks, 1, 1)
    if unread.any():
        seen[:, 0] &= ~unread[:, None]
    seen = seen.to(like.device)
    return like.new_zeros(seen.shape).masked_fill(~seen, float("-inf"))


def window_phases(window: int, head_size: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (2 W, K / 2) of the places in a pair of blocks."""
    places = torch.arange(2 * window, dtype=torch.float64, device=like.device)[:, None]
    angles = axial_angles(
        places, head_size=head_size, max_period=(8.0 * window,), min_period=(6.0,)
    )
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def next_past(
    past: Past | None, k_BLGK: Tensor, *, v_BLGK: Tensor, x_BLD: Tensor, window: int, taps: int
) -> Past:
    """Return what the piece after this one must know."""
    length = k_BLGK.shape[1]

    def last(x: Tensor, before: Tensor | None, num: int) -> Tensor:
        if before is None:
            before = x.new_zeros(x.shape[0], num, *x.shape[2:])
        return torch.cat((before, x), dim=1)[:, x.shape[1] + before.shape[1] - num :]

    return Past(
        k_BWGK=last(k_BLGK, None if past is None else past.k_BWGK, window),
        v_BWGK=last(v_BLGK, None if past is None else past.v_BWGK, window),
        tail_BJD=last(x_BLD, None if past is None else past.tail_BJD, taps - 1),
        num_valid_B=(
            torch.full((k_BLGK.shape[0],), min(window, length))
            if past is None
            else (past.num_valid_B + length).clamp(max=window)
        ),
    )


class ShortConvolution(nn.Module):
    """Add to each token a learned mix of itself and the few before it, channel by channel.

    The "Canon layer" of Allen-Zhu 2025 (arXiv 2512.17351): a cheap way for neighbours to bind.
    """

    def __init__(self, width: int, taps: int = 4) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.zeros(taps, width))

    def forward(
        self, x_BLD: Float[Tensor, "B L D"], tail_BJD: Float[Tensor, "B J D"] | None = None
    ) -> Float[Tensor, "B L D"]:
        """Return ``x_l + sum_j taps_j x_(l-j)``; ``tail`` holds the tokens before the first."""
        length, num = x_BLD.shape[1], len(self.taps)
        if tail_BJD is None:
            tail_BJD = x_BLD.new_zeros(x_BLD.shape[0], num - 1, x_BLD.shape[2])
        longer = torch.cat((tail_BJD, x_BLD), dim=1)
        mixed = x_BLD
        for back, tap in enumerate(self.taps):
            start = num - 1 - back
            mixed = torch.addcmul(mixed, tap, longer[:, start : start + length])
        return mixed
