"""What a clip is worth, without any weights: six measurements and limits on them.

Picture a lab assistant holding film against the light: too dark, nothing on it, black bars round
the picture, out of focus, nothing moves. Each judgement is a pure function of pixels, so that it
can be told apart from taste: the numbers are stored with the clip and the limits are a config.
Blur is Crete et al. 2007 ("The blur effect", eq. 1-9): how much a picture changes when blurred
once more, which depends less on content than a Laplacian does (sharp film 0.2 to 0.55, blurred
with a radius of 2 pixels 0.65 to 0.76). Leaves out twins (see `duplicates`), aesthetics and text,
which need trained weights: a scorer can add a column to the store.
"""

from dataclasses import asdict, dataclass

import numpy as np

from cyclorama.config import Config


@dataclass(frozen=True)
class BlackBars:
    """Rows and columns at each edge that stay black through the whole clip."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def any(self) -> bool:
        """Whether there is a bar at all."""
        return bool(self.top or self.bottom or self.left or self.right)


@dataclass(frozen=True)
class Quality:
    """Measurements of one clip; `measure` makes it and says what each number means."""

    blur: float
    motion: float
    still_share: float
    brightness: float
    contrast: float
    bar_share: float

    def to_dict(self) -> dict[str, float]:
        """Return the fields, the form that is stored."""
        return asdict(self)


class QualityLimits(Config):
    """What a clip must keep to be taken; units as in `measure`. ``None`` switches a test off."""

    max_blur: float | None = 0.75
    min_motion: float | None = 0.25
    max_motion: float | None = 45.0
    max_still_share: float | None = 0.9
    min_brightness: float | None = 24.0
    min_contrast: float | None = 16.0
    max_bar_share: float | None = 0.02


def luma(frames: np.ndarray) -> np.ndarray:
    """Return luma (Rec. 601) uint8 (T,H,W) of uint8 (T,H,W,3)."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(
            f"frames must be non-empty uint8 (T,H,W,3), got {frames.dtype} {frames.shape}"
        )
    parts = frames.astype(np.uint16)
    return ((77 * parts[..., 0] + 150 * parts[..., 1] + 29 * parts[..., 2]) >> 8).astype(np.uint8)


def measure(frames: np.ndarray) -> Quality:
    """Return all measurements of uint8 (T,H,W,3).

    ``blur`` 0 (sharp) to 1; ``motion`` mean change of luma between frames, 0 to 255;
    ``still_share`` share of frame pairs without change; ``brightness`` 95th percentile of luma;
    ``contrast`` 95th minus 5th percentile of luma; ``bar_share`` share of black edge area. An
    image (one frame) has motion 0 and still share 0: a picture is no frozen film.
    """
    light = luma(frames)
    change = _changes(light)
    low, high = np.percentile(_thinned(light), [5, 95])
    return Quality(
        blur=_blur_of_luma(light),
        motion=float(change.mean()) if change.size else 0.0,
        still_share=float((change < 0.05).mean()) if change.size else 0.0,
        brightness=float(high),
        contrast=float(high - low),
        bar_share=bar_share(_bars_of_luma(light), height=light.shape[1], width=light.shape[2]),
    )


def problems(quality: Quality, limits: QualityLimits, *, num_frames: int = 2) -> list[str]:
    """Return why a clip should be rejected, in words with the numbers; empty when it is fine.

    Motion is not asked of an image, hence ``num_frames``.
    """
    moving = num_frames > 1
    tests = [
        ("dark", quality.brightness, limits.min_brightness, None, True),
        ("flat", quality.contrast, limits.min_contrast, None, True),
        ("blurred", quality.blur, None, limits.max_blur, True),
        ("black bars", quality.bar_share, None, limits.max_bar_share, True),
        ("static", quality.motion, limits.min_motion, None, moving),
        ("frozen frames", quality.still_share, None, limits.max_still_share, moving),
        ("chaotic", quality.motion, None, limits.max_motion, moving),
    ]
    found = []
    for name, value, low, high, asked in tests:
        if asked and low is not None and value < low:
            found.append(f"{name}: {value:.3g} < {low:g}")
        if asked and high is not None and value > high:
            found.append(f"{name}: {value:.3g} > {high:g}")
    return found


def blur(frames: np.ndarray) -> float:
    """Return the blur effect (Crete et al. 2007) of uint8 (T,H,W,3), 0 sharp to 1 blurred.

    Up to four frames are looked at. A picture without any gradient counts as 1.
    """
    return _blur_of_luma(luma(frames))


def motion(frames: np.ndarray) -> float:
    """Return the mean absolute change of luma between successive frames, 0 to 255."""
    change = _changes(luma(frames))
    return float(change.mean()) if change.size else 0.0


def black_bars(frames: np.ndarray, *, max_luma: int = 24) -> BlackBars:
    """Return the black edges of uint8 (T,H,W,3), in pixels; a wholly black clip has none.

    A row or column belongs to a bar when 99 % of its pixels stay at most ``max_luma`` in every
    frame, counted from the edge inwards; the percent is for coding noise.
    """
    return _bars_of_luma(luma(frames), max_luma=max_luma)


def crop_bars(frames: np.ndarray, bars: BlackBars) -> np.ndarray:
    """Return the view of ``frames`` (T,H,W,C) inside the bars."""
    height, width = frames.shape[1:3]
    return frames[:, bars.top : height - bars.bottom, bars.left : width - bars.right]


def bar_share(bars: BlackBars, *, height: int, width: int) -> float:
    """Return the share of the picture that the bars cover, 0 to 1."""
    inside = (height - bars.top - bars.bottom) * (width - bars.left - bars.right)
    return 1.0 - inside / (height * width)


def _thinned(light: np.ndarray) -> np.ndarray:
    """Return at most about 100,000 pixels for percentiles, in a fixed pattern."""
    step = max(1, light.size // 100_000)
    # An odd step walks through all columns even when the width is a power of two.
    return light.reshape(-1)[:: step | 1]


def _changes(light: np.ndarray) -> np.ndarray:
    """Return the mean absolute luma change of each pair of frames, (T-1,)."""
    earlier, later = light[:-1], light[1:]
    # Unsigned bytes wrap; max - min is |a - b| without widening the arrays.
    return (np.maximum(earlier, later) - np.minimum(earlier, later)).mean((1, 2))


def _blur_of_luma(light: np.ndarray) -> float:
    num_frames = light.shape[0]
    picks = sorted({(2 * k + 1) * num_frames // 8 for k in range(4)})
    picture = light[picks].astype(np.float32)
    return max(_blur_along(picture, 1), _blur_along(picture, 2))


def _blur_along(picture: np.ndarray, axis: int) -> float:
    """Return the share of variation along ``axis`` that a 9-tap mean does not take away."""
    side = picture.shape[axis]
    if side < 3:
        return 0.0
    taps = min(9, side | 1)
    padding = [(0, 0)] * 3
    padding[axis] = (taps // 2 + 1, taps // 2)
    sums = np.cumsum(np.pad(picture, padding, mode="edge"), axis=axis, dtype=np.float64)
    upper = np.take(sums, range(taps, taps + side), axis=axis)
    smooth = (upper - np.take(sums, range(side), axis=axis)) / taps
    before = np.abs(np.diff(picture, axis=axis))
    lost = np.maximum(0.0, before - np.abs(np.diff(smooth, axis=axis)))
    total = float(before.sum())
    return 1.0 - float(lost.sum()) / total if total > 0 else 1.0


def _bars_of_luma(light: np.ndarray, *, max_luma: int = 24) -> BlackBars:
    brightest = light.max(axis=0)
    dark = brightest <= max_luma
    rows, columns = dark.mean(1) >= 0.99, dark.mean(0) >= 0.99
    if rows.all() or columns.all():
        return BlackBars(0, 0, 0, 0)
    top, bottom = int(rows.argmin()), int(rows[::-1].argmin())
    left, right = int(columns.argmin()), int(columns[::-1].argmin())
    return BlackBars(top, bottom, left, right)
