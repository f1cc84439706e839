"""Families with furniture: ramps, strings, dominoes, towers, walls, hands, boxes and seesaws.

Same contract as `families`: (rng, pick, *, count, speed) -> Layout on the screen's axes. `contain`
and `link` are never trained on: they ask whether a model that has seen falling, hitting and
standing understands a box and a lever. Families with a plot of their own choose their own number
of objects, at most six.
"""

import math
import random
from dataclasses import replace

from cyclorama.worlds.bodies import Body, Hand, Layout, Prop, footprint, rest_height
from cyclorama.worlds.families import (
    NoRoomError,
    Pick,
    Segment,
    cut,
    cut_vector,
    launch,
    place_still,
    stand,
    times,
    with_still,
    yaw,
)

_LYING = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)
_SMALLER = ("tiny", "small", "medium")


def slope(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Let one or two objects roll or slide down a ramp; another may stand at its foot."""
    del speed
    side = rng.choice((-1.0, 1.0))
    angle = rng.uniform(16, 28)
    slant = math.radians(angle)
    half, thick = rng.uniform(0.8, 0.95), 0.03
    x0, y0, z0 = -side * rng.uniform(0.55, 0.7), rng.uniform(-0.15, 0.3), half * math.sin(slant)
    size, euler = (half, 0.62, thick), (0.0, side * angle, 0.0)
    ramp = Prop("ramp", "box", cut_vector(size), cut_vector((x0, y0, z0)), cut_vector(euler))
    bodies = []
    for number in range(min(count, 2) if rng.random() < 0.4 else 1):
        body = pick(("ball", "cylinder", "cube", "disk"), sizes=("small", "medium"))
        along = half - 0.35 - 0.75 * number
        lift = rest_height(body)
        tilt = (math.cos(slant / 2), 0.0, side * math.sin(slant / 2), 0.0)
        if body.shape == "cylinder":
            lift = 0.75 * body.radius_m
            tilt = times(tilt, _LYING)
        elif body.shape != "ball":
            body = replace(body, friction=cut(rng.uniform(0.05, 0.5) * math.tan(slant)))
        lift += thick + 0.002
        x = x0 - side * along * math.cos(slant) + side * lift * math.sin(slant)
        z = z0 + along * math.sin(slant) + lift * math.cos(slant)
        y = y0 + rng.uniform(-0.15, 0.15)
        tilt = tuple(cut(q, 6) for q in tilt)
        bodies.append(replace(body, position=cut_vector((x, y, z)), quaternion=tilt))
    taken: list[Segment] = [(x0 - side * half, y0, x0 + side * half, y0, 0.7)]
    if len(bodies) < count:
        foot = pick()
        at = x0 + side * (half * math.cos(slant) + footprint(foot) + rng.uniform(0.1, 0.45))
        bodies.append(stand(foot, (at, y0 + rng.uniform(-0.1, 0.1))))
        taken.append((at, y0, at, y0, footprint(foot)))
    layout = with_still(rng, pick, bodies=bodies, count=min(count, 4), taken=taken)
    return replace(layout, props=(ramp,))


def pendulum(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Let a ball swing on a rod into objects that stand at the lowest point of its way."""
    del speed
    side = rng.choice((-1.0, 1.0))
    ball = pick(("ball",), sizes=("medium", "large"))
    y, length = rng.uniform(0.0, 0.25), rng.uniform(1.1, 1.25)
    low = ball.radius_m + 0.03
    top = length + low
    ball = replace(
        ball,
        joint="hinge",
        position=cut_vector((0.0, y, low)),
        pivot=cut_vector((0.0, y, top)),
        # Turning about +y carries a hanging ball toward -x.
        angle_deg=cut(-side * rng.uniform(40, 68)),
    )
    pole = Prop("pole", "box", (0.03, 0.03, cut(top / 2)), cut_vector((0.0, y + 0.5, top / 2)))
    beam_size = (0.025, 0.25, 0.025)
    beam = Prop("beam", "box", beam_size, cut_vector((0.0, y + 0.25, top)), solid=False)
    bodies, at = [ball], 0.0
    for _ in range(min(count, 4) - 1):
        body = pick(("cube", "cylinder", "ball", "cone"), sizes=("small", "medium"))
        at += (ball.radius_m + 0.04 if at == 0.0 else bodies[-1].radius_m) + body.radius_m
        placed = stand(body, (-side * (at + rng.uniform(0.0, 0.1)), y + rng.uniform(-0.04, 0.04)))
        bodies.append(placed)
    return Layout(tuple(bodies), (pole, beam))


def domino(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Let a ball roll into a row of three to five dominoes."""
    side = rng.choice((-1.0, 1.0))
    y = rng.uniform(-0.2, 0.3)
    bodies: list[Body] = []
    gap = rng.uniform(0.27, 0.34)
    number = max(3, min(5, count))
    for i in range(number):
        block = pick(("domino",), sizes=("medium",), materials=("wood",))
        block = replace(block, friction=0.35)
        bodies.append(stand(block, (side * (gap * i - 0.35), y)))
    ball = pick(("ball",), sizes=("small", "medium"))
    x = -side * (0.35 + ball.radius_m + rng.uniform(0.35, 0.6))
    # Heavy enough to topple the first block at any trained speed.
    ball = replace(ball, density=max(ball.density, 1500.0))
    ball = launch(stand(ball, (x, y + rng.uniform(-0.03, 0.03))), (side * 1.3 * speed, 0.0))
    return Layout((*bodies, ball))


def tower(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Stack three or four objects, crookedly or in the way of a ball."""
    del speed
    x, y, z = rng.uniform(-0.2, 0.2), rng.uniform(0.0, 0.3), 0.0
    hit = rng.random() < 0.6
    bodies: list[Body] = []
    for number in range(3 if count < 4 else 4):
        body = pick(("cube", "cylinder", "disk"), sizes=("small", "medium"))
        # Dead on impact: a springy stack never comes to rest.
        body = replace(body, restitution=min(body.restitution, 0.3), friction=0.6)
        height = rest_height(body)
        if number:
            x += rng.gauss(0.0, 0.02 if hit else 0.11)
        z += height
        placed = cut_vector((x, y, z + 0.0005 * (number + 1)))
        bodies.append(replace(body, position=placed, quaternion=yaw(rng.uniform(-15, 15))))
        z += height
    if hit:
        side = rng.choice((-1.0, 1.0))
        ball = pick(("ball",), sizes=("medium", "large"))
        ball = replace(ball, density=max(ball.density, 1500.0))
        start = stand(ball, (-side * rng.uniform(1.0, 1.2), y + rng.uniform(-0.05, 0.05)))
        bodies.append(launch(start, (side * rng.uniform(1.3, 2.0), 0.0)))
    return Layout(tuple(bodies))


def occlude(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Let an object pass behind a wall and come out on the other side."""
    side = rng.choice((-1.0, 1.0))
    half = rng.uniform(0.36, 0.46)
    wall = Prop("wall", "box", cut_vector((half, 0.03, 0.4)), (0.0, -0.45, 0.4))
    mover = pick(("ball", "ball", "cylinder", "cube"), sizes=_SMALLER)
    y = rng.uniform(0.0, 0.25)
    start = stand(mover, (-side * rng.uniform(1.0, 1.2), y))
    mover = launch(start, (side * rng.uniform(1.0, 1.3) * speed, 0.0))
    taken: list[Segment] = [(-1.3, y, 1.6, y, footprint(mover)), (-half, -0.45, half, -0.45, 0.12)]
    layout = with_still(rng, pick, bodies=[mover], count=min(count, 3), taken=taken, crowded=True)
    return replace(layout, props=(wall,))


def push(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Let a hand push one object, perhaps into another."""
    side = rng.choice((-1.0, 1.0))
    angle = math.radians(rng.uniform(-25, 25))
    ux, uy = side * math.cos(angle), math.sin(angle)
    y = rng.uniform(-0.2, 0.3)
    first = replace(
        stand(pick(), (-side * rng.uniform(0.2, 0.5), y)), quaternion=yaw(rng.uniform(0, 90))
    )
    x = first.position[0]
    back = footprint(first) + 0.1 + rng.uniform(0.15, 0.3)
    hand = Hand(
        start=cut_vector((x - ux * back, y - uy * back, 0.31)),
        direction=cut_vector((ux, uy, 0.0)),
        speed_mps=cut(rng.uniform(0.6, 0.9) * speed),
        duration_s=cut(rng.uniform(1.0, 1.6)),
    )
    room = footprint(first) + 0.05
    taken: list[Segment] = [(x - ux * back, y - uy * back, x + ux * 0.9, y + uy * 0.9, room)]
    bodies = [first]
    if count > 1 and rng.random() < 0.5:
        second, ahead = pick(), rng.uniform(0.1, 0.3)
        ahead += footprint(first) + footprint(second)
        bodies.append(stand(second, (x + ux * ahead, y + uy * ahead)))
    layout = with_still(rng, pick, bodies=bodies, count=count, taken=taken, crowded=True)
    return replace(layout, hand=hand)


def crowd(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Send several objects toward the middle, where others stand."""
    many = max(3, count)
    sizes = ("small",) if many > 6 else ("small", "medium")
    taken: list[Segment] = []
    bodies = [place_still(rng, pick(sizes=sizes), taken=taken, crowded=True) for _ in range(many)]
    movers = max(2, many // 2)
    # The outermost ones move: the middle is where they meet.
    order = sorted(range(many), key=lambda i: -abs(bodies[i].position[0]))
    for i in order[:movers]:
        x, y, _ = bodies[i].position
        way_x, way_y = -x + rng.uniform(-0.2, 0.2), 0.2 - y + rng.uniform(-0.2, 0.2)
        norm = math.hypot(way_x, way_y)
        if norm < 0.3:
            raise NoRoomError
        pace = rng.uniform(0.8, 1.4) * speed / norm
        bodies[i] = launch(bodies[i], (way_x * pace, way_y * pace))
    return Layout(tuple(bodies))


def contain(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Drop objects into an open box and beside it."""
    del speed
    half, tall, thin = rng.uniform(0.42, 0.5), rng.uniform(0.14, 0.2), 0.025
    x, y = rng.uniform(-0.3, 0.3), rng.uniform(0.0, 0.3)
    walls = []
    for number, (dx, dy) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1))):
        size = (thin, half, tall) if dx else (half, thin, tall)
        place = (x + dx * half, y + dy * half, tall)
        walls.append(Prop(f"box{number}", "box", cut_vector(size), cut_vector(place)))
    bodies = []
    for number in range(2 if count > 2 and rng.random() < 0.4 else 1):
        body = pick(sizes=("small",))
        at = (x + rng.uniform(-0.1, 0.1), y + rng.uniform(-0.1, 0.1), 0.9 + 0.55 * number)
        bodies.append(replace(body, position=cut_vector(at)))
    taken: list[Segment] = [(x - 0.2, y, x + 0.2, y, half + 0.2)]
    layout = with_still(rng, pick, bodies=bodies, count=min(count, 4), taken=taken, crowded=True)
    return replace(layout, props=tuple(walls))


def link(rng: random.Random, pick: Pick, *, count: int, speed: float) -> Layout:
    """Drop an object on one end of a seesaw; the one on the other end is thrown up."""
    del count, speed
    side = rng.choice((-1.0, 1.0))
    y, height = rng.uniform(0.0, 0.25), rng.uniform(0.24, 0.3)
    half = rng.uniform(0.75, 0.85)
    plank_size = cut_vector((half, 0.3, 0.025))
    plank = Prop("plank", "box", plank_size, cut_vector((0.0, y, height)), hinged=True)
    rest = cut_vector((0.05, 0.28, height / 2 - 0.015))
    foot = Prop("block", "box", rest, cut_vector((0.0, y, height / 2 - 0.015)), solid=False)
    light = pick(("cube", "ball", "cylinder"), sizes=("small",))
    light = replace(light, density=350.0, restitution=0.3)
    top = height + 0.027
    seat = (-side * (half - 0.22), y, top + rest_height(light))
    heavy = pick(("ball", "cube"), sizes=("medium",))
    heavy = replace(heavy, density=1800.0, restitution=0.3)
    fall = (side * (half - 0.2), y, top + rest_height(heavy) + rng.uniform(0.6, 0.85))
    bodies = (replace(light, position=cut_vector(seat)), replace(heavy, position=cut_vector(fall)))
    return Layout(bodies, (plank, foot))
