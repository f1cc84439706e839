"""The diffusion transformer: one joint stream of text tokens and spacetime tokens.

The picture in words: a row holds several samples laid end to end, each one a run of text tokens
followed by a run of latent patches (native sizes, packed: Dehghani et al. 2023). All tokens pass
the same blocks; attention stays inside a sample. Each spacetime token carries its own noise time,
which reaches the blocks through one shared modulation network plus a small table in each block
(Peebles and Xie 2023, adaLN; sharing as in PixArt and Wan). Positions are rotary: seconds in time,
and in space units centred on the frame and scaled by its area, so that a size or a length never
seen falls between those that were. Queries and keys are normalised.

The network predicts the *clean* tokens (Li and He 2025, "Back to basics": a token here has as many
numbers as a block is wide, and noise would not pass); `diffusion.flow` turns that into a velocity.
A small bidirectional text encoder is trained with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.nn.attention import Run, runs_of, segment_attention
from cyclorama.nn.embed import fourier_features
from cyclorama.nn.mlp import SwiGLU
from cyclorama.nn.norm import RMSNorm
from cyclorama.nn.rope import axial_angles, rotate
from cyclorama.shapes import Compression, TokenGrid


class DiTConfig(Config):
    """Sizes of the generator."""

    latent_channels: int = 32
    patch: int = 2
    width: int = 320
    depth: int = 8
    head_size: int = 64
    text_width: int = 192
    text_depth: int = 2
    vocabulary: int = 8192
    text_multiple: int = 8  # captions are padded to a multiple, so that rows have few lengths

    @property
    def token_size(self) -> int:
        """Numbers in one spacetime token."""
        return self.patch**2 * self.latent_channels


@dataclass(frozen=True)
class Row:
    """Where everything stands in a packed row of L tokens: Lt of text, Lv of spacetime."""

    text_ids: Int[Tensor, "Lt"]
    text_runs: tuple[Run, ...]
    text_segment: Int[Tensor, "Lt"]  # which sample a text token belongs to
    place: Int[Tensor, "L"]  # row order as indices into [text tokens, spacetime tokens]
    place_video: Int[Tensor, "Lv"]  # where in the row each spacetime token stands
    runs: tuple[Run, ...]
    segment: Int[Tensor, "L"]
    positions: Float[Tensor, "L 3"]  # seconds, row, column; text stands at the origin
    num_segments: int

    def to(self, device: torch.device | str) -> "Row":
        """Return the row with its tensors on ``device``."""
        moved = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return Row(**moved)


def token_positions(
    grid: TokenGrid, *, rate_fps: float, compression: Compression, patch: int
) -> Float[Tensor, "Lv 3"]:
    """Return (seconds, row, column) of each token of one clip, in the order time, row, column.

    A latent frame stands at the middle of the frames it holds. Rows and columns are counted from
    the centre in units of half the side of a square of the frame's area.
    """
    steps = torch.arange(grid.num_frames, dtype=torch.float64)
    middle = (steps - 1) * compression.time + (compression.time + 1) / 2
    seconds = torch.where(steps > 0, middle, steps) / rate_fps
    half_side = math.sqrt(grid.height * grid.width) / 2
    rows = (torch.arange(grid.height, dtype=torch.float64) + 0.5 - grid.height / 2) / half_side
    columns = (torch.arange(grid.width, dtype=torch.float64) + 0.5 - grid.width / 2) / half_side
    axes = torch.meshgrid(seconds, rows, columns, indexing="ij")
    return torch.stack(axes, dim=-1).reshape(-1, 3)


def padded_length(num_ids: int, multiple: int) -> int:
    """Return the tokens a caption takes: the next multiple, and at least one."""
    return max(1, -(-num_ids // multiple)) * multiple


def lay_row(
    texts: Sequence[Sequence[int]],
    positions: Sequence[Float[Tensor, "_ 3"]],
    *,
    text_multiple: int,
) -> Row:
    """Lay samples end to end: each is its caption's token ids and its tokens' positions.

    Captions are padded with id 0 to a multiple of ``text_multiple`` (at least one multiple, so
    that no sample is without text); padding is a token like any other.
    """
    padded = [[*ids, *[0] * (padded_length(len(ids), text_multiple) - len(ids))] for ids in texts]
    text_lengths = [len(ids) for ids in padded]
    video_lengths = [len(p) for p in positions]
    num_text, place, segment, row_positions = sum(text_lengths), [], [], []
    text_start, video_start = 0, num_text
    for number, (num_t, num_v) in enumerate(zip(text_lengths, video_lengths, strict=True)):
        place += [torch.arange(text_start, text_start + num_t)]
        place += [torch.arange(video_start, video_start + num_v)]
        segment.append(torch.full((num_t + num_v,), number))
        row_positions += [torch.zeros(num_t, 3, dtype=torch.float64), positions[number]]
        text_start, video_start = text_start + num_t, video_start + num_v
    place_L = torch.cat(place)
    place_of = torch.empty_like(place_L).scatter_(0, place_L, torch.arange(len(place_L)))
    return Row(
        text_ids=torch.tensor([token for ids in padded for token in ids]),
        text_runs=runs_of(text_lengths),
        text_segment=torch.repeat_interleave(torch.tensor(text_lengths)),
        place=place_L,
        place_video=place_of[num_text:],
        runs=runs_of([t + v for t, v in zip(text_lengths, video_lengths, strict=True)]),
        segment=torch.cat(segment),
        positions=torch.cat(row_positions),
        num_segments=len(padded),
    )


def patchify(latents: Float[Tensor, "t h w C"], patch: int) -> Float[Tensor, "Lv P"]:
    """Cut one clip's latents into tokens, in the order time, row, column."""
    return rearrange(latents, "t (h a) (w b) C -> (t h w) (a b C)", a=patch, b=patch)


def unpatchify(
    tokens: Float[Tensor, "Lv P"], grid: TokenGrid, *, patch: int
) -> Float[Tensor, "t h w C"]:
    """Undo `patchify`."""
    return rearrange(
        tokens,
        "(t h w) (a b C) -> t (h a) (w b) C",
        t=grid.num_frames,
        h=grid.height,
        w=grid.width,
        a=patch,
        b=patch,
    )


class Attention(nn.Module):
    """Multi-head self-attention within segments, with normalised, rotated queries and keys."""

    def __init__(self, width: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_q, self.norm_k = RMSNorm(head_size), RMSNorm(head_size)

    def heads(self, x_LD: Tensor, *, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries and keys, and values: (L, N, K) each."""
        q, k, v = rearrange(
            self.qkv(x_LD), "L (three N K) -> three L N K", three=3, K=self.head_size
        )
        cos, sin = cos[:, None].to(q.dtype), sin[:, None].to(q.dtype)
        q = rotate(self.norm_q(q), cos=cos, sin=sin)
        return q, rotate(self.norm_k(k), cos=cos, sin=sin), v


class TextBlock(nn.Module):
    """A plain pre-norm transformer block, bidirectional."""

    def __init__(self, width: int, head_size: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = RMSNorm(width), RMSNorm(width)
        self.attention, self.mlp = Attention(width, head_size), SwiGLU(width)

    def forward(self, x_LD: Tensor, *, cos: Tensor, sin: Tensor, runs: Sequence[Run]) -> Tensor:
        """Return the row after this block."""
        q, k, v = self.attention.heads(self.norm_attention(x_LD), cos=cos, sin=sin)
        x_LD = x_LD + self.attention.out(segment_attention(q, k, v_LNK=v, runs=runs).flatten(1))
        return x_LD + self.mlp(self.norm_mlp(x_LD))


class Block(nn.Module):
    """Attention and SwiGLU, each shifted, scaled and gated by the token's noise time."""

    def __init__(self, width: int, head_size: int) -> None:
        super().__init__()
        self.norm_attention = RMSNorm(width, gain=False)
        self.norm_mlp = RMSNorm(width, gain=False)
        self.attention, self.mlp = Attention(width, head_size), SwiGLU(width)
        self.table = nn.Parameter(torch.zeros(6, width))

    def before(
        self, x_LD: Tensor, modulation_L6D: Tensor, *, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values; split from `after` so that each compiles whole."""
        shift, scale = (modulation_L6D[:, :2] + self.table[:2]).unbind(dim=1)
        hidden = self.norm_attention(x_LD) * (1 + scale) + shift
        return self.attention.heads(hidden, cos=cos, sin=sin)

    def after(self, x_LD: Tensor, mixed_LD: Tensor, *, modulation_L6D: Tensor) -> Tensor:
        """Add the attention's result, then the feed-forward layer's."""
        gate, shift, scale, gate_mlp = (modulation_L6D[:, 2:] + self.table[2:]).unbind(dim=1)
        x_LD = x_LD + gate * self.attention.out(mixed_LD)
        hidden = self.norm_mlp(x_LD) * (1 + scale) + shift
        return x_LD + gate_mlp * self.mlp(hidden)

    def forward(
        self,
        x_LD: Tensor,
        modulation_L6D: Tensor,
        *,
        cos: Tensor,
        sin: Tensor,
        runs: Sequence[Run],
    ) -> Tensor:
        """Return the row after this block."""
        q, k, v = self.before(x_LD, modulation_L6D, cos=cos, sin=sin)
        mixed_LD = segment_attention(q, k, v_LNK=v, runs=runs).flatten(1)
        return self.after(x_LD, mixed_LD, modulation_L6D=modulation_L6D)


class DiT(nn.Module):
    """Predict clean spacetime tokens from noisy ones, their times, and text."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        width, text = config.width, config.text_width
        self.embed_text = nn.Embedding(config.vocabulary, text)
        self.text_blocks = nn.ModuleList(
            TextBlock(text, config.head_size) for _ in range(config.text_depth)
        )
        self.norm_text = RMSNorm(text)
        self.text_in = nn.Linear(text, width)
        self.text_pooled = nn.Linear(text, width)
        self.video_in = nn.Linear(config.token_size, width)
        self.position_in = nn.Linear(3 * 2 * NUM_FREQUENCIES, width)
        self.time_in = nn.Linear(2 * NUM_TIME_FREQUENCIES, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(Block(width, config.head_size) for _ in range(config.depth))
        self.norm_out = RMSNorm(width, gain=False)
        self.table_out = nn.Parameter(torch.zeros(2, width))
        self.video_out = nn.Linear(width, config.token_size)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Xavier everywhere; gates, modulation and the output start at zero (adaLN-Zero)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.embed_text.weight, std=0.5)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.video_out.weight)
        for block in self.blocks:
            # Gates open a little at once: with all of them shut the first few hundred steps of a
            # short CPU run would only open them.
            block.table[2].fill_(0.3)
            block.table[5].fill_(0.3)

    def forward(
        self, tokens_LvP: Float[Tensor, "Lv P"], times_Lv: Float[Tensor, "Lv"], *, row: Row
    ) -> Float[Tensor, "Lv P"]:
        """Return the clean tokens foreseen from noisy ones, each of its own time in [0, 1]."""
        dtype = self.video_in.weight.dtype
        text_LtD, pooled_GD = self.encode_text(row)  # (Lt, text), (G, text)
        features = fourier_features(row.positions, POSITION_PERIODS).to(dtype)
        video_LvD = self.video_in(tokens_LvP.to(dtype))  # (Lv, D)
        x_LD = torch.cat((self.text_in(text_LtD), video_LvD))[row.place]  # (L, D)
        x_LD = x_LD + self.position_in(features)  # (L, D)
        modulation_L6D = self.modulate(times_Lv, pooled_GD, row=row)  # (L, 6, D)
        angles = axial_angles(
            row.positions,
            head_size=self.config.head_size,
            max_period=(64.0, 8.0, 8.0),
            min_period=(0.5, 0.5, 0.5),
        )
        cos, sin = angles.cos(), angles.sin()  # (L, K / 2)
        for block in self.blocks:
            x_LD = block(x_LD, modulation_L6D, cos=cos, sin=sin, runs=row.runs)  # (L, D)
        shift, scale = (modulation_L6D[:, :2] + self.table_out).unbind(dim=1)
        x_LD = self.norm_out(x_LD) * (1 + scale) + shift
        return self.video_out(x_LD[row.place_video])  # (Lv, P)

    def encode_text(self, row: Row) -> tuple[Float[Tensor, "Lt D"], Float[Tensor, "G D"]]:
        """Return contextual text tokens and their mean for each sample."""
        x_LD = self.embed_text(row.text_ids)
        starts = torch.cat(
            [
                torch.arange(length, dtype=torch.float64).repeat(count)
                for count, length in row.text_runs
            ]
        ).to(x_LD.device)
        angles = axial_angles(
            starts[:, None],
            head_size=self.config.head_size,
            max_period=(512.0,),
            min_period=(4.0,),
        )
        for block in self.text_blocks:
            x_LD = block(x_LD, cos=angles.cos(), sin=angles.sin(), runs=row.text_runs)
        x_LD = self.norm_text(x_LD)
        sums = x_LD.new_zeros(row.num_segments, x_LD.shape[1])
        sums = sums.index_add(0, row.text_segment, x_LD)
        counts = torch.bincount(row.text_segment, minlength=row.num_segments)
        return x_LD, sums / counts[:, None].to(sums.dtype)

    def modulate(
        self, times_Lv: Tensor, pooled_GD: Tensor, *, row: Row
    ) -> Float[Tensor, "L six D"]:
        """Return each token's six modulation vectors; text counts as clean (time zero)."""
        times_L = times_Lv.new_zeros(len(row.place)).index_copy(0, row.place_video, times_Lv)
        features = fourier_features(times_L[:, None].double(), TIME_PERIODS)
        dtype = self.time_in.weight.dtype
        condition = self.time_in(features.to(dtype)) + self.text_pooled(pooled_GD)[row.segment]
        condition = F.silu(condition)
        return rearrange(self.modulation(condition), "L (six D) -> L six D", six=6)


NUM_FREQUENCIES, NUM_TIME_FREQUENCIES = 8, 32
POSITION_PERIODS = ((0.5, 64.0, NUM_FREQUENCIES),) + ((0.4, 8.0, NUM_FREQUENCIES),) * 2
TIME_PERIODS = ((0.02, 4.0, NUM_TIME_FREQUENCIES),)

DITS = {
    "tiny": DiTConfig(
        latent_channels=8, width=64, depth=2, head_size=32, text_width=32, text_depth=1
    ),
    "nano": DiTConfig(),
    "small": DiTConfig(width=384, depth=12),
    "base": DiTConfig(width=768, depth=16, text_width=384, text_depth=4),
}
