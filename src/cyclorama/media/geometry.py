"""Where the pixels of a coded picture go: pixel aspect, turning, mirroring, scaling, cropping.

A phone held upright codes a lying picture and adds a matrix that turns it; a DVD codes 720
columns that are to be shown as 1024. Neither is applied by the decoder, and a file read without
them is silently wrong training data. The plan made here scales in the coded orientation, in the
same pass that converts colours, and turns the small result.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

Fit = Literal["cover", "contain", "stretch"]
FITS = ("cover", "contain", "stretch")


@dataclass(frozen=True)
class Orientation:
    """Swap rows and columns if ``transposed``, then mirror columns, then mirror rows."""

    transposed: bool = False
    mirror_columns: bool = False
    mirror_rows: bool = False

    @property
    def rotation_degrees(self) -> int:
        """Clockwise turn from coded to shown, 0, 90, 180 or 270, before any mirroring."""
        if self.transposed:
            return 270 if self.mirror_rows else 90
        return 180 if self.mirror_rows else 0

    @property
    def is_mirrored(self) -> bool:
        """Whether, after that turn, left and right are exchanged."""
        return self.transposed ^ self.mirror_columns ^ self.mirror_rows

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the view of (H, W, C) that is to be shown."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        return image[:: -1 if self.mirror_rows else 1, :: -1 if self.mirror_columns else 1]


def orientation_of(matrix: np.ndarray) -> Orientation | None:
    """Return the orientation in a container's 3x3 display matrix (int32, 16.16 fixed point).

    The matrix takes columns x and rows y of the coded picture to x' = m0 x + m3 y and
    y' = m1 x + m4 y (ISO 14496-12, 6.2.2). None when it is not a multiple of 90 degrees.
    """
    across, down = (int(matrix[0]), int(matrix[4])), (int(matrix[3]), int(matrix[1]))
    largest = max(map(abs, (*across, *down)))
    small = largest * 0.02
    if largest and min(map(abs, across)) > small and max(map(abs, down)) <= small:
        return Orientation(False, across[0] < 0, across[1] < 0)
    if largest and min(map(abs, down)) > small and max(map(abs, across)) <= small:
        return Orientation(True, down[0] < 0, down[1] < 0)
    return None


@dataclass(frozen=True)
class Plan:
    """How one coded picture becomes one frame of ``width`` x ``height``."""

    coded_width: int
    coded_height: int
    scaled_width: int
    scaled_height: int
    width: int
    height: int
    orientation: Orientation

    @property
    def is_shrinking(self) -> bool:
        """Whether averaging over areas is the right way to scale."""
        return self.scaled_width <= self.coded_width and self.scaled_height <= self.coded_height

    def place(self, scaled: np.ndarray) -> np.ndarray:
        """Turn, then crop or frame in black, a picture scaled to the plan's size."""
        shown = self.orientation.apply(scaled)
        surplus_h, surplus_w = shown.shape[0] - self.height, shown.shape[1] - self.width
        top, left = max(0, surplus_h) // 2, max(0, surplus_w) // 2
        shown = shown[top : top + self.height, left : left + self.width]
        if shown.shape[:2] != (self.height, self.width):
            canvas = np.zeros((self.height, self.width, 3), np.uint8)
            top, left = max(0, -surplus_h) // 2, max(0, -surplus_w) // 2
            canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
            return canvas
        return np.ascontiguousarray(shown)


def shown_size(
    coded: tuple[int, int], aspect: Fraction, *, orientation: Orientation
) -> tuple[int, int]:
    """Return (width, height) as displayed: columns stretched by the pixel aspect, then turned."""
    width, height = max(1, round(coded[0] * aspect)), coded[1]
    return (height, width) if orientation.transposed else (width, height)


def plan_geometry(
    coded: tuple[int, int],
    aspect: Fraction,
    *,
    orientation: Orientation,
    size: tuple[int, int] | None,
    fit: Fit,
) -> Plan:
    """Return how pictures of ``coded`` (width, height) fill ``size`` (width, height).

    ``cover`` fills it and crops what overhangs at both sides alike, ``contain`` shows everything
    in a black frame, ``stretch`` distorts. Without a size the picture keeps its own.
    """
    shown_w, shown_h = shown_size(coded, aspect, orientation=orientation)
    width, height = size if size is not None else (shown_w, shown_h)
    scaled_w, scaled_h = width, height
    if size is not None and fit == "cover":
        scale = max(Fraction(width, shown_w), Fraction(height, shown_h))
        scaled_w, scaled_h = max(width, round(shown_w * scale)), max(height, round(shown_h * scale))
    elif size is not None and fit == "contain":
        scale = min(Fraction(width, shown_w), Fraction(height, shown_h))
        scaled_w = min(width, max(1, round(shown_w * scale)))
        scaled_h = min(height, max(1, round(shown_h * scale)))
    if orientation.transposed:
        scaled_w, scaled_h = scaled_h, scaled_w
    return Plan(*coded, scaled_w, scaled_h, width, height, orientation)
