"""The picture of an evaluation: clips as strips of frames, with words that are right or wrong.

Each panel is one or two strips, one above the other (what should be, what came), under a line or
two of text; green text says that all is well, red that it is not. Drawn with matplotlib, without
a display. Left out: motion; a strip shows a handful of moments.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

NUM_MOMENTS = 6
GAP_PX = 2
PANEL_INCHES = 5.4
COLOURS = {True: "#1a7f37", False: "#b42318", None: "#1f2328"}


@dataclass(frozen=True, eq=False)
class Panel:
    """Strips of clips uint8 (T, H, W, 3), their text, and whether all is well (None: no matter)."""

    clips: tuple[np.ndarray, ...]
    text: str
    is_right: bool | None = None


def strip(clip: np.ndarray) -> np.ndarray:
    """Return evenly chosen frames of a clip side by side, uint8 (H, width, 3)."""
    chosen = np.linspace(0, len(clip) - 1, min(NUM_MOMENTS, len(clip))).round().astype(int)
    gap = np.full((clip.shape[1], GAP_PX, 3), 255, np.uint8)
    parts = [part for number in chosen for part in (clip[number], gap)]
    return np.concatenate(parts[:-1], axis=1)


def stacked(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Return the strips of clips of one size, one above the other."""
    strips = [strip(clip) for clip in clips]
    gap = np.full((GAP_PX, strips[0].shape[1], 3), 255, np.uint8)
    parts = [part for one in strips for part in (one, gap)]
    return np.concatenate(parts[:-1], axis=0)


def draw_panels(panels: Sequence[Panel], path: Path, *, title: str, columns: int = 2) -> None:
    """Write panels as one PNG, atomically."""
    pictures = [stacked(panel.clips) for panel in panels]
    rows = -(-len(panels) // columns)
    tall = max(picture.shape[0] / picture.shape[1] for picture in pictures) * PANEL_INCHES
    figure = Figure(figsize=(columns * (PANEL_INCHES + 0.2), rows * (tall + 0.55) + 0.4), dpi=130)
    figure.suptitle(title, fontsize=11)
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for place in places:
        place.axis("off")
    for place, panel, picture in zip(places, panels, pictures, strict=False):
        place.imshow(picture, interpolation="nearest")
        place.set_title(
            panel.text, fontsize=7, loc="left", color=COLOURS[panel.is_right], wrap=True
        )
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_size_inches()[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    figure.savefig(aside, format="png")
    aside.replace(path)
