"""The one door: a recipe becomes a clip with everything that is true about it.

Picture a film can with its labels: frames, object ids, captions and attributes always; with
``truth="full"`` also depth, whole (amodal) silhouettes, camera matrices, contacts and questions.
The same recipe and sizes give the same bytes on the same machine and library versions. Leaves
out files: `data` stores, `media` writes.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.camera import aim_at, extrinsics, intrinsics, project
from cyclorama.worlds.language import dense_caption, short_caption, timed_caption
from cyclorama.worlds.recipe import recipe_hash
from cyclorama.worlds.render import Renderer
from cyclorama.worlds.simulate import Contact, Trajectory, simulate
from cyclorama.worlds.truth import LEAST_SHARE, Event, Motion, observe, tell_events

_CHECK_FRAMES = 17  # what `check` simulates and caches; shorter clips take its beginning


@dataclass(frozen=True)
class Episode:
    """A clip. ``frames`` uint8 (T, H, W, 3); ``object_ids`` uint8 (T, H, W), 0 the background and
    i + 1 body i; ``tracks`` holds positions (T, N, 3) in m and ``pixels`` (T, N, 2).

    ``amodal`` marks bit i of a uint8/uint16 (T, H, W) where body i would be seen if alone;
    ``cameras`` is [R | t] (T, 3, 4), ``intrinsics`` K (3, 3); ``depth`` metres along the view.
    """

    frames: np.ndarray
    object_ids: np.ndarray
    captions: dict[str, str]
    attributes: dict[str, Any]
    recipe: Recipe
    rate_fps: float
    events: tuple[Event, ...]
    tracks: Trajectory
    pixels: np.ndarray
    cameras: np.ndarray
    intrinsics: np.ndarray
    depth: np.ndarray | None = None
    amodal: np.ndarray | None = None
    amodal_px: np.ndarray | None = None
    contacts: tuple[Contact, ...] = ()
    questions: tuple[dict[str, Any], ...] = ()


def make_episode(
    recipe: Recipe,
    *,
    height: int = 64,
    width: int = 64,
    num_frames: int = 17,
    rate_fps: float = 8.0,
    truth: str = "captions",
) -> Episode:
    """Simulate, draw and describe a recipe. ValueError for impossible sizes or ``truth``."""
    if truth not in ("captions", "full"):
        raise ValueError(f"truth is 'captions' or 'full', got {truth!r}")
    tracks = _tracks(recipe, num_frames, rate_fps)
    times = np.arange(num_frames) / rate_fps
    cameras = np.stack([extrinsics(aim_at(recipe.camera, t)) for t in times])
    pixels, _ = project(tracks.positions, cameras, height=height, width=width)
    with Renderer(recipe, height=height, width=width) as renderer:
        frames, object_ids = _draw(renderer, recipe, tracks, times)
    count = len(recipe.bodies)
    visible_px = np.stack([(object_ids == i + 1).sum((1, 2)) for i in range(count)], axis=1)
    side = min(height, width)
    motions = observe(recipe, tracks, pixels=pixels, cameras=cameras, side_px=side)
    events = tell_events(
        tracks, motions, visible_px=visible_px, pixels=pixels, size_px=(height, width)
    )
    visible = [i for i in range(count) if visible_px[:, i].max() >= LEAST_SHARE * side**2 / 2]
    words = random.Random("words/" + recipe_hash(recipe))
    captions = {
        "short": short_caption(
            recipe, motions, visible=visible, rng=words, passed=_passed(motions, pixels)
        ),
        "dense": dense_caption(recipe, events, visible=visible),
        "timed": timed_caption(recipe, events),
    }
    return Episode(
        frames=frames,
        object_ids=object_ids,
        captions=captions,
        attributes=_attributes(recipe, motions, visible),
        recipe=recipe,
        rate_fps=rate_fps,
        events=events,
        tracks=tracks,
        pixels=pixels,
        cameras=cameras,
        intrinsics=intrinsics(height, width),
    )


def _tracks(recipe: Recipe, num_frames: int, rate_fps: float) -> Trajectory:
    if num_frames > _CHECK_FRAMES or rate_fps != 8.0:
        return simulate(recipe, num_frames, rate_fps)
    return simulate(recipe, _CHECK_FRAMES, rate_fps).until(num_frames)


def _draw(
    renderer: Renderer, recipe: Recipe, tracks: Trajectory, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    frames = np.empty((len(times), renderer.height, renderer.width, 3), np.uint8)
    object_ids = np.empty(frames.shape[:3], np.uint8)
    for t, time_s in enumerate(times):
        renderer.pose(tracks.states[t], recipe.camera, float(time_s))
        frames[t] = renderer.colour()
        object_ids[t], _ = renderer.ids_and_depth()
    return frames, object_ids


def _passed(motions: tuple[Motion, ...], pixels: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs (mover, standing body) whose order from left to right on screen flips."""
    pairs = []
    for i, mover in enumerate(motions):
        for j, standing in enumerate(motions):
            if mover.direction in ("left", "right") and standing.word == "still":
                gaps = pixels[[0, -1], i, 0] - pixels[[0, -1], j, 0]
                if gaps[0] * gaps[1] < 0 and mover.target is None:
                    pairs.append((i, j))
    return pairs


def _attributes(recipe: Recipe, motions: tuple[Motion, ...], visible: list[int]) -> dict[str, Any]:
    bodies = [recipe.bodies[i] for i in visible]
    return {
        "count": len(visible),
        "objects": [
            {"colour": b.colour, "shape": b.shape, "size": b.size, "material": b.material}
            for b in bodies
        ],
        "family": recipe.family,
        "camera": recipe.camera.move,
        "floor": recipe.floor,
        "light": recipe.sun.name,
        "motion": [motions[i].word for i in visible],
        "direction": [motions[i].direction for i in visible],
        "ids": [i + 1 for i in visible],
    }
