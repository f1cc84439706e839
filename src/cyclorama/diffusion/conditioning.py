"""Conditioning tasks as data: which tokens are clean.

Every token carries its own noise time, and a clean token (t = 0) conditions the noisy ones. A
task is therefore nothing but a mask over latent frames and cells. The training mix draws masks of
all tasks, so that one network animates, extends, connects and fills in without further parts
(Pusa, arXiv 2507.16116; diffusion forcing, Chen et al. 2024).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cyclorama.diffusion.schedule import training_times
from cyclorama.shapes import TokenGrid


@dataclass(frozen=True)
class NoiseMix:
    """Shares of the training mix; what remains of one is independent noise per frame."""

    whole: float = 0.4
    masks: float = 0.3


MASKS = ("first frame", "prefix", "suffix", "both ends", "random frames", "box")


def clean_mask(task: str, grid: TokenGrid, *, generator: torch.Generator) -> Bool[Tensor, "t h w"]:
    """Return which tokens are clean for one of `MASKS`; never all of them."""
    t, h, w = grid.num_frames, grid.height, grid.width
    clean = torch.zeros(t, h, w, dtype=torch.bool)

    def between(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    if task == "first frame" and t > 1:
        clean[0] = True
    elif task == "prefix" and t > 1:
        clean[: between(1, t - 1)] = True
    elif task == "suffix" and t > 1:
        clean[between(1, t - 1) :] = True
    elif task == "both ends" and t > 2:  # two ends and a middle
        clean[0] = clean[-1] = True
    elif task == "random frames" and t > 1:
        clean[torch.rand(t, generator=generator) < 0.5] = True
        clean[between(0, t - 1)] = False
    elif task == "box":
        top, left = between(0, h - 1), between(0, w - 1)
        clean[:] = True
        clean[:, top : between(top, h - 1) + 1, left : between(left, w - 1) + 1] = False
    return clean


def draw_times(
    grid: TokenGrid, *, shift: float, mix: NoiseMix, generator: torch.Generator
) -> Float[Tensor, "t h w"]:
    """Draw the noise time of every token of one clip from the training mix."""
    kind = float(torch.rand((), generator=generator))
    if kind < mix.whole + mix.masks or grid.num_frames == 1:
        time = training_times(torch.tensor([shift]), generator)
        times = time.expand(grid.num_frames, grid.height, grid.width).clone()
        if mix.whole <= kind < mix.whole + mix.masks:
            task = MASKS[int(torch.randint(len(MASKS), (), generator=generator))]
            times[clean_mask(task, grid, generator=generator)] = 0.0
        return times
    per_frame = training_times(torch.full((grid.num_frames,), shift), generator)
    return per_frame[:, None, None].expand(-1, grid.height, grid.width).clone()
