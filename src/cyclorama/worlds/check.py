"""Is a scene worth showing? Decided by physics and geometry alone, before anything is drawn.

Objects are taken for discs, painted from far to near on a 64 x 64 card: each must show enough of
itself in at least half of the frames of the first two seconds, something must move far enough on
the picture, and a collision must happen. Deterministic and the same for every picture size.
"""

import numpy as np

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.camera import aim_at, extrinsics, intrinsics, project
from cyclorama.worlds.simulate import Trajectory, simulate
from cyclorama.worlds.truth import tilts_deg

_SIDE = 64
_NUM_FRAMES, _RATE_FPS = 17, 8.0
_LEAST_PX = 60.0  # discs overrate cones and cubes' corners: the promise is 40
_LEAST_WAY_PX = 9.0
_LATEST_HIT_S = 1.5


def why_rejected(recipe: Recipe) -> str:
    """Return why a scene is not worth showing, or "" if it is."""
    trajectory = simulate(recipe, num_frames=_NUM_FRAMES, rate_fps=_RATE_FPS)
    if trajectory.overlap_m > 0.004:
        return "objects start inside one another"
    if not np.isfinite(trajectory.positions).all():
        return "physics blew up"
    times = np.arange(_NUM_FRAMES) / _RATE_FPS
    cameras = np.stack([extrinsics(aim_at(recipe.camera, t)) for t in times])
    pixels, depths = project(trajectory.positions, cameras, height=_SIDE, width=_SIDE)
    areas = disc_areas(recipe, pixels, depths=depths)
    radii = np.array([0.85 * b.radius_m for b in recipe.bodies])
    discs = np.pi * (intrinsics(_SIDE, _SIDE)[0, 0] * radii / np.maximum(depths, 0.2)) ** 2
    narrow = recipe.usual_count <= 3
    # Narrow domains: half of each disc shows, and enough pixels of it. Wide ones have walls to
    # hide behind, small things and entrances.
    least = np.maximum(*(_LEAST_PX, 0.5 * discs) if narrow else (0.25 * _LEAST_PX, 0.3 * discs))
    inside = np.all((pixels > 0) & (pixels < _SIDE), axis=-1)
    hidden = _why_hidden(inside, areas, least, narrow=narrow)
    if hidden:
        return hidden
    if recipe.family == "static":
        moved = np.linalg.norm(trajectory.positions[-1] - trajectory.positions[0], axis=1)
        return "a standing object moves" if (moved > 0.03).any() else ""
    return _why_dull(recipe, trajectory, cameras[:1], areas >= least)


def _why_hidden(inside: np.ndarray, areas: np.ndarray, least: np.ndarray, *, narrow: bool) -> str:
    frames_inside, frames_seen = (13, 10) if narrow else (7, 6)
    if (inside.sum(0) < frames_inside).any():
        return "an object leaves the picture too early"
    if ((areas >= least).sum(0) < frames_seen).any():
        return "an object is hidden or out of view for too long"
    if narrow and (areas[:3] < 0.6 * least[:3]).all(0).any():
        return "an object is not in view at the start"
    return ""


def _why_dull(recipe: Recipe, trajectory: Trajectory, first: np.ndarray, seen: np.ndarray) -> str:
    # Ways are measured as from a camera that does not move.
    still, _ = project(
        trajectory.positions, np.repeat(first, _NUM_FRAMES, 0), height=_SIDE, width=_SIDE
    )
    ways = np.linalg.norm(still - still[:1], axis=-1)
    if np.where(seen, ways, 0).max() < _LEAST_WAY_PX:
        return "nothing moves far enough"
    hits = [
        c.time_s
        for c in trajectory.contacts
        if isinstance(c.first, int) and isinstance(c.second, int) and c.speed_mps > 0.2
    ]
    if recipe.family == "collide" and not (hits and 0.1 < hits[0] < _LATEST_HIT_S):
        return "no collision in time"
    if recipe.family in ("roll", "slide", "drop") and hits and recipe.usual_count <= 3:
        return "objects hit one another by chance"
    if recipe.family == "domino" and max(tilts_deg(trajectory, 0)) < 50:
        return "no domino falls"
    rise = trajectory.positions[:, 0, 2].max() - trajectory.positions[0, 0, 2]
    return "nothing is thrown up" if recipe.family == "link" and rise < 0.2 else ""


def disc_areas(recipe: Recipe, pixels: np.ndarray, *, depths: np.ndarray) -> np.ndarray:
    """Return how many of 64 x 64 pixels each object shows, (T, N), discs hiding discs."""
    radii = np.array([0.85 * b.radius_m for b in recipe.bodies])
    scale = intrinsics(_SIDE, _SIDE)[0, 0]
    disc = scale * radii / np.maximum(depths, 0.2)
    centre = np.arange(_SIDE) + 0.5
    x, y = pixels[..., 0], pixels[..., 1]
    away_x = (centre[None, None] - x[..., None]) ** 2
    away_y = (centre[None, None] - y[..., None]) ** 2
    inside = away_y[..., :, None] + away_x[..., None, :] < (disc**2)[..., None, None]
    inside &= (depths > 0.2)[..., None, None]
    near = np.where(inside, depths[..., None, None], np.inf)
    front = near.min(1, keepdims=True)
    return (inside & (near == front)).sum((2, 3))
