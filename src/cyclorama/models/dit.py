"""The diffusion transformer: one joint stream of text tokens and spacetime tokens.

The picture in words: a row holds several samples laid end to end, each one a run of text tokens
followed by a run of latent patches (native sizes, packed: Dehghani et al. 2023). All tokens pass
the same blocks; attention stays inside a sample. Each spacetime token carries its own noise time,
which reaches the blocks through one shared modulation network plus a small table in each block
(Peebles and Xie 2023, adaLN; sharing as in PixArt and Wan). Positions are rotary: seconds in time,
and in space units centred on the frame and scaled by its area, so that a size or a length never
seen falls between those that were. Queries and keys are normalised.

A token is several latents (`patch` squared of them), cheap to think about but coarse to draw with:
the borders of tokens show. A light head therefore goes over the single latents once more, with the
blocks' result as its condition, and predicts their velocity (decoupled head: Wang et al. 2025,
"DDT"); the network returns the *clean* tokens that velocity implies. Without the head
(``detail_depth=0``) the blocks predict clean tokens themselves (Li and He 2025, "Back to basics").
A small bidirectional text encoder is trained with it.

The feed-forward layers may be soft experts (`nn.moe`, ``soft_experts``): tokens of one sample,
never of two, are mixed into slots. No bundled weights use them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.nn.attention import Run, in_segments, segment_attention
from cyclorama.nn.embed import fourier_features
from cyclorama.nn.mlp import SwiGLU, hidden_width
from cyclorama.nn.moe import SoftExperts
from cyclorama.nn.norm import RMSNorm
from cyclorama.nn.patch import Row
from cyclorama.nn.rope import axial_angles, rotate


class DiTConfig(Config):
    """Sizes of the generator."""

    latent_channels: int = 32
    patch: int = 2
    width: int = 320
    depth: int = 8
    head_size: int = 64
    detail_width: int = 128
    detail_depth: int = 0  # blocks of the head over single latents; 0: no head
    soft_experts: int = 0  # of each block's feed-forward layer; 0: one dense layer
    expert_slots: int = 16  # mixtures of a sample's tokens that each soft expert works on
    text_width: int = 192
    text_depth: int = 2
    vocabulary: int = 8192
    text_multiple: int = 8  # captions are padded to a multiple, so that rows have few lengths

    @property
    def token_size(self) -> int:
        """Numbers in one spacetime token."""
        return self.patch**2 * self.latent_channels


def video_angles(positions_L3: Float[Tensor, "L 3"], head_size: int) -> Float[Tensor, "L A"]:
    """Return rotary angles of places in time and space."""
    return axial_angles(
        positions_L3,
        head_size=head_size,
        max_period=(64.0, 8.0, 8.0),
        min_period=(0.5, 0.5, 0.5),
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

    COMPILED = ("before", "after")  # what may be compiled for any row; attention between is eager

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

    def mixed(
        self, x_LD: Tensor, modulation_L6D: Tensor, *, cos: Tensor, sin: Tensor, runs: Sequence[Run]
    ) -> Tensor:
        """Return what each token's heads gather from its own segment, (L, D)."""
        q, k, v = self.before(x_LD, modulation_L6D, cos=cos, sin=sin)
        return segment_attention(q, k, v_LNK=v, runs=runs).flatten(1)

    def between(
        self, x_LD: Tensor, mixed_LD: Tensor, *, modulation_L6D: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add the attention's result; return the stream, the next layer's input, and its gate."""
        gate, shift, scale, gate_mlp = (modulation_L6D[:, 2:] + self.table[2:]).unbind(dim=1)
        x_LD = x_LD + gate * self.attention.out(mixed_LD)
        return x_LD, self.norm_mlp(x_LD) * (1 + scale) + shift, gate_mlp

    def after(self, x_LD: Tensor, mixed_LD: Tensor, *, modulation_L6D: Tensor) -> Tensor:
        """Add the attention's result, then the feed-forward layer's."""
        x_LD, hidden_LD, gate_LD = self.between(x_LD, mixed_LD, modulation_L6D=modulation_L6D)
        return x_LD + gate_LD * self.mlp(hidden_LD)

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
        mixed_LD = self.mixed(x_LD, modulation_L6D, cos=cos, sin=sin, runs=runs)
        return self.after(x_LD, mixed_LD, modulation_L6D=modulation_L6D)


class SoftBlock(Block):
    """A block with soft experts, which see the tokens of a whole segment."""

    COMPILED = ("before", "between")  # not the experts: segments change their lengths with the row

    def __init__(self, width: int, head_size: int, *, num_experts: int, slots: int) -> None:
        super().__init__(width, head_size)
        self.mlp = SoftExperts(width, hidden_width(width), num_experts=num_experts, slots=slots)

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
        mixed_LD = self.mixed(x_LD, modulation_L6D, cos=cos, sin=sin, runs=runs)
        x_LD, hidden_LD, gate_LD = self.between(x_LD, mixed_LD, modulation_L6D=modulation_L6D)
        return x_LD + gate_LD * in_segments(self.mlp, hidden_LD, runs=runs)


class DetailHead(nn.Module):
    """Predict each latent's velocity from the noisy latents and what the blocks made of tokens."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width, latents = config.detail_width, config.patch**2
        self.head_size = min(config.head_size, width)
        self.latent_in = nn.Linear(config.latent_channels, width)
        self.token_in = nn.Linear(config.width, latents * width)
        self.modulation = nn.Linear(config.width, 6 * width)
        self.blocks = nn.ModuleList(
            Block(width, self.head_size) for _ in range(config.detail_depth)
        )
        self.norm_out = RMSNorm(width, gain=False)
        self.table_out = nn.Parameter(torch.zeros(2, width))
        self.out = nn.Linear(width, config.latent_channels)

    def forward(
        self, hidden_LvD: Tensor, tokens_LvP: Tensor, *, condition_LvD: Tensor, row: Row
    ) -> Float[Tensor, "Lv P"]:
        """Return the velocity of each token's latents; ``condition`` holds time and text."""
        num_latents = row.latent_positions.shape[1]
        latents_MC = rearrange(tokens_LvP, "Lv (S C) -> (Lv S) C", S=num_latents)
        spread_MD = rearrange(self.token_in(hidden_LvD), "Lv (S D) -> (Lv S) D", S=num_latents)
        x_MD = self.latent_in(latents_MC) + spread_MD  # (M, D), M = Lv S latents
        modulation_M6D = rearrange(
            self.modulation(condition_LvD), "Lv (six D) -> Lv six D", six=6
        ).repeat_interleave(num_latents, dim=0)
        angles = video_angles(row.latent_positions.flatten(0, 1), self.head_size)
        cos, sin = angles.cos(), angles.sin()
        for block in self.blocks:
            x_MD = block(x_MD, modulation_M6D, cos=cos, sin=sin, runs=row.video_runs)
        shift, scale = (modulation_M6D[:, :2] + self.table_out).unbind(dim=1)
        x_MD = self.norm_out(x_MD) * (1 + scale) + shift
        return rearrange(self.out(x_MD), "(Lv S) C -> Lv (S C)", S=num_latents)


def _block(config: DiTConfig) -> Block:
    if not config.soft_experts:
        return Block(config.width, config.head_size)
    return SoftBlock(
        config.width,
        config.head_size,
        num_experts=config.soft_experts,
        slots=config.expert_slots,
    )


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
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.depth))
        self.norm_out = RMSNorm(width, gain=False)
        self.table_out = nn.Parameter(torch.zeros(2, width))
        if config.detail_depth:
            self.detail = DetailHead(config)
        else:
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
        blocks = list(self.blocks)
        if self.config.detail_depth:
            nn.init.zeros_(self.detail.modulation.weight)
            nn.init.zeros_(self.detail.out.weight)
            blocks += self.detail.blocks
        else:
            nn.init.zeros_(self.video_out.weight)
        for block in blocks:
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
        condition_LD = self.condition(times_Lv, pooled_GD, row=row)
        modulation_L6D = rearrange(self.modulation(condition_LD), "L (six D) -> L six D", six=6)
        angles = video_angles(row.positions, self.config.head_size)
        cos, sin = angles.cos(), angles.sin()  # (L, K / 2)
        for block in self.blocks:
            x_LD = block(x_LD, modulation_L6D, cos=cos, sin=sin, runs=row.runs)  # (L, D)
        shift, scale = (modulation_L6D[:, :2] + self.table_out).unbind(dim=1)
        x_LD = self.norm_out(x_LD) * (1 + scale) + shift
        x_LvD = x_LD[row.place_video]
        if not self.config.detail_depth:
            return self.video_out(x_LvD)  # (Lv, P)
        flow_LvP = self.detail(
            x_LvD, tokens_LvP.to(dtype), condition_LvD=condition_LD[row.place_video], row=row
        )
        return tokens_LvP - times_Lv[:, None] * flow_LvP.to(tokens_LvP.dtype)  # (Lv, P)

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

    def condition(self, times_Lv: Tensor, pooled_GD: Tensor, *, row: Row) -> Float[Tensor, "L D"]:
        """Return what modulates each token: its time and the caption; text counts as clean."""
        times_L = times_Lv.new_zeros(len(row.place)).index_copy(0, row.place_video, times_Lv)
        features = fourier_features(times_L[:, None].double(), TIME_PERIODS)
        dtype = self.time_in.weight.dtype
        condition = self.time_in(features.to(dtype)) + self.text_pooled(pooled_GD)[row.segment]
        return F.silu(condition)


NUM_FREQUENCIES, NUM_TIME_FREQUENCIES = 8, 32
POSITION_PERIODS = ((0.5, 64.0, NUM_FREQUENCIES),) + ((0.4, 8.0, NUM_FREQUENCIES),) * 2
TIME_PERIODS = ((0.02, 4.0, NUM_TIME_FREQUENCIES),)

DITS = {
    "tiny": DiTConfig(
        latent_channels=8,
        width=64,
        depth=2,
        head_size=32,
        detail_width=32,
        detail_depth=1,
        text_width=32,
        text_depth=1,
    ),
    "nano": DiTConfig(detail_depth=2),
    "small": DiTConfig(width=384, depth=12, detail_depth=2),
    "base": DiTConfig(
        width=768, depth=16, detail_width=256, detail_depth=3, text_width=384, text_depth=4
    ),
}
