"""Latents of many clips and their captions as one packed row of tokens.

A token is a square of ``patch`` by ``patch`` latents of one latent frame. A row holds samples laid
end to end, each one a run of text tokens followed by a run of spacetime tokens, at their native
sizes (Dehghani et al. 2023, "Patch n' Pack", section 2.1). This file knows no network: it cuts,
lays, and says where in seconds and space everything stands.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from cyclorama.nn.attention import Run, runs_of
from cyclorama.shapes import Compression, TokenGrid


@dataclass(frozen=True)
class Row:
    """Where everything stands in a packed row of L tokens: Lt of text, Lv of spacetime."""

    text_ids: Int[Tensor, "Lt"]
    text_runs: tuple[Run, ...]
    text_segment: Int[Tensor, "Lt"]  # which sample a text token belongs to
    place: Int[Tensor, "L"]  # row order as indices into [text tokens, spacetime tokens]
    place_video: Int[Tensor, "Lv"]  # where in the row each spacetime token stands
    runs: tuple[Run, ...]
    video_runs: tuple[Run, ...]  # of the spacetime tokens alone
    segment: Int[Tensor, "L"]
    positions: Float[Tensor, "L 3"]  # seconds, row, column; text stands at the origin
    latent_positions: Float[Tensor, "Lv S 3"]  # of the S latents in each spacetime token
    num_segments: int

    def to(self, device: torch.device | str) -> "Row":
        """Return the row with its tensors on ``device``."""
        moved = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return Row(**moved)


def latent_positions(
    grid: TokenGrid, *, rate_fps: float, compression: Compression, patch: int
) -> Float[Tensor, "Lv S 3"]:
    """Return (seconds, row, column) of each latent of each token of one clip.

    Tokens come in the order time, row, column, and so do the S = patch^2 latents in a token.

    A latent frame stands at the middle of the frames it holds. Rows and columns are counted from
    the centre in units of half the side of a square of the frame's area.
    """
    height, width = grid.height * patch, grid.width * patch
    steps = torch.arange(grid.num_frames, dtype=torch.float64)
    middle = (steps - 1) * compression.time + (compression.time + 1) / 2
    seconds = torch.where(steps > 0, middle, steps) / rate_fps
    half_side = math.sqrt(height * width) / 2
    rows = (torch.arange(height, dtype=torch.float64) + 0.5 - height / 2) / half_side
    columns = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / half_side
    axes = torch.stack(torch.meshgrid(seconds, rows, columns, indexing="ij"), dim=-1)
    return rearrange(axes, "t (h a) (w b) three -> (t h w) (a b) three", a=patch, b=patch)


def padded_length(num_ids: int, multiple: int) -> int:
    """Return the tokens a caption takes: the next multiple, and at least one."""
    return max(1, -(-num_ids // multiple)) * multiple


def lay_row(
    texts: Sequence[Sequence[int]],
    positions: Sequence[Float[Tensor, "_ S 3"]],
    *,
    text_multiple: int,
) -> Row:
    """Lay samples end to end: each is its caption's token ids and its latents' positions.

    Captions are padded with id 0 to a multiple of ``text_multiple`` (at least one multiple, so
    that no sample is without text); padding is a token like any other.
    """
    padded = [[*ids, *[0] * (padded_length(len(ids), text_multiple) - len(ids))] for ids in texts]
    text_lengths = [len(ids) for ids in padded]
    video_lengths = [len(p) for p in positions]
    num_text, place, segment, row_positions = sum(text_lengths), [], [], []
    latents_in_token = positions[0].shape[1]
    text_start, video_start = 0, num_text
    for number, (num_t, num_v) in enumerate(zip(text_lengths, video_lengths, strict=True)):
        place += [torch.arange(text_start, text_start + num_t)]
        place += [torch.arange(video_start, video_start + num_v)]
        segment.append(torch.full((num_t + num_v,), number))
        row_positions += [torch.zeros(num_t, 3, dtype=torch.float64), positions[number].mean(dim=1)]
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
        video_runs=runs_of([length * latents_in_token for length in video_lengths]),
        segment=torch.cat(segment),
        positions=torch.cat(row_positions),
        latent_positions=torch.cat(list(positions)),
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
