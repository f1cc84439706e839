"""The probe's batches and loss: the engine's truth, told by clips that are seldom pristine.

The picture in words: each step deals some clips of one size, takes a handful of frames of them
(spread evenly, then jittered), and spoils them the way a generator would: another rendering of
the clip where the caller has one (its passage through an autoencoder), blur, noise, another
brightness. The truth stays: which (colour, shape) pairs are there, how many objects, family,
camera, and, where the engine's object ids are known, what each cell of the map shows.

All draws of a step come from (seed, step), so that a run resumes exactly. Left out: mirroring,
since left and right are part of the truth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.data.loader import ShapeBatches
from cyclorama.data.sample import Sample
from cyclorama.models.probe import (
    CELL,
    Evidence,
    ProbeConfig,
    frames_to_look_at,
    prepare_clips,
    scaled_size,
)

UNKNOWN = -100  # what `F.nll_loss` skips
Corrupt = Callable[[int], np.ndarray | None]  # clip index -> its frames, seen otherwise


class JudgingConfig(Config):
    """Weights of the loss's terms, and how often and how much clips are spoilt."""

    presence_weight: float = 0.3
    count_weight: float = 0.3
    family_weight: float = 0.3
    camera_weight: float = 0.3
    cells_weight: float = 1.0
    object_weight: float = 4.0  # a cell with an object against one without
    corrupt_share: float = 0.5
    blur_share: float = 0.3
    most_blur: float = 2.2  # how many times smaller a blurred clip was
    noise: float = 0.03  # on pixels in [-1, 1]
    brightness: float = 0.1


@dataclass(frozen=True, eq=False)
class JudgingBatch:
    """Prepared clips float32 (B, T, h, w, 3), the frames' numbers (T,), and the truth.

    ``presence`` float32 (B, P); ``count``, ``family`` and ``camera`` int64 (B,); ``cells`` int64
    (B, T, rows, columns): a pair's number, P for no object, `UNKNOWN` where ids are not known.
    """

    clips: Tensor
    times: Tensor
    presence: Tensor
    count: Tensor
    family: Tensor
    camera: Tensor
    cells: Tensor


@dataclass(frozen=True, eq=False)
class JudgingBatches:
    """Batches of the probe as a pure function of the step; see the module's paragraph."""

    deal: ShapeBatches
    probe: ProbeConfig
    config: JudgingConfig
    corrupt: Corrupt | None = None

    def __call__(self, step: int) -> JudgingBatch:
        """Return the batch of ``step``; ValueError when a clip has no truth or unknown words."""
        rng = np.random.default_rng([self.deal.seed, step, 7])
        items = [int(item) for item in self.deal.items_of(step)]
        samples = [self.deal.source[item] for item in items]
        picks = jittered_frames(samples[0].shape.num_frames, self.probe, rng=rng)
        frames = np.stack(
            [
                self._seen(item, sample, rng)[picks]
                for item, sample in zip(items, samples, strict=True)
            ]
        )
        clips = spoil(prepare_clips(torch.from_numpy(frames), self.probe), self.config, rng=rng)
        truths = [truth_of(sample, self.probe) for sample in samples]
        cells = np.stack([cells_of(sample, picks, config=self.probe) for sample in samples])
        return JudgingBatch(
            clips=clips,
            times=torch.from_numpy(picks),
            presence=torch.tensor([presence for presence, *_ in truths]),
            count=torch.tensor([count for _, count, *_ in truths]),
            family=torch.tensor([family for *_, family, _ in truths]),
            camera=torch.tensor([camera for *_, camera in truths]),
            cells=torch.from_numpy(cells),
        )

    def _seen(self, item: int, sample: Sample, rng: np.random.Generator) -> np.ndarray:
        wanted = rng.random() < self.config.corrupt_share
        other = self.corrupt(item) if self.corrupt is not None and wanted else None
        return sample.frames if other is None else other


def jittered_frames(
    num_frames: int, config: ProbeConfig, *, rng: np.random.Generator
) -> np.ndarray:
    """Return the frames to look at, each moved by up to half a gap, distinct and in order."""
    even = frames_to_look_at(num_frames, config)
    if len(even) == num_frames:
        return even
    gap = (num_frames - 1) / (len(even) - 1)
    moved = even + rng.uniform(-0.5, 0.5, len(even)) * gap
    moved = np.clip(moved.round().astype(np.int64), 0, num_frames - 1)
    return moved if len(np.unique(moved)) == len(moved) else even


def spoil(clips: Tensor, config: JudgingConfig, *, rng: np.random.Generator) -> Tensor:
    """Blur some of the clips (B, T, H, W, 3), add noise, change their brightness."""
    clips = clips.clone()
    for number in range(len(clips)):
        if rng.random() < config.blur_share:
            clips[number] = blurred(clips[number], rng.uniform(1.2, config.most_blur))
    levels = torch.from_numpy(rng.uniform(0, config.noise, len(clips))).float()
    noise = torch.randn(clips.shape, generator=_generator(rng))
    gain, shift = (
        torch.from_numpy(rng.uniform(-config.brightness, config.brightness, len(clips))).float()
        for _ in range(2)
    )
    column = (-1, 1, 1, 1, 1)
    clips = clips * (1 + gain.view(column)) + shift.view(column) + noise * levels.view(column)
    return clips.clamp(-1, 1)


def blurred(clip: Tensor, factor: float) -> Tensor:
    """Return a clip (T, H, W, C) made ``factor`` times smaller and scaled back."""
    size = clip.shape[1:3]
    small = tuple(max(4, round(n / factor)) for n in size)
    flat = rearrange(clip, "T H W C -> T C H W")
    flat = F.interpolate(flat, size=small, mode="bilinear", antialias=True, align_corners=False)
    flat = F.interpolate(flat, size=tuple(size), mode="bilinear", align_corners=False)
    return rearrange(flat, "T C H W -> T H W C")


def truth_of(sample: Sample, config: ProbeConfig) -> tuple[list[float], int, int, int]:
    """Return presence (P,), count, family and camera as numbers of the config's words."""
    truth = _checked_truth(sample)
    presence = [0.0] * len(config.pairs)
    for number in pair_numbers(truth, config):
        presence[number] = 1.0
    count = min(int(truth["count"]), config.max_count)
    return (
        presence,
        count,
        number_of(truth["family"], config.families, what="family"),
        number_of(truth["camera"], config.cameras, what="camera"),
    )


def pair_numbers(truth: Mapping[str, Any], config: ProbeConfig) -> list[int]:
    """Return the number of each object's (colour, shape) pair, in the truth's order."""
    return [
        number_of(thing["colour"], config.colours, what="colour") * len(config.shapes)
        + number_of(thing["shape"], config.shapes, what="shape")
        for thing in truth["objects"]
    ]


def number_of(word: str, words: Sequence[str], *, what: str) -> int:
    """Return where ``word`` stands; ValueError when the probe has no such word."""
    if word not in words:
        raise ValueError(
            f"the probe knows no {what} {word!r}, only {', '.join(words)}: train it on a domain "
            "with its words, or give it more (--set model.... )"
        )
    return words.index(word)


def cells_of(sample: Sample, picks: np.ndarray, *, config: ProbeConfig) -> np.ndarray:
    """Return what each cell of the picked frames shows, int64 (T, rows, columns).

    A cell shows what the pixel at its middle shows. Without ids of a clip's objects all cells
    are `UNKNOWN`.
    """
    height, width = sample.frames.shape[1:3]
    rows, columns = (n // CELL for n in scaled_size(height, width, side=config.side))
    truth = _checked_truth(sample)
    ids = truth.get("ids")
    if sample.weight_map is None or ids is None:
        return np.full((len(picks), rows, columns), UNKNOWN)
    table = np.full(256, len(config.pairs))
    table[1:] = UNKNOWN  # an object too small to be named
    for number, pair in zip(ids, pair_numbers(truth, config), strict=True):
        table[number] = pair
    y = ((np.arange(rows) + 0.5) * height / rows).astype(np.int64)
    x = ((np.arange(columns) + 0.5) * width / columns).astype(np.int64)
    return table[sample.weight_map[picks][:, y][:, :, x]]


def judging_loss(
    model: nn.Module, batch: JudgingBatch, *, generator: torch.Generator, config: JudgingConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of one batch, and the shares of right answers."""
    del generator  # the batch is spoilt already, from the step's own seed
    device = next(model.parameters()).device
    found: Evidence = model(batch.clips.to(device), batch.times)
    presence, count, family, camera, cells = (
        x.to(device) for x in (batch.presence, batch.count, batch.family, batch.camera, batch.cells)
    )
    pairs = F.binary_cross_entropy_with_logits(found.presence, presence, reduction="none")
    loss = (
        config.presence_weight * pairs.sum(dim=1).mean()
        + config.count_weight * F.cross_entropy(found.count, count)
        + config.family_weight * F.cross_entropy(found.family, family)
        + config.camera_weight * F.cross_entropy(found.camera, camera)
    )
    if config.cells_weight and (cells != UNKNOWN).any():
        weights = torch.full((found.cells.shape[-1],), config.object_weight, device=device)
        weights[-1] = 1.0
        named = F.nll_loss(
            found.cells.flatten(0, 3), cells.flatten(), weight=weights, ignore_index=UNKNOWN
        )
        loss = loss + config.cells_weight * named
    with torch.no_grad():
        exact = ((found.presence > 0) == (presence > 0.5)).all(dim=1)
        metrics = {
            "exact": exact.float().mean().item(),
            "count": (found.count.argmax(1) == count).float().mean().item(),
            "family": (found.family.argmax(1) == family).float().mean().item(),
            "camera": (found.camera.argmax(1) == camera).float().mean().item(),
        }
    return loss, metrics


def _checked_truth(sample: Sample) -> Mapping[str, Any]:
    if sample.truth is None:
        raise ValueError(
            f"clip {sample.id!r} has no truth: the probe learns from an engine (--data worlds)"
        )
    return sample.truth


def _generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
