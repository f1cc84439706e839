"""What turns frames and seconds of sound into tokens of a stream.

Picture two clerks at the gate of a stream of words. One lays a grid over each picture and writes
one token a square of 16 pixels, after all squares of that picture have looked at each other; where
a square lies is told by waves over its place, so that any grid will do. The other writes 25 tokens
for each second of sound, after those of the second have looked at each other. Neither remembers
anything: a frame and a second give the same tokens in any company, so that reading in pieces is
reading at once. Early convolutions after Xiao et al. 2021 (arXiv 2106.14881), the sound's after
Radford et al. 2022 (arXiv 2212.04356, section 2.2). Leaves out motion: the reader's own windows
see the frames before.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from cyclorama.nn.attention import short_attention
from cyclorama.nn.embed import fourier_features
from cyclorama.nn.mel import NUM_MELS, log_mel
from cyclorama.nn.mlp import SwiGLU
from cyclorama.nn.norm import RMSNorm
from cyclorama.shapes import SOUND_TOKENS_PER_S, TokenGrid, grid_of_frames

HEAD_SIZE = 64
# Periods of the waves over a square's place, in halves of a picture's side: coarse to a square.
LADDER = (0.4, 4.0, 6)
NUM_WAVES = 2 * 2 * LADDER[2]


def grid_places(grid: TokenGrid) -> Float[Tensor, "L 2"]:
    """Return row and column of the middle of each token of a frame, from the centre.

    The unit is half the side of a square of the frame's area: a wide frame is wide here too.
    """
    half_side = (grid.height * grid.width) ** 0.5 / 2
    rows = (torch.arange(grid.height, dtype=torch.float64) + 0.5 - grid.height / 2) / half_side
    columns = (torch.arange(grid.width, dtype=torch.float64) + 0.5 - grid.width / 2) / half_side
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)


class Circle(nn.Module):
    """A layer in which the tokens of one frame, or of one second, all see each other."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = RMSNorm(width), RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp = SwiGLU(width, hidden)

    def forward(self, x_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Return the tokens after this layer."""
        size = min(HEAD_SIZE, x_BLD.shape[2])
        qkv = self.qkv(self.norm_attention(x_BLD))
        q, k, v = rearrange(qkv, "B L (three N K) -> three (B N) L K", three=3, K=size)
        mixed = short_attention(q, k, v_BSK=v)
        x_BLD = x_BLD + self.out(rearrange(mixed, "(B N) L K -> B L (N K)", B=len(x_BLD)))
        return x_BLD + self.mlp(self.norm_mlp(x_BLD))


class FrameStem(nn.Module):
    """Frames to tokens: convolutions, four of which halve the sides, then a `Circle`."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(below, above, 3, stride=2, padding=1)
            for below, above in ((3, 32), (32, 64), (64, 128))
        )
        self.refine = nn.ModuleList(nn.Conv2d(size, size, 3, padding=1) for size in (64, 128))
        for convolution in self.refine:  # starts as if it were not there
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)
        self.merge = nn.Conv2d(128, width, 2, stride=2)
        self.place = nn.Linear(NUM_WAVES, width, bias=False)
        self.circles = nn.ModuleList([Circle(width, hidden)])
        self.norm_out = RMSNorm(width)

    def forward(self, frames_THWC: UInt8[Tensor, "T H W C"]) -> Float[Tensor, "T L D"]:
        """Return the tokens of each frame, rows first; sides are multiples of 16 pixels."""
        grid = grid_of_frames(len(frames_THWC), frames_THWC.shape[1:3])
        dtype = self.place.weight.dtype
        x = rearrange(frames_THWC, "T H W C -> T C H W").to(dtype) / 127.5 - 1
        x = x.contiguous(memory_format=torch.channels_last)
        for convolution, refine in zip(self.convolutions, (None, *self.refine), strict=True):
            x = F.gelu(convolution(x), approximate="tanh")
            if refine is not None:
                x = x + F.gelu(refine(x), approximate="tanh")
        waves = fourier_features(grid_places(grid).to(x.device), [LADDER, LADDER])
        x_TLD = rearrange(self.merge(x), "T D h w -> T (h w) D") + self.place(waves.to(dtype))
        for circle in self.circles:
            x_TLD = circle(x_TLD)
        return self.norm_out(x_TLD)


class SoundStem(nn.Module):
    """Seconds of sound to 25 tokens each: two convolutions over log-mel frames, then a `Circle`."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(NUM_MELS, width, 3, stride=2, padding=1)
        self.second = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.place_LD = nn.Parameter(torch.zeros(SOUND_TOKENS_PER_S, width))
        self.circles = nn.ModuleList([Circle(width, hidden)])
        self.norm_out = RMSNorm(width)

    def forward(self, blocks_BS: Float[Tensor, "B S"]) -> Float[Tensor, "B L D"]:
        """Return the tokens of each block (see `nn.mel`)."""
        x = log_mel(blocks_BS).to(self.place_LD.dtype)
        for convolution in (self.first, self.second):
            x = F.gelu(convolution(x), approximate="tanh")
        x_BLD = rearrange(x, "B D L -> B L D") + self.place_LD
        for circle in self.circles:
            x_BLD = circle(x_BLD)
        return self.norm_out(x_BLD)
