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
from cyclorama.worlds.questions import Facts, Question, ask
from cyclorama.worlds.recipe import recipe_hash
from cyclorama.worlds.render import Renderer
from cyclorama.worlds.simulate import Contact, Trajectory, simulate
from cyclorama.worlds.truth import LEAST_SHARE, Event, observe, tell_events

_CHECK_FRAMES = 17  # what `check` simulates and caches; shorter clips take its beginning


@dataclass(frozen=True)
class Episode:
    """A clip.

    ``frames`` uint8 (T, H, W, 3); ``object_ids`` uint8 (T, H, W), 0 the background and
    i + 1 body i; ``tracks`` holds positions (T, N, 3) in m and ``pixels`` (T, N, 2).

    ``cameras`` is [R | t] (T, 3, 4) and ``intrinsics`` K (3, 3), OpenCV's way. With full truth,
    ``depth`` float32 (T, H, W) in m along the view, ``amodal`` bool (T, N, H, W) where a body
    would be seen if alone, ``amodal_px`` their areas (T, N).
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
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class _Drawn:
    frames: np.ndarray
    object_ids: np.ndarray
    depth: np.ndarray | None
    amodal: np.ndarray | None


def make_episode(
    recipe: Recipe,
    *,
    height: int = 64,
    width: int = 64,
    num_frames: int = 17,
    rate_fps: float = 8.0,
    truth: str = "captions",
    counterfactual: bool = False,
) -> Episode:
    """Simulate, draw and describe a recipe. ValueError for impossible sizes or ``truth``.

    ``counterfactual`` adds a question that needs one more run of the physics (full truth only).
    """
    if truth not in ("captions", "full"):
        raise ValueError(f"truth is 'captions' or 'full', got {truth!r}")
    if counterfactual and truth != "full":
        raise ValueError("counterfactual questions need truth='full'")
    full = truth == "full"
    tracks = _tracks(recipe, num_frames, rate_fps)
    times = np.arange(num_frames) / rate_fps
    cameras = np.stack([extrinsics(aim_at(recipe.camera, t)) for t in times])
    pixels, _ = project(tracks.positions, cameras, height=height, width=width)
    with Renderer(recipe, height=height, width=width) as renderer:
        drawn = _draw(renderer, recipe, tracks, times=times, full=full)
    visible_px = visible_areas(drawn.object_ids, len(recipe.bodies))
    facts = witness(
        recipe,
        tracks,
        pixels=pixels,
        cameras=cameras,
        visible_px=visible_px,
        size_px=(height, width),
    )
    asker = random.Random("questions/" + recipe_hash(recipe))
    return Episode(
        frames=drawn.frames,
        object_ids=drawn.object_ids,
        captions=_captions(facts),
        attributes=_attributes(facts),
        recipe=recipe,
        rate_fps=rate_fps,
        events=facts.events,
        tracks=tracks,
        pixels=pixels,
        cameras=cameras,
        intrinsics=intrinsics(height, width),
        depth=drawn.depth,
        amodal=drawn.amodal,
        amodal_px=None if drawn.amodal is None else drawn.amodal.sum((2, 3)),
        contacts=tracks.contacts if full else (),
        questions=ask(facts, asker, counterfactual=counterfactual) if full else (),
    )


def witness(
    recipe: Recipe,
    tracks: Trajectory,
    *,
    pixels: np.ndarray,
    cameras: np.ndarray,
    visible_px: np.ndarray,
    size_px: tuple[int, int],
) -> Facts:
    """Return what is seen to happen, from pixel counts (T, N) and projections (T, N, 2)."""
    side = min(size_px)
    motions = observe(recipe, tracks, pixels=pixels, cameras=cameras, side_px=side)
    events = tell_events(tracks, motions, visible_px=visible_px, pixels=pixels, size_px=size_px)
    least = LEAST_SHARE * side**2 / 2
    visible = tuple(i for i in range(len(recipe.bodies)) if visible_px[:, i].max() >= least)
    return Facts(recipe, tracks, motions, events, visible, pixels)


def _tracks(recipe: Recipe, num_frames: int, rate_fps: float) -> Trajectory:
    if num_frames > _CHECK_FRAMES or rate_fps != 8.0:
        return simulate(recipe, num_frames=num_frames, rate_fps=rate_fps)
    return simulate(recipe, num_frames=_CHECK_FRAMES, rate_fps=rate_fps).until(num_frames)


def _draw(
    renderer: Renderer, recipe: Recipe, tracks: Trajectory, *, times: np.ndarray, full: bool
) -> _Drawn:
    size = (len(times), renderer.height, renderer.width)
    frames, object_ids = np.empty((*size, 3), np.uint8), np.empty(size, np.uint8)
    depth = np.empty(size, np.float32) if full else None
    count = len(recipe.bodies)
    amodal = np.empty((size[0], count, *size[1:]), bool) if full else None
    for t, time_s in enumerate(times):
        renderer.pose(tracks.states[t], recipe.camera, time_s=float(time_s))
        frames[t] = renderer.colour()
        object_ids[t], metres = renderer.ids_and_depth(depth=full)
        if depth is not None and amodal is not None:
            depth[t] = metres
            amodal[t] = renderer.whole()
    return _Drawn(frames, object_ids, depth, amodal)


def visible_areas(object_ids: np.ndarray, count: int) -> np.ndarray:
    """Return how many pixels of each frame show each body, (T, N)."""
    return np.stack([(object_ids == i + 1).sum((1, 2)) for i in range(count)], axis=1)


def _captions(facts: Facts) -> dict[str, str]:
    recipe, visible = facts.recipe, facts.visible
    words = random.Random("words/" + recipe_hash(recipe))
    passed = _passed(facts)
    return {
        "short": short_caption(recipe, facts.motions, visible=visible, rng=words, passed=passed),
        "dense": dense_caption(recipe, facts.events, visible=visible),
        "timed": timed_caption(recipe, facts.events),
    }


def _passed(facts: Facts) -> list[tuple[int, int]]:
    """Return pairs (mover, standing body) whose order from left to right on screen flips."""
    motions, pixels = facts.motions, facts.pixels
    pairs = []
    for i, mover in enumerate(motions):
        for j, standing in enumerate(motions):
            if mover.direction in ("left", "right") and standing.word == "still":
                gaps = pixels[[0, -1], i, 0] - pixels[[0, -1], j, 0]
                if gaps[0] * gaps[1] < 0 and mover.target is None:
                    pairs.append((i, j))
    return pairs


def _attributes(facts: Facts) -> dict[str, Any]:
    recipe, motions, visible = facts.recipe, facts.motions, facts.visible
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
