"""What can be seen happening: each object's motion in one word, and the clip's events in order.

Picture a careful witness who knows the physics log but only tells what the film shows. Directions
are the screen's own: left and right need the projected object to have moved that way on the
picture *and* in the world; toward and away need the distance to the camera to have changed. When
the camera's motion contradicts the object's, no direction is told. Leaves out words (language).
"""

from dataclasses import dataclass

import numpy as np

from cyclorama.worlds.bodies import Recipe, rest_height
from cyclorama.worlds.simulate import Contact, Trajectory

LEAST_SHARE = 40 / 4096  # of the picture's shorter side squared: below it nothing is recognised
_WAYLESS = ("still", "falls", "swings", "topples", "launched")
_AIMLESS = ("still", "pushed", "topples", "launched")
_STILL_M = 0.07
_HIT_MPS = 0.12
_BOUNCE_MPS = 0.45


@dataclass(frozen=True)
class Event:
    """Something that happened at ``time_s``.

    ``first`` and ``second`` are body numbers or names of furniture, ``speed_mps`` is the closing
    speed of touches, ``side`` where an entry or exit is, or which way a motion goes.
    """

    time_s: float
    kind: str
    first: int | str
    second: int | str | None = None
    speed_mps: float = 0.0
    side: str = ""


@dataclass(frozen=True)
class Motion:
    """One object's story.

    ``word`` is still, rolls, slides, falls, flies, pushed, launched, swings or topples;
    ``direction`` left, right, toward, away or ""; ``target`` the first body it hits; ``on`` the
    furniture it starts on, ``into`` what it ends in, ``by`` "hand" when a hand pushes it.
    """

    word: str
    direction: str
    bounces: int
    target: int | None
    on: str = ""
    into: str = ""
    by: str = ""


def observe(
    recipe: Recipe,
    trajectory: Trajectory,
    *,
    pixels: np.ndarray,
    cameras: np.ndarray,
    side_px: float,
) -> tuple[Motion, ...]:
    """Return each body's motion.

    ``pixels`` (T, N, 2), ``cameras`` [R | t] (T, 3, 4), ``side_px`` the picture's shorter side.
    """
    motions = []
    for i in range(len(recipe.bodies)):
        word = _word(recipe, trajectory, i)
        hit = first_hit(trajectory, i)
        last = len(trajectory.states) - 1
        if hit is not None and word not in _AIMLESS:
            # The way before the touch, not the rebound.
            last = max(1, min(last, int(np.ceil(hit[0] * trajectory.rate_fps))))
        way = _direction(trajectory, i, last=last, pixels=pixels, cameras=cameras, side_px=side_px)
        motions.append(
            Motion(
                word=word,
                direction="" if word in _WAYLESS else way,
                bounces=max(0, len(_landings(trajectory, i)) - 1),
                target=None if hit is None or word in _AIMLESS else hit[1],
                on=_on(trajectory, i),
                into=_into(recipe, trajectory, i),
                by="hand" if _touched_by(trajectory, i, "hand") else "",
            )
        )
    return tuple(motions)


def first_hit(trajectory: Trajectory, index: int) -> tuple[float, int] | None:
    """Return when a body first hits another, and which one; None if it never does."""
    for contact in trajectory.contacts:
        pair = (contact.first, contact.second)
        if index in pair and contact.speed_mps > _HIT_MPS and contact.time_s > 0.02:
            other = pair[1] if pair[0] == index else pair[0]
            if isinstance(other, int):
                return contact.time_s, other
    return None


def tilts_deg(trajectory: Trajectory, index: int) -> np.ndarray:
    """Return by how much a body's own z axis has turned from its start, degrees (T,)."""
    axes = trajectory.rotations[:, index, :, 2]
    return np.degrees(np.arccos(np.clip(axes @ axes[0], -1, 1)))


def _word(recipe: Recipe, trajectory: Trajectory, index: int) -> str:
    body = recipe.bodies[index]
    if body.joint == "hinge":
        return "swings"
    path, start = trajectory.positions[:, index], trajectory.velocities[0, index]
    if start[2] > 0.8:
        return "flies"
    if path[0, 2] - rest_height(body) > 0.2 and not _supported(trajectory, index):
        return "flies" if np.hypot(start[0], start[1]) > 0.4 else "falls"
    upright = trajectory.rotations[0, index, 2, 2] > 0.85
    lying = body.shape in ("cylinder", "disk", "capsule") and not upright
    on_floor = "rolls" if body.shape == "ball" or lying else "slides"
    if np.linalg.norm(start) > 0.1:
        return on_floor
    return _word_from_rest(trajectory, index, ball=body.shape == "ball", on_floor=on_floor)


def _word_from_rest(trajectory: Trajectory, index: int, *, ball: bool, on_floor: str) -> str:
    path, on = trajectory.positions[:, index], _on(trajectory, index)
    moved = np.linalg.norm(path - path[0], axis=1).max()
    toppled = not ball and bool((tilts_deg(trajectory, index) > 50).any())
    if moved < _STILL_M and not toppled:
        return "still"
    if on == "plank" and (path[:, 2] - path[0, 2]).max() > 0.15:
        return "launched"
    if toppled and on != "ramp":
        return "topples"
    if on == "ramp":
        return on_floor
    touched = any(
        index in (c.first, c.second) and c.time_s > 0.02 and _is_mover(c, index)
        for c in trajectory.contacts
    )
    return "pushed" if touched else on_floor


def _is_mover(contact: Contact, index: int) -> bool:
    other = contact.second if contact.first == index else contact.first
    return isinstance(other, int) or other == "hand"


def _supported(trajectory: Trajectory, index: int) -> bool:
    """Return whether something holds the body at the start: it touches within 50 ms."""
    return any(index in (c.first, c.second) and c.time_s <= 0.05 for c in trajectory.contacts)


def _on(trajectory: Trajectory, index: int) -> str:
    """Return the furniture a body starts on, or ""."""
    for contact in trajectory.contacts:
        if contact.time_s <= 0.05 and index in (contact.first, contact.second):
            other = contact.second if contact.first == index else contact.first
            if other in ("ramp", "plank"):
                return str(other)
    return ""


def _into(recipe: Recipe, trajectory: Trajectory, index: int) -> str:
    """Return "box" when a body starts above an open box and ends between its walls."""
    walls = [prop for prop in recipe.props if prop.name.startswith("box")]
    start, end = trajectory.positions[0, index], trajectory.positions[-1, index]
    if not walls or start[2] < 0.5:
        return ""
    middle = np.mean([w.position for w in walls], axis=0)
    half = max(abs(w.position[0] - middle[0]) for w in walls)
    inside = np.abs(end[:2] - middle[:2]).max() < half and end[2] < 2 * middle[2] + 0.1
    return "box" if inside else ""


def _touched_by(trajectory: Trajectory, index: int, name: str) -> bool:
    return any({c.first, c.second} == {index, name} for c in trajectory.contacts)


def _landings(trajectory: Trajectory, index: int) -> list[float]:
    """Return when a body comes down on the floor, in s; rattling counts once."""
    times: list[float] = []
    for contact in trajectory.contacts:
        landing = {contact.first, contact.second} == {index, "floor"}
        rattle = bool(times) and contact.time_s - times[-1] <= 0.12
        if landing and contact.speed_mps > _BOUNCE_MPS and not rattle:
            times.append(contact.time_s)
    return times


def _direction(
    trajectory: Trajectory,
    index: int,
    *,
    last: int,
    pixels: np.ndarray,
    cameras: np.ndarray,
    side_px: float,
) -> str:
    way = trajectory.positions[last, index] - trajectory.positions[0, index]
    right, forward = cameras[0, 0, :3], cameras[0, 2, :3]
    ground = forward[:2] / np.linalg.norm(forward[:2])
    across, along = float(right @ way), float(ground @ way[:2])
    if max(abs(across), abs(along)) < 0.12:
        return ""
    if abs(across) >= 0.8 * abs(along):
        on_screen = float(pixels[last, index, 0] - pixels[0, index, 0])
        if abs(on_screen) < 0.05 * side_px or on_screen * across < 0:
            return ""
        return "left" if across < 0 else "right"
    ends = np.stack([trajectory.positions[0, index], trajectory.positions[last, index]])
    near = [float(cameras[t, 2, :3] @ ends[k] + cameras[t, 2, 3]) for k, t in ((0, 0), (1, last))]
    if (near[1] - near[0]) * along < 0:
        return ""
    return "toward" if along < 0 else "away"


def tell_events(
    trajectory: Trajectory,
    motions: tuple[Motion, ...],
    *,
    visible_px: np.ndarray,
    pixels: np.ndarray,
    size_px: tuple[int, int],
) -> tuple[Event, ...]:
    """Return what can be seen to happen, in order of time.

    ``visible_px`` (T, N) counts an object's pixels, ``size_px`` is (height, width).
    """
    least = LEAST_SHARE / 4 * min(size_px) ** 2
    seen = visible_px >= least
    events = _touches(trajectory, motions, seen)
    for time_s, i, kind in trajectory.rests:
        frame = _frame(trajectory, time_s)
        resumed = any(t > time_s and j == i for t, j, _ in trajectory.rests)
        told = seen[frame, i] and not resumed and motions[i].word != "still"
        if kind == "stops" and told and time_s > 0.2:
            events.append(Event(time_s, "stops", i))
    for i, motion in enumerate(motions):
        if motion.word not in ("still", "pushed", "topples", "launched") and seen[0, i]:
            side = "ramp" if motion.on == "ramp" else motion.direction
            events.append(Event(0.0, motion.word, i, side=side))
        events += _late_starts(trajectory, motion, i, seen[:, i])
        events += _comings(i, seen[:, i], pixels[:, i], size_px, trajectory.rate_fps)
    return tuple(sorted(events, key=lambda e: (round(e.time_s, 3), str(e.first), e.kind)))


def _touches(trajectory: Trajectory, motions: tuple[Motion, ...], seen: np.ndarray) -> list[Event]:
    events: list[Event] = []
    pairs: set[frozenset[int | str]] = set()
    landed: dict[int, float] = {}
    for contact in trajectory.contacts:
        a, b = contact.first, contact.second
        frame = _frame(trajectory, contact.time_s)
        bodies = [x for x in (a, b) if isinstance(x, int)]
        if contact.time_s < 0.06 or not any(seen[frame, i] for i in bodies):
            continue
        if "floor" in (a, b):
            i = bodies[0]
            again = contact.time_s - landed.get(i, -1.0)
            aloft = i in landed or motions[i].word in ("falls", "flies")
            if contact.speed_mps > (_BOUNCE_MPS if aloft else 2 * _BOUNCE_MPS) and again > 0.12:
                kind = "bounces" if i in landed else "lands"
                landed[i] = contact.time_s
                events.append(Event(contact.time_s, kind, i, "floor", contact.speed_mps))
        elif contact.speed_mps > _HIT_MPS:
            # The four walls of a box are one thing to hit.
            pair = frozenset(x if isinstance(x, int) else x.rstrip("0123456789") for x in (a, b))
            if pair in pairs:
                continue
            pairs.add(pair)
            events.append(Event(contact.time_s, "hits", a, b, contact.speed_mps))
    return events


def _late_starts(
    trajectory: Trajectory, motion: Motion, index: int, seen: np.ndarray
) -> list[Event]:
    """Return the instant a body falls over or is thrown up, if it is seen then."""
    if motion.word == "topples":
        when = tilts_deg(trajectory, index) > 50
    elif motion.word == "launched":
        height = trajectory.positions[:, index, 2]
        when = height - height[0] > 0.05
    else:
        return []
    frame = int(np.argmax(when))
    return [Event(frame / trajectory.rate_fps, motion.word, index)] if seen[frame] else []


def _comings(
    index: int, seen: np.ndarray, pixels: np.ndarray, size_px: tuple[int, int], rate_fps: float
) -> list[Event]:
    """Return entries, exits and disappearances of one object."""
    events = []
    for frame in range(1, len(seen)):
        if seen[frame] == seen[frame - 1]:
            continue
        x, y = pixels[frame]
        height, width = size_px
        edges = {"left": x, "right": width - x, "top": y, "bottom": height - y}
        side = min(edges, key=lambda name: edges[name])
        outside = edges[side] < 0.12 * min(size_px)
        if seen[frame]:
            kind = "enters" if outside else "reappears"
        else:
            kind = "exits" if outside else "hides"
        events.append(Event(frame / rate_fps, kind, index, side=side if outside else ""))
    return events


def _frame(trajectory: Trajectory, time_s: float) -> int:
    return min(len(trajectory.states) - 1, round(time_s * trajectory.rate_fps))
