"""PSNR and SSIM agree with their formulas written out."""

import numpy as np
import pytest

from cyclorama.evaluation.pixels import C1, C2, WINDOW, gaussian_window, psnr_db, ssim


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_psnr_of_a_known_error():
    clip = np.full((2, 16, 16, 3), 100, np.uint8)
    assert psnr_db(clip, clip + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    half = clip.copy()
    half[0] += 10  # mean square error 50
    assert psnr_db(clip, half) == pytest.approx(10 * np.log10(255**2 / 50))
    assert psnr_db(clip, clip) == float("inf")
    dark, light = np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 255, np.uint8)
    assert psnr_db(dark, light) == 0  # no wrap-around of uint8


def test_ssim_is_one_for_equal_clips_and_the_formula_for_flat_ones():
    clip = noise(2, 16, 20, 3)
    assert ssim(clip, clip) == pytest.approx(1)
    flat, other = np.full((1, 16, 16, 3), 90, np.uint8), np.full((1, 16, 16, 3), 140, np.uint8)
    expected = (2 * 90 * 140 + C1) / (90**2 + 140**2 + C1)
    assert ssim(flat, other) == pytest.approx(expected)


def test_ssim_equals_the_formula_of_each_window():
    a, b = noise(1, 13, 12, 3), noise(1, 13, 12, 3, seed=1)
    weights = np.outer(gaussian_window(), gaussian_window())
    values = []
    for channel in range(3):
        for y in range(13 - WINDOW + 1):
            for x in range(12 - WINDOW + 1):
                p, q = (
                    clip[0, y : y + WINDOW, x : x + WINDOW, channel].astype(float)
                    for clip in (a, b)
                )
                mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
                spread_p = (weights * (p - mean_p) ** 2).sum()
                spread_q = (weights * (q - mean_q) ** 2).sum()
                shared = (weights * (p - mean_p) * (q - mean_q)).sum()
                values.append(
                    (2 * mean_p * mean_q + C1)
                    * (2 * shared + C2)
                    / ((mean_p**2 + mean_q**2 + C1) * (spread_p + spread_q + C2))
                )
    assert ssim(a, b) == pytest.approx(np.mean(values))


def test_blur_costs_ssim_more_than_brightness_does():
    clip = noise(1, 32, 32, 3) // 2 + np.uint8(60)
    brighter = clip + np.uint8(8)
    blurred = clip.copy()
    blurred[:, 1:-1] = (clip[:, :-2].astype(int) + clip[:, 1:-1] + clip[:, 2:]) // 3
    assert ssim(clip, brighter) > 0.9 > ssim(clip, blurred)


def test_clips_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        psnr_db(np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3)))
    with pytest.raises(ValueError, match="differ in size"):
        psnr_db(noise(1, 4, 4, 3), noise(2, 4, 4, 3))
    with pytest.raises(ValueError, match="at least 11"):
        ssim(noise(1, 8, 16, 3), noise(1, 8, 16, 3))
