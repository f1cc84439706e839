"""What the engine knows of each square of a clip's frames, in words (`NAMES`).

Picture a transparent grid laid over every frame of a film whose every pixel is signed by the thing
it shows. Of the things in a square the one with most pixels names it; where these are few, or the
thing is too small to be spoken of, the square goes unnamed. What a thing does is not asked of the
first frame, which cannot know. Its steps on the screen are those of the middle of its pixels since
the frame shown before, and unnamed where it comes out from behind another. An event is named in the
squares of what takes part, at the first frame that can show it; of one that hides a thing none
does. The camera's motion is named in every square of a later frame, empty or not.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from einops import rearrange

from cyclorama.shapes import FRAME_TOKEN_PX
from cyclorama.worlds.camera import MOVES
from cyclorama.worlds.looks import COLOURS, SHAPES

# Kinds of names and their words, "" being none.
NAMES: dict[str, tuple[str, ...]] = {
    "shape": ("", *SHAPES),
    "colour": tuple(COLOURS),
    "motion": (
        "still", "rolls", "slides", "falls", "flies", "pushed", "launched", "swings", "topples",
    ),
    "direction": ("", "left", "right", "toward", "away"),
    "across": ("", "left", "right"),
    "along": ("", "up", "down"),
    "camera": MOVES,
    "event": ("", "lands", "bounces", "hits", "stops", "enters", "reappears"),
}  # fmt: skip
SHAPE, COLOUR, MOTION, DIRECTION, ACROSS, ALONG, CAMERA, EVENT = range(len(NAMES))
UNNAMED = -100  # as in `nn.naming`
LEAST_PX = 10  # of 256, to be named
STEP_PX = 0.75  # between two frames shown, to be a step on the screen
MOST_CHANGE = 0.25  # of a thing's pixels between them; with more its middle says little


def square_names(
    object_ids: np.ndarray, truth: Mapping[str, Any], *, rate_fps: float, is_image: bool = False
) -> np.ndarray:
    """Return a word's number for each kind of `NAMES`, int64 (T * squares, N), rows first.

    ``object_ids`` uint8 (T, H, W), sides multiples of 16, are 0 or a body's number; those in
    ``truth["ids"]`` go with its objects, motion and direction, and those of ``truth["events"]``
    (see `AskedClips`) took part. Of a picture no motion is named.
    """
    num_ids = int(object_ids.max()) + 1
    squares = rearrange(
        object_ids, "T (h p) (w q) -> (T h w) (p q)", p=FRAME_TOKEN_PX, q=FRAME_TOKEN_PX
    )
    counts = np.stack([(squares == number).sum(1) for number in range(num_ids)], axis=1)
    counts[:, 0] = 0
    mostly, most_px = counts.argmax(1), counts.max(1)
    frame = np.arange(len(squares)) // (len(squares) // len(object_ids))
    names = _things(truth, num_ids)[mostly]
    names[:, ACROSS : ALONG + 1] = _steps(object_ids, num_ids)[frame, mostly]
    happened = _events(truth, (len(object_ids), num_ids), rate_fps=rate_fps)
    names[:, EVENT] = happened[frame, mostly]
    names[frame == 0, MOTION : DIRECTION + 1] = UNNAMED
    names[frame == 0, EVENT] = UNNAMED
    if is_image:
        names[:, MOTION:] = UNNAMED
    names[(most_px < LEAST_PX) | (names[:, SHAPE] == UNNAMED)] = UNNAMED
    names[most_px == 0, SHAPE] = 0  # nothing lies there
    if not is_image:
        names[frame > 0, CAMERA] = NAMES["camera"].index(truth["camera"])
    return names


def _things(truth: Mapping[str, Any], num_ids: int) -> np.ndarray:
    """Return the names of each thing that is spoken of, (ids, N)."""
    table = np.full((num_ids, len(NAMES)), UNNAMED)
    told = zip(truth["ids"], truth["objects"], truth["motion"], truth["direction"], strict=True)
    for number, thing, motion, direction in told:
        if number < num_ids:  # else it is not in these frames
            words = {"shape": thing["shape"], "colour": thing["colour"]}
            words |= {"motion": motion, "direction": direction}
            for place, kind in enumerate(words):
                table[number, place] = NAMES[kind].index(words[kind])
    return table


def _events(truth: Mapping[str, Any], size: tuple[int, int], *, rate_fps: float) -> np.ndarray:
    """Return what befell each thing since the frame before, (T, ids); of two events the later."""
    found = np.zeros(size, dtype=np.int64)
    for event in sorted(truth["events"], key=lambda one: one["time_s"]):
        frame = math.ceil(event["time_s"] * rate_fps - 1e-6)
        if event["kind"] in NAMES["event"] and frame < len(found):
            there = [number for number in event["ids"] if number < size[1]]
            found[frame, there] = NAMES["event"].index(event["kind"])
    return found


def _steps(object_ids: np.ndarray, num_ids: int) -> np.ndarray:
    """Return each thing's step on the screen since the frame before, (T, ids, across and along)."""
    columns_rows = np.mgrid[: object_ids.shape[1], : object_ids.shape[2]][::-1]
    found = np.full((len(object_ids), num_ids, 2), UNNAMED)
    for number in range(1, num_ids):
        mine = object_ids == number
        area = mine.sum((1, 2))
        seen = np.maximum(area, 1)
        middles = np.stack([(mine * axis).sum((1, 2)) / seen for axis in columns_rows], axis=1)
        steps = np.diff(middles, axis=0)
        told = (steps < -STEP_PX) * 1 + (steps > STEP_PX) * 2
        whole = np.abs(np.diff(area)) <= MOST_CHANGE * np.minimum(area[1:], area[:-1])
        whole &= area[1:] > 0
        found[1:, number] = np.where(whole[:, None], told, UNNAMED)
    return found
