"""The stage's six families: how objects are set up so that something worth telling happens.

A family is a function (rng, pick, *, count, speed) -> Layout. ``pick`` hands out a body with looks
and size, never twice the same colour and shape; the family places it and gives it a velocity.
All are laid out on the screen's own axes (x right, y away), so that motion is across the picture
and stays in it for two seconds. ``speed`` scales speeds. Families with more furniture are in
`families_full`.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from cyclorama.worlds.bodies import Body, Layout, Quat, Vec3, footprint, rest_height

Pick = Callable[..., Body]
Segment = tuple[float, float, float, float, float]  # x0, y0, x1, y1, radius on the floor
UPRIGHT = ("ball", "cube", "cylinder", "cone")


class NoRoomError(Exception):
    """The objects did not fit; the caller draws the scene anew."""


def reach(y: float, radius: float) -> float:
    """Return how far from the middle a body at depth ``y`` may stand and still be in view."""
    return 0.384 * (3.05 + 0.9 * y) - radius


def stand(body: Body, place: tuple[float, float]) -> Body:
    """Return the body standing on the floor at a place (x, y), a millimetre above it."""
    x, y = place
    return replace(body, position=(cut(x), cut(y), cut(rest_height(body) + 0.001)))


def place_still(
    rng: random.Random, body: Body, *, taken: list[Segment], crowded: bool = False
) -> Body:
    """Return the body standing somewhere clear of all taken strips, and take its place.

    In a crowd one may stand behind another, as long as they do not touch.
    """
    room = footprint(body)
    for _ in range(80):
        y = rng.uniform(-0.5, 0.8)
        x = rng.uniform(-0.85, 0.85) * max(0.1, reach(y, room))
        if clear((x, y), room + 0.07, taken=taken, crowded=crowded):
            taken.append((x, y, x, y, room))
            return stand(body, (x, y))
    raise NoRoomError


def clear(
    point: tuple[float, float], radius: float, *, taken: Sequence[Segment], crowded: bool = False
) -> bool:
    """Return whether a circle on the floor is clear of all strips and not hidden behind one."""
    px, py = point
    for x0, y0, x1, y1, other in taken:
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        t = 0.0 if length == 0 else min(1.0, max(0.0, ((px - x0) * dx + (py - y0) * dy) / length))
        if math.hypot(px - x0 - t * dx, py - y0 - t * dy) < radius + other:
            return False
        if not crowded and length == 0 and abs(px - x0) < 0.75 * (radius + other):
            return False  # one behind the other, seen from the camera
    return True


def roll(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Roll one or two balls or lying cylinders over the floor; the others stand still."""
    taken: list[Segment] = []
    movers = 2 if count > 1 and rng.random() < 0.3 else 1
    bodies = [_rolling(rng, pick, taken, speed) for _ in range(movers)]
    return with_still(rng, pick, bodies=bodies, count=count, taken=taken)


def slide(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Slide one or two cubes, cylinders or cones over a slippery floor; they slow down."""
    taken: list[Segment] = []
    bodies = []
    for _ in range(2 if count > 1 and rng.random() < 0.3 else 1):
        body = pick(("cube", "cylinder", "cone", "disk"))
        room = footprint(body)
        friction = rng.uniform(0.015, 0.05)
        x, y, ux, uy = _start(rng, room, taken)
        pace = rng.uniform(0.75, 1.15) * speed
        braking_m = pace * 2.0 - 0.5 * friction * 9.81 * 4.0
        travel = max(0.3, min(braking_m, pace * pace / (2 * friction * 9.81)))
        _take(taken, (x, y, x + ux * travel, y + uy * travel, room))
        turn = rng.uniform(0, 90)
        body = replace(stand(body, (x, y)), friction=cut(friction), quaternion=yaw(turn))
        bodies.append(replace(body, velocity=(cut(ux * pace), cut(uy * pace), 0.0)))
    return with_still(rng, pick, bodies=bodies, count=count, taken=taken)


def drop(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Drop one or two objects from above; the others stand still. ``speed`` has no say."""
    del speed
    taken: list[Segment] = []
    bodies = []
    for _ in range(2 if count > 1 and rng.random() < 0.4 else 1):
        body = place_still(rng, pick(), taken=taken)
        x, y, _ = body.position
        x *= 0.75
        height = rng.uniform(0.95, 1.45)
        drift = (cut(rng.uniform(-0.12, 0.12)), cut(rng.uniform(-0.12, 0.12)), 0.0)
        body = replace(body, position=(cut(x), y, cut(height)), velocity=drift)
        if body.shape != "ball" and rng.random() < 0.6:
            body = replace(body, quaternion=_any_turn(rng))
        bodies.append(body)
    return with_still(rng, pick, bodies=bodies, count=count, taken=taken)


def throw(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Throw one object across the picture in an arc; the others stand still."""
    taken: list[Segment] = []
    body = pick()
    room = footprint(body)
    side = rng.choice((-1.0, 1.0))
    y = rng.uniform(-0.35, 0.5)
    x = -side * reach(y, room) * rng.uniform(0.75, 1.0)
    pace = rng.uniform(0.6, 0.85) * speed
    _take(taken, (x, y, x + side * 2.2, y, room + 0.05))
    body = replace(
        body,
        position=(cut(x), cut(y), cut(rest_height(body) + rng.uniform(0.3, 0.55))),
        velocity=(cut(side * pace), cut(rng.uniform(-0.1, 0.1)), cut(rng.uniform(1.8, 2.7))),
        spin=cut_vector([rng.gauss(0, 1.0) for _ in range(3)]),
    )
    return with_still(rng, pick, bodies=[body], count=count, taken=taken)


def collide(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Roll a ball or slide a block into another object, which may come to meet it."""
    taken: list[Segment] = []
    y = rng.uniform(-0.3, 0.35)
    side = rng.choice((-1.0, 1.0))
    first = pick(("ball", "ball", "cube", "cylinder"))
    second = pick(UPRIGHT)
    x = -side * reach(y, footprint(first)) * rng.uniform(0.85, 1.05)
    meet = side * rng.uniform(0.05, 0.4)
    if abs(meet - x) < footprint(first) + footprint(second) + 0.15:
        raise NoRoomError
    pace = rng.uniform(0.9, 1.45) * speed
    first = launch(stand(first, (x, y)), (side * pace, 0.0))
    turn = yaw(rng.uniform(0, 90))
    second = replace(stand(second, (meet, y + rng.uniform(-0.06, 0.06))), quaternion=turn)
    if rng.random() < 0.3 and second.shape in ("ball", "cube", "cylinder"):
        start = side * reach(y, footprint(second))
        second = launch(stand(second, (start, y)), (-side * pace * rng.uniform(0.6, 1.0), 0.0))
    elif second.shape != "ball":
        second = replace(second, friction=cut(rng.uniform(0.1, 0.25)))
    # A light target: whatever the two are made of, it is seen to be knocked away.
    first, second = replace(first, density=1400.0), replace(second, density=500.0)
    room = max(footprint(first), footprint(second))
    taken.append((x, y, meet + side * 0.7, y, room))
    return with_still(rng, pick, bodies=[first, second], count=count, taken=taken)


def static(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Let every object stand still; what may move is the camera. ``speed`` has no say."""
    del speed
    return with_still(rng, pick, bodies=[], count=count, taken=[])


def _rolling(rng: random.Random, pick: Pick, taken: list[Segment], speed: float) -> Body:
    body = pick(("ball", "ball", "ball", "cylinder"))
    room = body.radius_m
    x, y, ux, uy = _start(rng, room, taken)
    pace = rng.uniform(0.45, 0.85) * speed
    _take(taken, (x, y, x + ux * 2 * pace, y + uy * 2 * pace, room))
    return launch(stand(body, (x, y)), (ux * pace, uy * pace))


def launch(body: Body, velocity: tuple[float, float]) -> Body:
    """Return a standing body set in motion: balls and cylinders roll, blocks slide."""
    vx, vy = velocity
    x, y, z = body.position
    if body.shape == "cylinder":
        # Laid on its side, its axis level and across the motion.
        r, heading = 0.75 * body.radius_m, math.degrees(math.atan2(vy, vx))
        z = r + 0.001
        lying = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)
        body = replace(body, quaternion=times(yaw(heading), lying))
    elif body.shape == "ball":
        r = body.radius_m
    else:
        return replace(body, velocity=(cut(vx), cut(vy), 0.0), friction=0.03)
    spin = (cut(-vy / r), cut(vx / r), 0.0)
    return replace(body, position=(x, y, cut(z)), velocity=(cut(vx), cut(vy), 0.0), spin=spin)


def _start(
    rng: random.Random, room: float, taken: Sequence[Segment]
) -> tuple[float, float, float, float]:
    """Return a start (x, y) and a unit direction: mostly across the screen, at times in depth."""
    del taken
    if rng.random() < 0.78:
        side = rng.choice((-1.0, 1.0))
        y = rng.uniform(-0.6, 0.6)
        x = -side * reach(y, room) * rng.uniform(0.6, 1.0)
        angle = math.radians(rng.uniform(-14, 14))
        return x, y, side * math.cos(angle), math.sin(angle)
    away = rng.choice((-1.0, 1.0))
    x = rng.uniform(-0.55, 0.55)
    y = rng.uniform(0.55, 0.8) if away < 0 else -rng.uniform(0.35, 0.55)
    angle = math.radians(rng.uniform(-12, 12))
    return x, y, math.sin(angle), away * math.cos(angle)


def _take(taken: list[Segment], strip: Segment) -> None:
    """Take a strip of the floor; NoRoomError when it crosses one that is taken."""
    x0, y0, x1, y1, radius = strip
    for step in range(9):
        point = (x0 + (x1 - x0) * step / 8, y0 + (y1 - y0) * step / 8)
        for other in taken:
            ox0, oy0, ox1, oy1, room = other
            for i in range(9):
                gap = math.hypot(
                    point[0] - ox0 - (ox1 - ox0) * i / 8, point[1] - oy0 - (oy1 - oy0) * i / 8
                )
                if gap < radius + room + 0.04:
                    raise NoRoomError
    taken.append(strip)


def with_still(
    rng: random.Random,
    pick: Pick,
    *,
    bodies: list[Body],
    count: int,
    taken: list[Segment],
    crowded: bool = False,
) -> Layout:
    """Return the movers and as many standing bodies as are still wanted."""
    while len(bodies) < count:
        many = count > 5
        body = pick(sizes=("small", "medium")) if many else pick()
        body = place_still(rng, body, taken=taken, crowded=crowded or many)
        bodies.append(replace(body, quaternion=yaw(rng.uniform(0, 90))))
    return Layout(tuple(bodies))


def yaw(degrees: float) -> Quat:
    """Return the turn about the vertical."""
    half = math.radians(degrees) / 2
    return (cut(math.cos(half), 6), 0.0, 0.0, cut(math.sin(half), 6))


def _any_turn(rng: random.Random) -> Quat:
    numbers = [rng.gauss(0, 1) for _ in range(4)]
    norm = math.sqrt(sum(n * n for n in numbers))
    w, x, y, z = (cut(n / norm, 6) for n in numbers)
    return (w, x, y, z)


def times(a: Quat, b: Quat) -> Quat:
    """Return the quaternion product a b: first turn by b, then by a."""
    w = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]
    x = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2]
    y = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1]
    z = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0]
    return (cut(w, 6), cut(x, 6), cut(y, 6), cut(z, 6))


def cut(value: float, digits: int = 4) -> float:
    """Round, so that a recipe's JSON is short and exact; -0.0 becomes 0.0."""
    return round(value, digits) + 0.0


def cut_vector(values: Sequence[float]) -> Vec3:
    """Return three rounded numbers."""
    x, y, z = (cut(v) for v in values)
    return (x, y, z)
