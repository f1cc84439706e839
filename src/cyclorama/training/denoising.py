"""The generator's loss: velocity error on the noisy tokens of a packed row.

A row is drawn in three steps, each from the step's own generator. A caption is chosen for every
clip (short, dense, or none, so that guidance has an unconditional side). Some clips are cut to
their first latent frames: the autoencoder is causal, so the cut latents are exactly those of the
shorter clip, and lengths from a single image upwards are trained from one cache. Then every token
gets its noise time from the mix of `diffusion.conditioning`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.data.latents import LatentCache
from cyclorama.data.packing import RowPlan
from cyclorama.data.prompt import words_of
from cyclorama.diffusion.conditioning import NoiseMix, draw_times
from cyclorama.diffusion.flow import interpolate, standard_noise, velocity_loss
from cyclorama.diffusion.schedule import shift_for
from cyclorama.nn.patch import Row, latent_positions, lay_row, padded_length, patchify
from cyclorama.shapes import Compression, LatentShape, token_grid

PromptIds = Callable[[str], list[int]]


class DenoisingConfig(Config):
    """How rows are drawn."""

    budget_tokens: int = 4096
    caption_shares: dict[str, float] = Field(
        default_factory=lambda: {"short": 0.65, "dense": 0.25, "": 0.1}
    )
    image_share: float = 0.3
    cut_share: float = 0.1
    whole_share: float = 0.4  # of the noise mix
    mask_share: float = 0.3
    reference_shift: float = 1.5


@dataclass(frozen=True, eq=False)
class NoisyRow:
    """A packed row ready for the network; all tensors in the order of spacetime tokens."""

    row: Row
    clean_LvP: Tensor
    noisy_LvP: Tensor
    times_Lv: Tensor


@dataclass
class RowBatches:
    """Draw the rows of a run from a latent cache: step -> NoisyRow."""

    cache: LatentCache
    compression: Compression
    patch: int
    text_multiple: int
    prompt_ids: PromptIds
    config: DenoisingConfig
    seed: int

    def __post_init__(self) -> None:
        tokens = [int(np.prod(self.cache.shape_of(i)[:3])) for i in range(len(self.cache))]
        lengths = np.array(tokens) // self.patch**2 + TYPICAL_TEXT_TOKENS
        self.plan = RowPlan(lengths, self.config.budget_tokens, self.seed)

    def __call__(self, step: int) -> NoisyRow:
        """Return the row of ``step``."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 2 + 1)
        clips = [self._draw_clip(int(item), generator) for item in self.plan.items_of(step)]
        clips.sort(key=self._lengths, reverse=True)  # equal lengths together: few runs
        texts, tokens, times, positions = zip(
            *((c[0], c[1], c[2], c[3]) for c in clips), strict=True
        )
        clean, times_Lv = torch.cat(tokens), torch.cat(times)
        noise = standard_noise(tuple(clean.shape), generator)
        row = lay_row(texts, positions, text_multiple=self.text_multiple)
        return NoisyRow(row, clean, interpolate(clean, noise, time=times_Lv), times_Lv)

    def _lengths(self, clip: tuple[list[int], Tensor, Tensor, Tensor]) -> tuple[int, int]:
        """Return a clip's tokens in all and of text, as laid in the row."""
        num_text = padded_length(len(clip[0]), self.text_multiple)
        return num_text + len(clip[1]), num_text

    def _draw_clip(
        self, item: int, generator: torch.Generator
    ) -> tuple[list[int], Tensor, Tensor, Tensor]:
        """Return caption ids, clean tokens, times and positions of one clip."""
        clip = self.cache[item]
        latents = clip.latents[: self._draw_length(len(clip.latents), generator)]
        grid = token_grid(LatentShape(*latents.shape[:3]), self.patch)
        shift = shift_for(grid.num_tokens, self.config.reference_shift)
        mix = NoiseMix(self.config.whole_share, self.config.mask_share)
        times = draw_times(grid, shift=shift, mix=mix, generator=generator).flatten()
        tokens = patchify(torch.from_numpy(latents.astype(np.float32)), self.patch)
        positions = latent_positions(
            grid, rate_fps=clip.rate_fps, compression=self.compression, patch=self.patch
        )
        return self._draw_caption(clip.captions, generator), tokens, times, positions

    def words(self) -> list[str]:
        """Return every word of the captions that can be drawn, sorted."""
        kinds = [kind for kind in self.config.caption_shares if kind]
        found: set[str] = set()
        for index in range(len(self.cache)):
            captions = self.cache.captions_of(index)
            for text in {_caption_of(kind, captions) for kind in kinds}:
                found.update(words_of(text))
        return sorted(found)

    def _draw_length(self, num_latent_frames: int, generator: torch.Generator) -> int:
        kind = float(torch.rand((), generator=generator))
        if kind < self.config.image_share:
            return 1
        if kind < self.config.image_share + self.config.cut_share and num_latent_frames > 2:
            return int(torch.randint(2, num_latent_frames, (), generator=generator))
        return num_latent_frames

    def _draw_caption(self, captions: dict[str, str], generator: torch.Generator) -> list[int]:
        kinds = list(self.config.caption_shares)
        shares = torch.tensor([self.config.caption_shares[kind] for kind in kinds])
        kind = kinds[int(torch.multinomial(shares, 1, generator=generator))]
        return self.prompt_ids(_caption_of(kind, captions))


def _caption_of(kind: str, captions: dict[str, str]) -> str:
    """Return the caption of a kind, "" for the kind ""; footage may have one of any kind."""
    return captions.get(kind) or next(iter(captions.values()), "") if kind else ""


TYPICAL_TEXT_TOKENS = 32


def denoising_loss(
    model: nn.Module, batch: NoisyRow, *, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Return the mean velocity loss over noisy tokens; all randomness is in the row already."""
    del generator
    device = next(model.parameters()).device
    times = batch.times_Lv.to(device)
    predicted = model(batch.noisy_LvP.to(device), times, row=batch.row.to(device)).float()
    losses = velocity_loss(predicted, batch.clean_LvP.to(device), time=times)
    loss = losses.sum() / (times > 0).sum().clamp(min=1)
    with torch.no_grad():
        error = (predicted - batch.clean_LvP.to(device)).square().mean()
    return loss, {"clean_error": error.item()}
