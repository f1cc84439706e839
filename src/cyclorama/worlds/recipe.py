"""From a seed to a recipe, and from a recipe to its split.

Picture a stage hand who is given a number and a domain (which props, how many, which cameras) and
lays a scene; the number alone decides it. Splits follow from what a recipe contains, so they
exclude one another: `test_pair` has a held-out colour and shape (a Latin square: each colour and
each shape is trained on), `test_mat` and `test_cam` a held-out family with material or camera,
`test_fast`, `test_slow`, `test_size`, `test_bounce` and `test_count` a number beyond the trained
range, `test_template` a family that is never trained. A recipe with none of these is `val_id` for
one hash in twenty, else `train`; with several it is `mixed` and belongs to no set. After PhyWorld
(Kang et al. 2024, arXiv:2411.02385). Leaves out rendering; `check` decides what is worth showing.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cyclorama.worlds.bodies import (
    Body,
    CameraPath,
    Hand,
    Layout,
    Prop,
    Recipe,
    Sun,
)
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
from cyclorama.worlds.looks import COLOURS, MATERIALS, SHAPES, SIZES_M, contrast

SPLITS = (
    "train",
    "val_id",
    "test_pair",
    "test_mat",
    "test_cam",
    "test_fast",
    "test_slow",
    "test_size",
    "test_bounce",
    "test_count",
    "test_template",
)
Weights = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Domain:
    """Which scenes there are. Pairs are (word, weight); weights need not sum to one."""

    name: str
    families: Weights
    num_objects: tuple[tuple[int, float], ...]
    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    sizes: Weights
    materials: Weights
    floors: Weights
    lights: Weights
    skies: Weights
    cameras: Weights
    test_count: tuple[int, int]
    azimuth_spread_deg: float = 12.0
    elevation_deg: tuple[float, float] = (-29.0, -17.0)
    distance_m: tuple[float, float] = (2.9, 3.25)
    own_colour: float = 0.85  # chance that a body avoids colours already used


FAMILIES = {
    "roll": roll,
    "drop": drop,
    "throw": throw,
    "slide": slide,
    "collide": collide,
    "static": static,
}
TEMPLATES_HELD_OUT = ("contain", "link")
MATERIALS_HELD_OUT = (
    ("throw", "metal"),
    ("slide", "wood"),
    ("push", "rubber"),
    ("slope", "metal"),
    ("tower", "rubber"),
)
CAMERAS_HELD_OUT = (
    ("throw", "orbit left"),
    ("drop", "dolly in"),
    ("slope", "orbit right"),
    ("push", "pan left"),
    ("occlude", "dolly out"),
)
SPEED_FAMILIES = ("roll", "throw", "slide", "collide", "occlude", "push", "domino")
USUAL_SPEED = (0.85, 1.15)
FAST_SPEED = (1.35, 1.6)
SLOW_SPEED = (0.4, 0.65)
MOST_USUAL_BOUNCE = 0.82
_SIZES_HELD_OUT = ("tiny", "huge")


def pair_held_out(colour: str, shape: str) -> bool:
    """Return whether training never sees this colour on this shape."""
    # 3 and 8 have no common divisor, so that of the first 8 colours each shape lacks just one.
    number = list(COLOURS).index(colour) + 3 * SHAPES.index(shape)
    return number % 8 == 7


def traits(recipe: Recipe) -> tuple[str, ...]:
    """Return the test splits whose peculiarity a recipe has."""
    family, bodies = recipe.family, recipe.bodies
    found = {
        "test_pair": any(pair_held_out(b.colour, b.shape) for b in bodies),
        "test_mat": any((family, b.material) in MATERIALS_HELD_OUT for b in bodies),
        "test_cam": (family, recipe.camera.move) in CAMERAS_HELD_OUT,
        "test_fast": recipe.speed > USUAL_SPEED[1],
        "test_slow": recipe.speed < USUAL_SPEED[0],
        "test_size": any(b.size in _SIZES_HELD_OUT for b in bodies),
        "test_bounce": any(b.restitution > MOST_USUAL_BOUNCE for b in bodies),
        "test_count": len(bodies) > recipe.usual_count,
        "test_template": family in TEMPLATES_HELD_OUT,
    }
    return tuple(name for name, present in found.items() if present)


def split_of(recipe: Recipe) -> str:
    """Return the one split a recipe is of, or "mixed" when it has several peculiarities."""
    found = traits(recipe)
    if found:
        return found[0] if len(found) == 1 else "mixed"
    return "val_id" if int(recipe_hash(recipe)[:8], 16) % 20 == 0 else "train"


def recipe_hash(recipe: Recipe) -> str:
    """Return 64 hex digits that depend on the scene alone, not on the seed that led to it."""
    content = asdict(recipe)
    del content["seed"], content["domain"], content["usual_count"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def recipe_to_json(recipe: Recipe) -> str:
    """Return a recipe as one line of JSON."""
    return json.dumps(asdict(recipe), sort_keys=True)


def recipe_from_json(text: str) -> Recipe:
    """Return the recipe of a JSON line; ValueError when fields are missing or unknown."""
    try:
        fields = _tupled(json.loads(text))
        return Recipe(
            **{
                **fields,
                "bodies": tuple(Body(**body) for body in fields["bodies"]),
                "props": tuple(Prop(**prop) for prop in fields["props"]),
                "hand": Hand(**fields["hand"]) if fields["hand"] else None,
                "sun": Sun(**fields["sun"]),
                "camera": CameraPath(**fields["camera"]),
            }
        )
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"not a recipe ({error}): {text[:80]!r}") from error


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
    if split == "test_template" and domain.name == "stage":
        raise ValueError("the stage has no held-out families; use the domain 'full'")
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
        layout: Layout = FAMILIES[family](rng, pick, count, speed)
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
        allowed = [(f, 1.0) for f in TEMPLATES_HELD_OUT]
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

    def pick(shapes: tuple[str, ...] | None = None) -> Body:
        special = not used
        wanted = [s for s in shapes or domain.shapes if s in domain.shapes]
        held = special and twist == "test_pair"
        pairs = [
            (colour, shape)
            for shape in wanted
            for colour in domain.colours
            if pair_held_out(colour, shape) == held
            and (colour, shape) not in used
            and contrast(colour, floor) > 0.33
        ]
        if not pairs:
            raise NoRoomError
        # Mostly a colour of its own: two of one colour melt together where they overlap.
        fresh = [p for p in pairs if p[0] not in {colour for colour, _ in used}]
        colour, shape = rng.choice(fresh if fresh and rng.random() < domain.own_colour else pairs)
        used.add((colour, shape))
        size = _choose(rng, domain.sizes)
        if special and twist == "test_size":
            size = rng.choice(_SIZES_HELD_OUT)
        materials = [(m, w) for m, w in domain.materials if (family, m) not in MATERIALS_HELD_OUT]
        if special and twist == "test_mat":
            materials = [(m, 1.0) for f, m in MATERIALS_HELD_OUT if f == family]
        material = _choose(rng, materials)
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
    azimuth = rng.choice((-1.0, 1.0)) * rng.uniform(15, 65) - 90
    return Sun(_choose(rng, domain.lights), round(azimuth, 2), round(rng.uniform(40, 58), 2))


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


def _tupled(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tupled(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _tupled(item) for key, item in value.items()}
    return value


STAGE = Domain(
    name="stage",
    families=(
        ("roll", 0.22),
        ("drop", 0.2),
        ("throw", 0.14),
        ("slide", 0.18),
        ("collide", 0.26),
        ("static", 0.08),
    ),
    num_objects=((1, 0.4), (2, 0.4), (3, 0.2)),
    colours=("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink"),
    shapes=("ball", "cube", "cylinder", "cone"),
    sizes=(("medium", 0.5), ("large", 0.5)),
    materials=(("rubber", 0.6), ("metal", 0.4)),
    floors=(
        ("gray", 0.24),
        ("white", 0.2),
        ("beige", 0.18),
        ("charcoal", 0.2),
        ("checkered", 0.18),
    ),
    lights=(("bright", 1.0),),
    skies=(("blue", 0.5), ("pale", 0.5)),
    cameras=(
        ("static", 0.6),
        ("orbit left", 0.1),
        ("orbit right", 0.1),
        ("dolly in", 0.1),
        ("dolly out", 0.1),
    ),
    test_count=(4, 5),
)
DOMAINS = {"stage": STAGE}
