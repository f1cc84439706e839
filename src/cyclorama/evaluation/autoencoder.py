"""What the autoencoder loses: the floor under everything a generator on its latents can do.

Engine clips are encoded, decoded, rounded to pixels and held against themselves: PSNR, SSIM,
and how far each moving object's centroid strays. Beside it stands the best linear code of equally
many numbers: principal components of the same bricks, fitted on training clips and measured on
the same held-out ones. Left out: flicker and colour drift, which PSNR contains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.sample import Sample
from cyclorama.evaluation.centroids import MoverError, mover_errors
from cyclorama.evaluation.pixels import psnr_db, ssim
from cyclorama.models.autoencoder import (
    Autoencoder,
    cut_bricks,
    lay_bricks,
    principal_components,
)
from cyclorama.shapes import Compression

Rebuild = Callable[[np.ndarray], np.ndarray]  # uint8 clips (B, T, H, W, 3) to themselves, roughly


@dataclass(frozen=True, eq=False)
class ClipLoss:
    """What one clip lost on its way through the latents."""

    id: str
    caption: str
    psnr_db: float
    pca_psnr_db: float
    ssim: float
    movers: tuple[MoverError, ...]


def through_autoencoder(model: Autoencoder) -> Rebuild:
    """Return the passage through an autoencoder: encode, decode, round."""

    @torch.no_grad()
    def rebuild(clips: np.ndarray) -> np.ndarray:
        return to_pixels(model.decode(model.encode(to_range(clips))))

    return rebuild


@torch.no_grad()
def through_components(samples: Sequence[Sample], compression: Compression) -> Rebuild:
    """Return the passage through principal components fitted on ``samples``.

    As many components a brick as the autoencoder has channels; the bricks of the first frame have
    components of their own, as in the autoencoder.
    """
    found: dict[str, list[Tensor]] = {"first": [], "rest": []}
    for sample in samples:
        bricks = cut_bricks(to_range(sample.frames[None]), compression, begins=True)
        for part, flat in bricks.items():
            found[part].append(flat.flatten(0, 2))
    fitted = {
        part: principal_components(torch.cat(flat), compression.channels)
        for part, flat in found.items()
        if flat
    }

    def project(part: str, flat: Tensor) -> Tensor:
        mean, basis = fitted[part]
        return (flat - mean) @ basis @ basis.T + mean

    @torch.no_grad()
    def rebuild(clips: np.ndarray) -> np.ndarray:
        bricks = cut_bricks(to_range(clips), compression, begins=True)
        bricks = {part: project(part, flat) for part, flat in bricks.items()}
        return to_pixels(
            lay_bricks(bricks, compression, height=clips.shape[2] // compression.space)
        )

    return rebuild


def to_range(clips: np.ndarray) -> Tensor:
    """Map uint8 to float32 in [-1, 1]."""
    return torch.from_numpy(np.array(clips)).float() / 127.5 - 1


def to_pixels(video: Tensor) -> np.ndarray:
    """Map floats in [-1, 1] (clamped) to uint8."""
    return ((video.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def lose(sample: Sample, rebuilt: np.ndarray, *, by_components: np.ndarray) -> ClipLoss:
    """Measure one clip against its passages through autoencoder and components.

    The sample's ``weight_map`` holds the engine's object ids; without it no mover is measured.
    """
    movers: list[MoverError] = []
    if sample.weight_map is not None:
        movers = mover_errors(sample.frames, rebuilt, object_ids=sample.weight_map)
    return ClipLoss(
        id=sample.id,
        caption=sample.captions.get("short", ""),
        psnr_db=psnr_db(sample.frames, rebuilt),
        pca_psnr_db=psnr_db(sample.frames, by_components),
        ssim=ssim(sample.frames, rebuilt),
        movers=tuple(movers),
    )


def summarise(losses: Sequence[ClipLoss]) -> dict[str, float | int]:
    """Return the means over clips, and over movers; NaN where there is no mover at all."""
    errors = np.array([mover.error_px for loss in losses for mover in loss.movers])
    movers = [mover for loss in losses for mover in loss.movers]
    psnr = np.mean([loss.psnr_db for loss in losses])
    pca = np.mean([loss.pca_psnr_db for loss in losses])
    return {
        "psnr_db": float(psnr),
        "psnr_db_over_pca": float(psnr - pca),
        "ssim": float(np.mean([loss.ssim for loss in losses])),
        "centroid_error_px": float(errors.mean()) if len(errors) else float("nan"),
        "pca_psnr_db": float(pca),
        "worst_psnr_db": float(min(loss.psnr_db for loss in losses)),
        "centroid_error_median_px": float(np.median(errors)) if len(errors) else float("nan"),
        "centroid_error_p90_px": (float(np.quantile(errors, 0.9)) if len(errors) else float("nan")),
        "num_movers": len(movers),
        "lost_share": (
            sum(m.num_lost for m in movers) / sum(m.num_frames for m in movers)
            if movers
            else float("nan")
        ),
    }
