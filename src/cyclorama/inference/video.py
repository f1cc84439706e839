"""A prompt in, clips out: noise is followed along the velocity field, then decoded.

One record says what is wanted (`VideoRequest`), one what it is made with (`Maker`), and one
function makes it. All variants of a request, and with guidance their unconditional twins, share
one packed row. The same request gives the same clip: noise is drawn on the CPU from the seed, and
variant ``i`` of seed ``s`` is variant 0 of seed ``s + i``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.prompt import MAX_PROMPT_TOKENS, prompt_ids, words_of
from cyclorama.diffusion.flow import clean_from_velocity, standard_noise, velocity_from_clean
from cyclorama.diffusion.guidance import Guidance, guide
from cyclorama.diffusion.samplers import SAMPLERS
from cyclorama.diffusion.schedule import sampling_times, shift_for
from cyclorama.inference.tiling import decode_parts
from cyclorama.models.autoencoder import Autoencoder
from cyclorama.models.dit import DiT
from cyclorama.nn.patch import latent_positions, lay_row, patchify, unpatchify
from cyclorama.shapes import (
    LatentShape,
    TokenGrid,
    VideoShape,
    check_video_shape,
    latent_shape,
    token_grid,
)
from cyclorama.weights.catalogue import find_weights
from cyclorama.weights.files import load_weights

MAX_SEED = 2**63
OnStep = Callable[[int, int, Tensor], None]  # step, of how many, the clean latents foreseen
BROKEN = "the result is not finite: the weights are broken; nothing is written"


@dataclass(frozen=True)
class VideoRequest:
    """What to make; every field changes the result, none is ignored."""

    prompt: str
    width: int = 64
    height: int = 64
    num_frames: int = 17
    rate_fps: float = 8.0
    seed: int = 0
    num_variants: int = 1
    num_steps: int = 24
    guidance: float = 2.5
    sampler: str = "multistep"

    @property
    def shape(self) -> VideoShape:
        """The clip's size in pixels."""
        return VideoShape(self.num_frames, self.height, self.width)


@dataclass(frozen=True, eq=False)
class Maker:
    """The two opened models that make a clip, and what their files say of themselves."""

    dit: DiT
    autoencoder: Autoencoder
    checksum: str
    words: frozenset[str] = field(default_factory=frozenset)
    facts: dict[str, str] = field(default_factory=dict)


def load_maker(weights: str = "maker", autoencoder: str = "autoencoder") -> Maker:
    """Open a generator and its autoencoder, by bundled name or path.

    A generator works in the latent space of one autoencoder only: its file names the checksum of
    the one it was trained with, and another one is a ValueError. Opened files are kept until
    they change on the disk.
    """
    paths = find_weights(weights), find_weights(autoencoder)
    return _open_maker(*((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=4)
def _open_maker(weights: tuple[Path, int], autoencoder: tuple[Path, int]) -> Maker:
    made = load_weights(weights[0], kind="maker")
    seen = load_weights(autoencoder[0], kind="autoencoder")
    wanted = made.facts.get("autoencoder", seen.checksum)
    if wanted != seen.checksum:
        raise ValueError(
            f"{weights[0]} was trained with the autoencoder {wanted[:12]}, {autoencoder[0]} is "
            f"{seen.checksum[:12]}: give the right one with --autoencoder"
        )
    words = frozenset(made.facts.get("words", "").split())
    return Maker(made.model, seen.model, made.checksum, words, made.facts)


def unknown_words(prompt: str, maker: Maker) -> list[str]:
    """Return the words of a prompt that no training caption held, in their order."""
    unknown = [word for word in words_of(prompt) if word not in maker.words]
    return list(dict.fromkeys(unknown)) if maker.words else []


def check_request(request: VideoRequest, maker: Maker) -> None:
    """Raise a ValueError that says what to change when a request cannot be."""
    check_video_shape(request.shape, maker.autoencoder.compression, patch=maker.dit.config.patch)
    if request.num_variants < 1:
        raise ValueError(f"num must be at least 1, got {request.num_variants}")
    if request.sampler not in SAMPLERS:
        raise ValueError(f"no sampler {request.sampler!r}: have {', '.join(SAMPLERS)}")
    if not 0 < request.rate_fps < math.inf:
        raise ValueError(f"fps must be above 0, got {request.rate_fps}")
    if not 0 <= request.seed < MAX_SEED - request.num_variants:
        raise ValueError(f"seeds must lie in [0, {MAX_SEED}), got {request.seed}")
    if not request.prompt.strip():
        raise ValueError("the prompt is empty: say what to show, e.g. 'a red ball rolls left'")
    if len(prompt_ids(request.prompt)) >= MAX_PROMPT_TOKENS:
        raise ValueError(
            f"the prompt has {MAX_PROMPT_TOKENS} tokens or more: shorten it, nothing is cut "
            "silently"
        )


def generate(
    request: VideoRequest, maker: Maker | None = None, *, on_step: OnStep | None = None
) -> np.ndarray:
    """Return ``num_variants`` clips, uint8 of shape (N, T, H, W, 3).

    Raises ValueError for a request that cannot be (see `check_request`), and RuntimeError when
    the result is not finite: a black clip is never returned.
    """
    maker = maker or load_maker()
    check_request(request, maker)
    return decode_clips(sample_latents([request], maker, on_step=on_step)[0], maker)


@torch.no_grad()
def sample_latents(
    requests: list[VideoRequest], maker: Maker, *, on_step: OnStep | None = None
) -> list[Tensor]:
    """Return the latents (N, t, h, w, C) of each request; all share one row and one course.

    The requests must agree in steps, guidance and sampler, as one course is taken for all.
    """
    first = requests[0]
    course = {(r.num_steps, r.guidance, r.sampler) for r in requests}
    if len(course) > 1:
        raise ValueError(f"requests of one row must share steps, guidance and sampler: {course}")
    clips = [
        (r, _grid(r, maker), seed)
        for r in requests
        for seed in range(r.seed, r.seed + r.num_variants)
    ]
    x = torch.cat([_noise(grid, seed, maker) for _, grid, seed in clips])
    guidance = Guidance(scale=first.guidance)
    foreseen = torch.zeros_like(x)  # what the last velocity says the clean tokens are
    field_of = _velocity_field(clips, maker, guidance)
    shift = max(shift_for(grid.num_tokens) for _, grid, _ in clips)
    times = sampling_times(first.num_steps, shift)

    def follow(x: Tensor, time: float) -> Tensor:
        flow = field_of(x, time)
        foreseen.copy_(clean_from_velocity(x, flow, time=torch.full((len(x),), time)))
        return flow

    def _see(number: int, x: Tensor, time: float) -> None:
        if on_step is not None:
            tokens = (foreseen if time > 0 else x)[: clips[0][1].num_tokens].clone()
            on_step(number + 1, first.num_steps, _latents(tokens, clips[0][1], maker))

    x = SAMPLERS[first.sampler](follow, x, times=times, on_step=_see)
    if not torch.isfinite(x).all():
        raise RuntimeError(BROKEN)
    parts = x.split([grid.num_tokens for _, grid, _ in clips])
    latents = iter(_latents(p, grid, maker) for p, (_, grid, _) in zip(parts, clips, strict=True))
    return [torch.stack([next(latents) for _ in range(r.num_variants)]) for r in requests]


def decode_clips(latents: Tensor, maker: Maker) -> np.ndarray:
    """Return uint8 clips (N, T, H, W, 3) from latents on the generator's scale.

    Long clips are decoded in parts, large ones in tiles (see `inference.tiling`). Raises
    RuntimeError when a pixel is not finite.
    """
    parts = []
    for part in decode_parts(maker.autoencoder, maker.autoencoder.denormalise(latents)):
        if not torch.isfinite(part).all():
            raise RuntimeError(BROKEN)
        parts.append(((part.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy())
    return np.concatenate(parts, axis=1)


def _velocity_field(
    clips: list[tuple[VideoRequest, TokenGrid, int]], maker: Maker, guidance: Guidance
) -> Callable[[Tensor, float], Tensor]:
    """Return the guided velocity of all clips as a function of their tokens and a time."""
    positions = [
        latent_positions(
            grid,
            rate_fps=r.rate_fps,
            compression=maker.autoencoder.compression,
            patch=maker.dit.config.patch,
        )
        for r, grid, _ in clips
    ]
    texts = [prompt_ids(r.prompt) for r, _, _ in clips]
    multiple = maker.dit.config.text_multiple
    alone = lay_row(texts, positions, text_multiple=multiple)
    twice = lay_row([*texts, *([[]] * len(texts))], positions * 2, text_multiple=multiple)
    sizes = [grid.num_tokens for _, grid, _ in clips]

    def field_at(x: Tensor, time: float) -> Tensor:
        guided = guidance.acts_at(time)
        tokens = torch.cat((x, x)) if guided else x
        times = torch.full((len(tokens),), time)
        clean = maker.dit(tokens, times, row=twice if guided else alone)
        flow = velocity_from_clean(tokens, clean.float(), time=times, floor=0.0)
        if not guided:
            return flow
        pairs = zip(*(half.split(sizes) for half in flow.chunk(2)), strict=True)
        return torch.cat(
            [guide(with_text, without, guidance=guidance) for with_text, without in pairs]
        )

    return field_at


def _grid(request: VideoRequest, maker: Maker) -> TokenGrid:
    latent = latent_shape(request.shape, maker.autoencoder.compression)
    return token_grid(latent, maker.dit.config.patch)


def _noise(grid: TokenGrid, seed: int, maker: Maker) -> Tensor:
    """Return the noise tokens of one clip: drawn as a latent, so that patches do not matter."""
    patch, channels = maker.dit.config.patch, maker.dit.config.latent_channels
    shape = LatentShape(grid.num_frames, grid.height * patch, grid.width * patch)
    generator = torch.Generator().manual_seed(seed)
    noise = standard_noise((shape.num_frames, shape.height, shape.width, channels), generator)
    return patchify(noise, patch)


def _latents(tokens: Tensor, grid: TokenGrid, maker: Maker) -> Tensor:
    return unpatchify(tokens, grid, patch=maker.dit.config.patch)


def request_facts(request: VideoRequest, maker: Maker) -> dict[str, Any]:
    """Return what to write into a file's metadata so that the clip can be made again."""
    return {
        "software": "cyclorama",
        "prompt": request.prompt,
        "seed": request.seed,
        "size": f"{request.width}x{request.height}",
        "num_frames": request.num_frames,
        "rate_fps": request.rate_fps,
        "steps": request.num_steps,
        "guidance": request.guidance,
        "sampler": request.sampler,
        "weights_sha256": maker.checksum,
    }
