"""How close two clips are, pixel by pixel: PSNR and SSIM in closed form, without a network.

PSNR compares each pixel alone. SSIM (Wang et al. 2004, equations 13 to 16) slides a Gaussian
window of 11 x 11 pixels and a spread of 1.5 over both pictures and compares, inside it, mean,
spread and correlation; it falls with blur that PSNR forgives. Both are of single frames; both
take uint8 as shown, so that rounding counts. Left out: learned distances, which would be a
download.
"""

import numpy as np

PEAK = 255.0
WINDOW, SPREAD_PX = 11, 1.5
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def psnr_db(original: np.ndarray, other: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two uint8 arrays in dB; inf when equal."""
    _check(original, other)
    error = original.astype(np.float64) - other.astype(np.float64)
    mse = float(np.mean(error**2))
    return float("inf") if mse == 0 else 10 * float(np.log10(PEAK**2 / mse))


def gaussian_window() -> np.ndarray:
    """Return the window's weights along one side, float64 (11,), of sum one."""
    away = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(away**2) / (2 * SPREAD_PX**2))
    return weights / weights.sum()


def ssim(original: np.ndarray, other: np.ndarray) -> float:
    """Return the mean structural similarity of uint8 clips (T, H, W, 3), in [-1, 1].

    Windows lie wholly inside the picture (sides of at least 11 pixels); colours count alike.
    """
    _check(original, other)
    if min(original.shape[1:3]) < WINDOW:
        raise ValueError(f"SSIM needs sides of at least {WINDOW} pixels, got {original.shape}")
    x, y = original.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _smooth(x), _smooth(y)
    spread_x = _smooth(x * x) - mean_x**2
    spread_y = _smooth(y * y) - mean_y**2
    shared = _smooth(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + C1) * (2 * shared + C2)
    apart = (mean_x**2 + mean_y**2 + C1) * (spread_x + spread_y + C2)
    return float(np.mean(alike / apart))


def _smooth(x: np.ndarray) -> np.ndarray:
    """Return the weighted mean of each window, over the second and third axes."""
    weights = gaussian_window()
    for axis in (1, 2):
        kept = x.shape[axis] - WINDOW + 1
        x = sum(
            weight * x.take(range(start, start + kept), axis=axis)
            for start, weight in enumerate(weights)
        )
    return x


def _check(original: np.ndarray, other: np.ndarray) -> None:
    for clip in (original, other):
        if clip.dtype != np.uint8:
            raise ValueError(f"clips must be uint8, got {clip.dtype}")
    if original.shape != other.shape:
        raise ValueError(f"clips differ in size: {original.shape} and {other.shape}")
