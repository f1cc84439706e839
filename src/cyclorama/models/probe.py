"""The probe: which objects a clip shows, and what happens, judged from its pixels alone.

The picture in words: a clip of any size is scaled until its shorter side has 64 pixels, and a
handful of frames are taken, evenly spread. A small convolutional trunk looks at each frame. On a
grid of four-pixel cells it says what each cell shows: one of the (colour, shape) pairs, or no
object; colour and shape are scored apart and added (so that a pair never trained on can still be
named). How much of the clip a pair covers, when and how surely, decides whether it is there. A
small transformer over coarse cells of all frames, with their change from frame to frame, tells
family, camera and count. It is trained on an engine's exact truth; a generator is then judged by
it (the idea of CLEVR's and PhyWorld's parsers, here one network).

Left out: sizes, materials, places and directions, and two objects of one colour and shape (they
count as one pair; `count` sees both).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Real
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.nn.attention import short_attention
from cyclorama.nn.mlp import SwiGLU
from cyclorama.nn.norm import RMSNorm
from cyclorama.nn.rope import axial_angles, rotate

CELL = 4  # pixels of the scaled frame along one side of a cell of the map
COARSE = 16  # the same for a token of the transformer; scaled frames are multiples of it
AREA_FLOOR = 1e-4  # share of a square frame below which an area counts as nothing
Pair = tuple[str, str]  # colour, shape


class ProbeConfig(Config):
    """The words the probe may answer with, and its sizes."""

    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    families: tuple[str, ...]
    cameras: tuple[str, ...]
    max_count: int = 4
    side: int = 64  # clips are scaled until their shorter side has this many pixels
    num_frames: int = 9  # looked at, evenly spread; shorter clips are looked at whole
    stem_channels: int = 24
    channels: int = 48
    deep_channels: int = 96
    num_blocks: int = 2
    width: int = 128
    depth: int = 2
    head_size: int = 64

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All (colour, shape) pairs, in the order of the outputs."""
        return tuple((colour, shape) for colour in self.colours for shape in self.shapes)


class Evidence(NamedTuple):
    """What the probe found, as logits: P pairs, G = max_count + 1, F families, M cameras."""

    presence: Float[Tensor, "B P"]
    count: Float[Tensor, "B G"]
    family: Float[Tensor, "B F"]
    camera: Float[Tensor, "B M"]
    cells: Float[Tensor, "B T h w P1"]  # log-probabilities of each pair, and last of no object


@dataclass(frozen=True)
class Verdict:
    """The probe's answer on one clip; ``doubt`` in [0, 1] is 1 - the least sure pair's surety."""

    objects: frozenset[Pair]
    count: int
    family: str
    camera: str
    doubt: float

    @property
    def text(self) -> str:
        """The answer in one line, for pictures and tables."""
        named = ", ".join(f"{colour} {shape}" for colour, shape in sorted(self.objects))
        return f"{self.count}: {named or 'nothing'}; {self.family}; camera {self.camera}"


def frames_to_look_at(num_frames: int, config: ProbeConfig) -> np.ndarray:
    """Return the numbers of the frames to look at, evenly spread from the first to the last."""
    looked = min(num_frames, config.num_frames)
    return np.linspace(0, num_frames - 1, looked).round().astype(np.int64)


def scaled_size(height: int, width: int, *, side: int) -> tuple[int, int]:
    """Return rows and columns after scaling: shorter side ``side``, both multiples of 16."""
    factor = side / min(height, width)
    return tuple(max(COARSE, round(n * factor / COARSE) * COARSE) for n in (height, width))


def prepare_clips(frames: Tensor, config: ProbeConfig) -> Float[Tensor, "B T H W 3"]:
    """Return uint8 frames (B, T, H, W, 3), already picked, as floats in [-1, 1], scaled."""
    height, width = frames.shape[2:4]
    size = scaled_size(height, width, side=config.side)
    values = frames.float() / 127.5 - 1
    if size == (height, width):
        return values
    flat = rearrange(values, "B T H W C -> (B T) C H W")
    flat = F.interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return rearrange(flat, "(B T) C H W -> B T H W C", B=len(frames))


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, residual, normalised over channels first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = RMSNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) of the same shape."""
        return x + self.second(F.relu(self.first(over_channels(self.norm, x))))


def over_channels(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer for channels-last tensors to (B, C, H, W); free in channels-last memory."""
    return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TokenBlock(nn.Module):
    """Pre-norm attention over all coarse cells of all frames, and SwiGLU."""

    def __init__(self, width: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.norm_attention, self.norm_mlp = RMSNorm(width), RMSNorm(width)
        self.norm_q, self.norm_k = RMSNorm(head_size), RMSNorm(head_size)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp = SwiGLU(width)

    def forward(self, x_BLD: Tensor, *, cos: Tensor, sin: Tensor) -> Tensor:
        """Return tokens of the same shape; ``cos`` and ``sin`` (L, K / 2) rotate positions."""
        q, k, v = rearrange(
            self.qkv(self.norm_attention(x_BLD)),
            "B L (three N K) -> three (B N) L K",
            three=3,
            K=self.head_size,
        )
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        q = rotate(self.norm_q(q), cos=cos, sin=sin)
        k = rotate(self.norm_k(k), cos=cos, sin=sin)
        mixed = short_attention(q, k, v_BSK=v)
        x_BLD = x_BLD + self.out(rearrange(mixed, "(B N) L K -> B L (N K)", B=len(x_BLD)))
        return x_BLD + self.mlp(self.norm_mlp(x_BLD))


class Probe(nn.Module):
    """Judge clips; see the module's paragraph and `judge_clips`."""

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.config = config
        stem, mid, deep = config.stem_channels, config.channels, config.deep_channels
        self.stem = nn.Conv2d(3, stem, 5, stride=2, padding=2)
        self.to_cells = nn.Conv2d(stem, mid, 3, stride=2, padding=1)
        self.cell_blocks = nn.ModuleList(ConvBlock(mid) for _ in range(config.num_blocks))
        self.deeper = nn.Conv2d(mid, deep, 3, stride=2, padding=1)
        self.deep_blocks = nn.ModuleList(ConvBlock(deep) for _ in range(config.num_blocks))
        self.norm_deep, self.norm_cells = RMSNorm(deep), RMSNorm(mid)
        self.widen = nn.Linear(deep, mid)
        self.name_cells = nn.Linear(mid, len(config.colours) + len(config.shapes) + 1)
        self.weigh = nn.Sequential(nn.Linear(NUM_FEATURES, 32), nn.ReLU(), nn.Linear(32, 1))
        self.embed = nn.Linear(2 * 4 * deep, config.width)
        self.blocks = nn.ModuleList(
            TokenBlock(config.width, config.head_size) for _ in range(config.depth)
        )
        self.norm_tokens = RMSNorm(config.width)
        sizes = (config.max_count + 1, len(config.families), len(config.cameras))
        self.tell = nn.Linear(2 * config.width, sum(sizes))
        self.sum_weight = nn.Parameter(torch.ones(1))
        self.sizes = sizes

    def forward(self, clips: Float[Tensor, "B T H W 3"], times_T: Real[Tensor, "T"]) -> Evidence:
        """Judge prepared clips; ``times_T`` are the numbers of the frames looked at."""
        num_clips, num_frames = clips.shape[:2]
        flat = rearrange(clips, "B T H W C -> (B T) C H W").to(self.stem.weight.dtype)
        x = F.relu(self.stem(flat.contiguous(memory_format=torch.channels_last)))
        x = F.relu(self.to_cells(x))
        for block in self.cell_blocks:
            x = block(x)
        deep = F.relu(self.deeper(x))
        for block in self.deep_blocks:
            deep = block(deep)
        deep = over_channels(self.norm_deep, deep)
        cells = self.cells(x, deep, num_clips=num_clips)  # (B, T, h, w, P + 1)
        presence = self.weigh_cells(cells)  # (B, P)
        deep = rearrange(deep, "(B T) C h w -> B T h w C", T=num_frames)
        told = self.tell_story(deep, times_T)
        count, family, camera = told.float().split(self.sizes, dim=-1)
        total = presence.sigmoid().sum(dim=-1, keepdim=True)  # (B, 1)
        steps = torch.arange(self.config.max_count + 1, device=total.device)
        count = count - self.sum_weight.float() * (steps - total).square()
        return Evidence(presence, count, family, camera, cells)

    def cells(self, x: Tensor, deep: Tensor, *, num_clips: int) -> Tensor:
        """Return what each cell shows, as log-probabilities in float32."""
        wide = F.interpolate(over_channels(self.widen, deep), scale_factor=2.0, mode="nearest")
        hidden = F.relu(over_channels(self.norm_cells, x + wide))
        logits = over_channels(self.name_cells, hidden).float()
        logits = rearrange(logits, "(B T) K h w -> B T h w K", B=num_clips)
        colour, shape, nothing = logits.split(
            (len(self.config.colours), len(self.config.shapes), 1), dim=-1
        )
        joint = (colour[..., :, None] + shape[..., None, :]).flatten(-2)
        return torch.cat((joint, nothing), dim=-1).log_softmax(dim=-1)

    def weigh_cells(self, cells: Float[Tensor, "B T h w P1"]) -> Float[Tensor, "B P"]:
        """Return how sure each pair's presence is, from how much it covers, when and where."""
        num_colours = len(self.config.colours)
        shown = cells[..., :-1].exp()
        square = min(cells.shape[2:4]) ** 2
        area = shown.sum(dim=(2, 3)) / square  # (B, T, P)
        mean = area.mean(dim=1) + AREA_FLOOR
        by_pair = rearrange(mean, "B (c s) -> B c s", c=num_colours)
        features = torch.stack(
            (
                mean.log(),
                (area.amax(dim=1) + AREA_FLOOR).log(),
                cells[..., :-1].amax(dim=(1, 2, 3)).clamp(min=-12.0),
                (area / (area + 4 * AREA_FLOOR)).mean(dim=1),
                (by_pair / by_pair.sum(dim=2, keepdim=True)).flatten(1).log(),
                (by_pair / by_pair.sum(dim=1, keepdim=True)).flatten(1).log(),
            ),
            dim=-1,
        )
        return self.weigh(features.to(self.weigh[0].weight.dtype))[..., 0].float()

    def tell_story(self, deep: Float[Tensor, "B T h w C"], times_T: Tensor) -> Tensor:
        """Return the logits of count, family and camera from coarse cells and their change."""
        change = deep.diff(dim=1, prepend=deep[:, :1])
        coarse = rearrange(
            torch.cat((deep, change), dim=-1), "B T (h a) (w b) C -> B T h w (a b C)", a=2, b=2
        )
        x = self.embed(coarse)
        height, width = x.shape[2:4]
        axes = (times_T.cpu(), torch.arange(height), torch.arange(width))
        positions = torch.cartesian_prod(*(axis.double() for axis in axes))
        angles = axial_angles(
            positions,
            head_size=self.config.head_size,
            max_period=(128.0, 16.0, 16.0),
            min_period=(4.0, 3.0, 3.0),
        ).to(x.device)
        x = x.flatten(1, 3)
        for block in self.blocks:
            x = block(x, cos=angles.cos(), sin=angles.sin())
        x = self.norm_tokens(x)
        return self.tell(torch.cat((x.mean(dim=1), x.amax(dim=1)), dim=-1))


NUM_FEATURES = 6


@torch.no_grad()
def judge_clips(probe: Probe, clips: np.ndarray, *, batch: int = 16) -> list[Verdict]:
    """Return the probe's answer on each clip, uint8 (B, T, H, W, 3) of any size and length."""
    if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise ValueError(f"clips must be uint8 (B, T, H, W, 3), got {clips.dtype} {clips.shape}")
    picks = frames_to_look_at(clips.shape[1], probe.config)
    verdicts: list[Verdict] = []
    for start in range(0, len(clips), batch):
        frames = torch.from_numpy(clips[start : start + batch][:, picks])
        evidence = probe(prepare_clips(frames, probe.config), torch.from_numpy(picks))
        verdicts += read_verdicts(evidence, probe.config)
    return verdicts


def read_verdicts(evidence: Evidence, config: ProbeConfig) -> list[Verdict]:
    """Return the most likely answers of a batch.

    Pairs and their number are decided together: the set of k pairs that makes the sum of their
    presences' logits and the log-probability of a count of k largest. Each alone errs more
    often: a cylinder that looks like a cube from some sides would count as both.
    """
    sure, order = evidence.presence.topk(config.max_count, dim=1)  # (B, max_count)
    gains = F.pad(sure.cumsum(dim=1), (1, 0)) + evidence.count.log_softmax(dim=1)
    sizes = gains.argmax(dim=1).tolist()
    chances = evidence.presence.sigmoid()
    doubts = torch.minimum(chances, 1 - chances).amax(dim=1)
    rows = zip(
        order.tolist(),
        sizes,
        evidence.count.argmax(1).tolist(),
        evidence.family.argmax(1).tolist(),
        evidence.camera.argmax(1).tolist(),
        doubts.tolist(),
        strict=True,
    )
    return [
        Verdict(
            objects=frozenset(config.pairs[number] for number in best[:size]),
            count=count,
            family=config.families[family],
            camera=config.cameras[camera],
            doubt=doubt,
        )
        for best, size, count, family, camera, doubt in rows
    ]


STAGE_WORDS = {
    "colours": ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink"),
    "shapes": ("ball", "cube", "cylinder", "cone"),
    "families": ("roll", "drop", "throw", "slide", "collide", "static"),
    "cameras": ("static", "orbit left", "orbit right", "dolly in", "dolly out"),
}
PROBES = {
    "tiny": ProbeConfig(
        **STAGE_WORDS,
        num_frames=3,
        stem_channels=8,
        channels=16,
        deep_channels=16,
        num_blocks=1,
        width=32,
        depth=1,
        head_size=16,
    ),
    "stage": ProbeConfig(**STAGE_WORDS),
}
