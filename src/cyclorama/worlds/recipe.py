"""From a seed to a recipe: the number alone decides the scene.

Picture a stage hand who is given a number and a domain (which props, how many, which cameras) and
lays a scene. A draft may have no room or be dull; `sample_recipe` and `recipes` go on until
`check` finds one worth showing. The stage's recipes are a promise: caches and trained weights
depend on them, so the order of random draws must not change. Leaves out rendering (`episode`)
and what makes a split (`splits`).
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cyclorama.worlds.bodies import Body, CameraPath, Layout, Recipe, Sun
from cyclorama.worlds.domains import DOMAINS, FULL, STAGE, Domain
from cyclorama.worlds.families import (
    NoRoomError,
    Pick,
    collide,
    drop,
    roll,
    slide,
    static,
    throw,
)
from cyclorama.worlds.families_full import (
    contain,
    crowd,
    domino,
    link,
    occlude,
    pendulum,
    push,
    slope,
    tower,
)
from cyclorama.worlds.looks import MATERIALS, SIZES_M, contrast
from cyclorama.worlds.splits import (
    CAMERAS_HELD_OUT,
    FAST_SPEED,
    MATERIALS_HELD_OUT,
    SIZES_HELD_OUT,
    SLOW_SPEED,
    SPLITS,
    TEMPLATES_HELD_OUT,
    USUAL_SPEED,
    pair_held_out,
    recipe_from_json,
    recipe_hash,
    recipe_to_json,
    split_of,
    traits,
)

__all__ = [
    "DOMAINS",
    "FAMILIES",
    "FULL",
    "SPLITS",
    "STAGE",
    "Domain",
    "Recipe",
    "draft",
    "pair_held_out",
    "recipe_from_json",
    "recipe_hash",
    "recipe_to_json",
    "recipes",
    "sample_recipe",
    "split_of",
    "traits",
]

FAMILIES: dict[str, Callable[..., Layout]] = {
    "roll": roll,
    "drop": drop,
    "throw": throw,
    "slide": slide,
    "collide": collide,
    "static": static,
    "slope": slope,
    "pendulum": pendulum,
    "domino": domino,
    "tower": tower,
    "occlude": occlude,
    "push": push,
    "crowd": crowd,
    "contain": contain,
    "link": link,
}
LEAST_CONTRAST = 0.38  # RGB distance of a colour from both tones of the floor
SPEED_FAMILIES = ("roll", "throw", "slide", "collide", "occlude", "push", "domino", "crowd")


def sample_recipe(seed: int, domain: Domain) -> Recipe:
    """Return the scene of a seed: the first of its drafts that is worth showing.

    Draws as training does, so the split is `train` or `val_id`. Simulates to see what happens.
    """
    from cyclorama.worlds.check import why_rejected

    for attempt in range(1000):
        recipe = draft(seed, domain, attempt=attempt)
        if recipe is not None and not why_rejected(recipe):
            return recipe
    raise ValueError(f"domain {domain.name!r} gives no scene for seed {seed}: widen it")


def recipes(split: str, *, domain: Domain, start: int = 0) -> Iterator[Recipe]:
    """Yield the recipes of a split for ever, from seed ``start``; at most one of each seed.

    Every one was simulated and found worth showing. ValueError for an unknown split.
    """
    from cyclorama.worlds.check import why_rejected

    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if split == "test_template" and not set(TEMPLATES_HELD_OUT) & set(dict(domain.families)):
        raise ValueError(f"domain {domain.name!r} has no held-out families; use 'full'")
    twist = split if split.startswith("test_") else ""
    seed = start
    while True:
        recipe = draft(seed, domain, twist=twist)
        if recipe is not None and split_of(recipe) == split and not why_rejected(recipe):
            yield recipe
        seed += 1


def draft(seed: int, domain: Domain, *, twist: str = "", attempt: int = 0) -> Recipe | None:
    """Return an unchecked scene, or None when it has no room or a colour like the floor.

    ``twist`` names a test split whose peculiarity is wanted; without it none is drawn.
    """
    rng = random.Random(f"{domain.name}/{twist}/{seed}/{attempt}")
    count = _choose(rng, domain.num_objects)
    if twist == "test_count":
        count = rng.randint(*domain.test_count)
    family = _family(rng, domain, count, twist)
    move = _camera_move(rng, domain, family, twist)
    floor = _choose(rng, domain.floors)
    low, high = {"test_fast": FAST_SPEED, "test_slow": SLOW_SPEED}.get(twist, USUAL_SPEED)
    speed = round(rng.uniform(low, high), 3)
    pick = _picker(rng, domain, family, floor=floor, twist=twist)
    try:
        layout: Layout = FAMILIES[family](rng, pick, count=count, speed=speed)
    except NoRoomError:
        return None
    return Recipe(
        seed=seed,
        domain=domain.name,
        family=family,
        bodies=layout.bodies,
        props=layout.props,
        hand=layout.hand,
        floor=floor,
        sky=_choose(rng, domain.skies),
        sun=_sun(rng, domain),
        camera=_camera(rng, domain, move),
        speed=speed,
        usual_count=max(number for number, _ in domain.num_objects),
    )


def _family(rng: random.Random, domain: Domain, count: int, twist: str) -> str:
    allowed = [(f, w) for f, w in domain.families if f not in TEMPLATES_HELD_OUT]
    if count < 2:
        allowed = [(f, w) for f, w in allowed if f != "collide"]
    if twist in ("test_fast", "test_slow"):
        allowed = [(f, w) for f, w in allowed if f in SPEED_FAMILIES]
    elif twist == "test_bounce":
        allowed = [(f, w) for f, w in allowed if f in ("drop", "throw")]
    elif twist == "test_mat":
        allowed = [(f, w) for f, w in allowed if f in dict(MATERIALS_HELD_OUT)]
    elif twist == "test_cam":
        allowed = [(f, w) for f, w in allowed if f in dict(CAMERAS_HELD_OUT)]
    elif twist == "test_template":
        allowed = [(f, 1.0) for f, _ in domain.families if f in TEMPLATES_HELD_OUT]
    elif twist == "test_count" and count > 6:
        allowed = [(f, w) for f, w in allowed if f in ("crowd", "static")]
    return _choose(rng, allowed)


def _camera_move(rng: random.Random, domain: Domain, family: str, twist: str) -> str:
    moves = [(m, w) for m, w in domain.cameras if (family, m) not in CAMERAS_HELD_OUT]
    if twist == "test_cam":
        moves = [(m, 1.0) for f, m in CAMERAS_HELD_OUT if f == family]
    elif family == "static":
        moves = [(m, w * (0.4 if m == "static" else 1.0)) for m, w in moves]
    return _choose(rng, moves)


def _picker(rng: random.Random, domain: Domain, family: str, *, floor: str, twist: str) -> Pick:
    """Return the function that hands out bodies with looks; the first one has the twist."""
    used: set[tuple[str, str]] = set()

    def pick(
        shapes: tuple[str, ...] | None = None,
        *,
        sizes: tuple[str, ...] | None = None,
        materials: tuple[str, ...] | None = None,
    ) -> Body:
        special = not used
        # Dominoes stand in rows; nothing else asks for them.
        wanted = [s for s in shapes or domain.shapes if s in domain.shapes]
        wanted = [s for s in wanted if s != "domino" or family == "domino"]
        held = special and twist == "test_pair"
        pairs = [
            (colour, shape)
            for shape in wanted
            for colour in domain.colours
            if pair_held_out(colour, shape) == held
            and (colour, shape) not in used
            and contrast(colour, floor) > LEAST_CONTRAST
        ]
        if not pairs:
            raise NoRoomError
        # Mostly a colour of its own: two of one colour melt together where they overlap.
        fresh = [p for p in pairs if p[0] not in {colour for colour, _ in used}]
        colour, shape = rng.choice(fresh if fresh and rng.random() < domain.own_colour else pairs)
        used.add((colour, shape))
        size = _choose(rng, [(z, w) for z, w in domain.sizes if z in (sizes or dict(domain.sizes))])
        if special and twist == "test_size":
            size = rng.choice(SIZES_HELD_OUT)
        kinds = [
            (m, w)
            for m, w in domain.materials
            if m in (materials or MATERIALS) and (family, m) not in MATERIALS_HELD_OUT
        ]
        if special and twist == "test_mat":
            kinds = [(m, 1.0) for f, m in MATERIALS_HELD_OUT if f == family]
        material = _choose(rng, kinds)
        about = MATERIALS[material]
        bounce = rng.uniform(*about.restitution)
        if special and twist == "test_bounce":
            bounce = rng.uniform(0.88, 0.94)
        return Body(
            colour=colour,
            shape=shape,
            size=size,
            material=material,
            radius_m=SIZES_M[size],
            friction=about.friction,
            rolling=about.rolling,
            restitution=round(bounce, 3),
            density=about.density,
        )

    return pick


def _sun(rng: random.Random, domain: Domain) -> Sun:
    # From behind the camera or the side: objects show their lit faces, shadows fall in view.
    azimuth = rng.choice((-1.0, 1.0)) * rng.uniform(*domain.sun_azimuth_deg) - 90
    elevation = rng.uniform(*domain.sun_elevation_deg)
    return Sun(_choose(rng, domain.lights), round(azimuth, 2), round(elevation, 2))


def _camera(rng: random.Random, domain: Domain, move: str) -> CameraPath:
    spread = domain.azimuth_spread_deg
    return CameraPath(
        move=move,
        azimuth_deg=round(90 + rng.uniform(-spread, spread), 2),
        elevation_deg=round(rng.uniform(*domain.elevation_deg), 2),
        distance_m=round(rng.uniform(*domain.distance_m), 3),
        look=(round(rng.uniform(-0.08, 0.08), 3), round(rng.uniform(-0.08, 0.08), 3), 0.34),
        amount=round(rng.uniform(0.7, 1.0), 3),
    )


def _choose(rng: random.Random, weighted: Sequence[tuple[Any, float]]) -> Any:
    return rng.choices([item for item, _ in weighted], [weight for _, weight in weighted])[0]
