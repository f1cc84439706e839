"""Filters tell planted defects from sound clips, and numbers of simple pictures are exact."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cyclorama.data.filters import (
    BlackBars,
    QualityLimits,
    black_bars,
    blur,
    crop_bars,
    luma,
    measure,
    motion,
    problems,
)

LIMITS = QualityLimits()


def scene(seed: int, *, num_frames: int = 9, height: int = 96, width: int = 128) -> np.ndarray:
    """Return a clip of hard-edged discs that drift over a soft background."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    soft = rng.uniform(60, 200, (3, 4, 3))
    back = np.asarray(Image.fromarray(soft.astype(np.uint8)).resize((width, height), 3))
    clip = np.repeat(back[None], num_frames, 0).copy()
    for _ in range(5):
        centre, speed = rng.uniform(0, [height, width]), rng.uniform(-3, 3, 2)
        colour, radius = rng.integers(0, 256, 3), rng.uniform(6, 24)
        for t in range(num_frames):
            y, x = centre + t * speed
            clip[t][(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = colour
    return clip


def blurred(clip: np.ndarray, radius: float) -> np.ndarray:
    images = [Image.fromarray(f).filter(ImageFilter.GaussianBlur(radius)) for f in clip]
    return np.stack([np.asarray(i) for i in images])


@pytest.mark.parametrize("seed", range(8))
def test_sound_clips_pass_and_each_planted_defect_is_named(seed: int) -> None:
    clip = scene(seed)
    assert problems(measure(clip), LIMITS) == []
    noise = np.random.default_rng(seed).integers(0, 256, clip.shape).astype(np.uint8)
    barred = clip.copy()
    barred[:, :12] = barred[:, -12:] = 3
    planted = {
        "dark": clip // 16,
        "flat": 120 + clip // 32,
        "static": np.repeat(clip[:1], 9, 0),
        "frozen": np.repeat(clip[:1], 9, 0),
        "chaotic": noise,
        "black bars": barred,
    }
    for name, defect in planted.items():
        found = problems(measure(defect), LIMITS)
        assert any(p.startswith(name) for p in found), (name, found)


@pytest.mark.parametrize("seed", range(8))
def test_blur_rises_with_every_blurring(seed: int) -> None:
    clip = scene(seed)
    values = [blur(clip)] + [blur(blurred(clip, radius)) for radius in (1, 2, 4)]
    assert values == sorted(values)
    assert values[0] < 0.6 and values[-1] > values[0] + 0.15
    assert values[0] >= 0 and values[-1] <= 1


def test_exact_values_of_simple_pictures() -> None:
    step = np.zeros((3, 8, 8, 3), np.uint8)
    step[1:] = 100
    assert motion(step) == 50.0  # one of two pairs changes by 100
    quality = measure(step)
    assert quality.still_share == 0.5
    assert (quality.brightness, quality.contrast) == (100.0, 100.0)
    assert luma(np.full((1, 1, 1, 3), 255, np.uint8)).item() == 255
    assert blur(np.full((1, 8, 8, 3), 7, np.uint8)) == 1.0


def test_an_image_is_not_called_static() -> None:
    image = scene(1, num_frames=1)
    assert problems(measure(image), LIMITS, num_frames=1) == []


@pytest.mark.parametrize("bars", [(12, 12, 0, 0), (0, 0, 20, 20), (5, 9, 1, 3), (0, 0, 0, 0)])
def test_bars_are_found_to_the_pixel(bars: tuple[int, int, int, int]) -> None:
    clip = np.maximum(scene(3), 40)
    framed = np.pad(clip, ((0, 0), bars[:2], bars[2:], (0, 0)))
    found = black_bars(framed)
    assert found == BlackBars(*bars)
    assert np.array_equal(crop_bars(framed, found), clip)


def test_a_black_clip_has_no_bars() -> None:
    assert not black_bars(np.zeros((2, 16, 16, 3), np.uint8)).any


def test_floats_and_empty_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        measure(np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match="non-empty"):
        measure(np.zeros((0, 4, 4, 3), np.uint8))
