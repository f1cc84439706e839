"""From the sizes and rates of the world to those that models take.

Picture a passe-partout laid on a photograph: the short side gets a wished length, the long one
follows the picture's own proportions to the nearest multiple of sixteen, and what overhangs by a
few pixels is cropped. In time a clip is sampled at one rate and cut to 1 + 4k frames, since the
autoencoder takes a first frame and groups of four. Sizes are decided here from a file's probe
alone, so that a loader can plan before anything is decoded.
"""

import math

from pydantic import Field, model_validator

from cyclorama.config import Config
from cyclorama.shapes import VideoShape

TIME_STEP = 4  # frames for each latent frame after the first, in every autoencoder here


class ClipFit(Config):
    """Short side in pixels, frames a second, longest clip, and what sides are multiples of."""

    short_side: int = Field(default=64, ge=16)
    rate_fps: float = Field(default=8.0, gt=0)
    max_frames: int = Field(default=17, ge=1)
    multiple: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _check(self) -> "ClipFit":
        if self.short_side % self.multiple:
            near = max(1, round(self.short_side / self.multiple)) * self.multiple
            raise ValueError(
                f"short_side {self.short_side} is no multiple of {self.multiple}: use {near}"
            )
        if (self.max_frames - 1) % TIME_STEP:
            near = 1 + round((self.max_frames - 1) / TIME_STEP) * TIME_STEP
            raise ValueError(
                f"max_frames {self.max_frames} is not 1 + a multiple of {TIME_STEP}: use {near}"
            )
        return self


def fitted_size(width: int, height: int, *, fit: ClipFit) -> tuple[int, int]:
    """Return (width, height) that a picture of the given size is scaled and cropped to."""

    def nearest(long: int, short: int) -> int:
        return max(1, round(long * fit.short_side / short / fit.multiple)) * fit.multiple

    if width >= height:
        return nearest(width, height), fit.short_side
    return fit.short_side, nearest(height, width)


def fitted_frames(duration_s: float, fit: ClipFit) -> int:
    """Return how many frames of a stretch are taken: the most of 1 + 4k that lie inside it.

    Frames stand at 0, 1/rate, ... and the last one must start before the stretch ends. Never
    more than ``fit.max_frames``; at least one.
    """
    # A thousandth of a frame is rounding of time stamps, not a frame.
    fitting = max(1, math.ceil(duration_s * fit.rate_fps - 1e-3))
    return min(fit.max_frames, 1 + (fitting - 1) // TIME_STEP * TIME_STEP)


def fitted_shape(width: int, height: int, *, duration_s: float, fit: ClipFit) -> VideoShape:
    """Return the size of the clip that a stretch of film becomes."""
    columns, rows = fitted_size(width, height, fit=fit)
    return VideoShape(fitted_frames(duration_s, fit), rows, columns)
