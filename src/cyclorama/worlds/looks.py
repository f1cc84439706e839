"""What things look like and how they respond: colours, materials, floors, lights and skies.

Think of the shelf in a prop room. Every entry is a word that captions may use, and the numbers
behind the word; nothing here is random. Colours are linear-looking RGB in [0, 1], saturated on
purpose because diffuse light greys everything a little. Leaves out image textures from files:
floors are drawn from formulas, so that a recipe alone decides every pixel.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RGB = tuple[float, float, float]

COLOURS: dict[str, RGB] = {
    "red": (0.88, 0.06, 0.06),
    "green": (0.05, 0.62, 0.12),
    "blue": (0.06, 0.18, 0.92),
    "yellow": (0.98, 0.84, 0.02),
    "purple": (0.48, 0.08, 0.72),
    "orange": (1.00, 0.42, 0.00),
    "cyan": (0.00, 0.78, 0.86),
    "pink": (1.00, 0.38, 0.66),
    "brown": (0.40, 0.20, 0.07),
    "white": (0.96, 0.96, 0.96),
    "black": (0.05, 0.05, 0.06),
    "gray": (0.46, 0.46, 0.48),
}
SHAPES = ("ball", "cube", "cylinder", "cone", "capsule", "disk", "domino")
SIZES_M = {"tiny": 0.13, "small": 0.20, "medium": 0.32, "large": 0.42, "huge": 0.56}


@dataclass(frozen=True)
class Material:
    """Looks (specular, shininess, emission, alpha in [0, 1]) and response to contact."""

    specular: float
    shininess: float
    emission: float
    alpha: float
    restitution: tuple[float, float]
    friction: float
    rolling: float
    density: float


MATERIALS: dict[str, Material] = {
    "rubber": Material(0.06, 0.1, 0.0, 1.0, (0.70, 0.80), 0.8, 0.002, 500.0),
    "metal": Material(0.75, 0.75, 0.0, 1.0, (0.40, 0.50), 0.3, 0.0005, 2500.0),
    "wood": Material(0.0, 0.0, 0.0, 1.0, (0.30, 0.42), 0.55, 0.002, 700.0),
    "glass": Material(1.0, 0.9, 0.0, 0.5, (0.50, 0.60), 0.25, 0.0005, 1800.0),
    "glowing": Material(0.0, 0.0, 0.45, 1.0, (0.45, 0.55), 0.5, 0.001, 600.0),
}


@dataclass(frozen=True)
class Light:
    """Colours of the sun and of the ambient light that fills the shadows."""

    sun: RGB
    ambient: float


LIGHTS: dict[str, Light] = {
    "bright": Light((0.58, 0.57, 0.54), 0.44),
    "warm": Light((0.72, 0.56, 0.36), 0.34),
    "cool": Light((0.44, 0.54, 0.72), 0.34),
    "dim": Light((0.36, 0.36, 0.40), 0.26),
}
# Horizon first, zenith second.
SKIES: dict[str, tuple[RGB, RGB]] = {
    "blue": ((0.80, 0.88, 0.96), (0.42, 0.60, 0.86)),
    "pale": ((0.93, 0.92, 0.90), (0.68, 0.70, 0.74)),
    "sunset": ((0.98, 0.80, 0.60), (0.50, 0.35, 0.50)),
    "night": ((0.25, 0.27, 0.35), (0.08, 0.09, 0.14)),
}
# Name -> words of captions, two tones of the pattern.
FLOORS: dict[str, tuple[str, RGB, RGB]] = {
    "gray": ("gray floor", (0.56, 0.56, 0.57), (0.56, 0.56, 0.57)),
    "white": ("white floor", (0.86, 0.86, 0.86), (0.86, 0.86, 0.86)),
    "beige": ("beige floor", (0.78, 0.71, 0.60), (0.78, 0.71, 0.60)),
    "charcoal": ("dark gray floor", (0.25, 0.25, 0.27), (0.25, 0.25, 0.27)),
    "checkered": ("checkered floor", (0.80, 0.79, 0.77), (0.47, 0.47, 0.48)),
    "wooden": ("wooden floor", (0.50, 0.33, 0.18), (0.68, 0.49, 0.30)),
    "tiled": ("tiled floor", (0.74, 0.69, 0.63), (0.44, 0.40, 0.38)),
    "grassy": ("grassy floor", (0.15, 0.36, 0.11), (0.32, 0.55, 0.19)),
    "sandy": ("sandy floor", (0.76, 0.64, 0.44), (0.88, 0.78, 0.58)),
    "striped": ("striped floor", (0.80, 0.78, 0.74), (0.45, 0.55, 0.62)),
}
TEXTURE_SIDE = 128


@lru_cache
def floor_texture(floor: str) -> np.ndarray:
    """Return one period of a floor's pattern, uint8 (128, 128, 3); the pattern tiles."""
    _, first, second = FLOORS[floor]
    y, x = np.mgrid[0:TEXTURE_SIDE, 0:TEXTURE_SIDE] / TEXTURE_SIDE
    shade = np.ones_like(x)
    if floor == "checkered":
        blend = ((x * 4).astype(int) + (y * 4).astype(int)) % 2.0
    elif floor == "tiled":
        blend = (((x * 4) % 1 < 0.07) | ((y * 4) % 1 < 0.07)) * 1.0
    elif floor == "striped":
        blend = (x * 6).astype(int) % 2.0
    elif floor == "wooden":
        grain = _noise(7, (2, 24))
        blend = 0.5 + 0.5 * np.sin(2 * np.pi * (10 * y + 0.8 * grain))
        shade = 1 - 0.3 * ((y * 4) % 1 < 0.04)
    elif floor in ("grassy", "sandy"):
        blend = 0.6 * _noise(11, (8, 8)) + 0.4 * _noise(13, (48, 48))
    else:
        blend = np.zeros_like(x)
    mixed = np.array(first) * (1 - blend[..., None]) + np.array(second) * blend[..., None]
    return (np.clip(mixed * shade[..., None], 0, 1) * 255).astype(np.uint8)


def contrast(colour: str, floor: str) -> float:
    """Return how far a colour stands out from a floor: the least RGB distance to its tones."""
    rgb = np.array(COLOURS[colour])
    return float(min(np.linalg.norm(rgb - np.array(tone)) for tone in FLOORS[floor][1:]))


def _noise(seed: int, cells: tuple[int, int]) -> np.ndarray:
    """Return smooth periodic noise in [0, 1], (128, 128), with ``cells`` bumps along y and x."""
    rows, cols = cells
    # A linear congruential table, not numpy's generator: its stream never changes.
    values = np.empty(rows * cols)
    state = seed
    for i in range(rows * cols):
        state = (1103515245 * state + 12345) % 2**31
        values[i] = state / 2**31
    grid = values.reshape(rows, cols)
    y = np.arange(TEXTURE_SIDE) * rows / TEXTURE_SIDE
    x = np.arange(TEXTURE_SIDE) * cols / TEXTURE_SIDE
    y0, x0 = y.astype(int) % rows, x.astype(int) % cols
    y1, x1 = (y0 + 1) % rows, (x0 + 1) % cols
    fy, fx = (y % 1)[:, None], (x % 1)[None, :]
    top = grid[y0][:, x0] * (1 - fx) + grid[y0][:, x1] * fx
    bottom = grid[y1][:, x0] * (1 - fx) + grid[y1][:, x1] * fx
    return top * (1 - fy) + bottom * fy
