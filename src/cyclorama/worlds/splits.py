"""Which split a recipe is of, and a recipe's name and text.

Splits follow from what a recipe contains, so they exclude one another: `test_pair` has a held-out
colour and shape (a Latin square: each colour and each shape is trained on), `test_mat` and
`test_cam` a held-out family with material or camera, `test_fast`, `test_slow`, `test_size`,
`test_bounce` and `test_count` a number beyond the trained range, `test_template` a family that is
never trained. A recipe with none of these is `val_id` for one hash in twenty, else `train`; with
several it is `mixed` and belongs to no set. After PhyWorld (Kang et al. 2024, arXiv:2411.02385).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cyclorama.worlds.bodies import Body, CameraPath, Hand, Prop, Recipe, Sun
from cyclorama.worlds.looks import COLOURS, SHAPES

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
USUAL_SPEED = (0.85, 1.15)
FAST_SPEED = (1.35, 1.6)
SLOW_SPEED = (0.4, 0.65)
MOST_USUAL_BOUNCE = 0.82
SIZES_HELD_OUT = ("tiny", "huge")


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
        "test_size": any(b.size in SIZES_HELD_OUT for b in bodies),
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


def _tupled(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tupled(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _tupled(item) for key, item in value.items()}
    return value
