"""Domains: which scenes there are, and how often.

A domain is a casting list with weights. `stage` is narrow on purpose, and what the bundled
generator is judged on; `practice` is the stage with more of what is hard, to train on, and `tour`
that under a camera that mostly moves; `trio` has more objects a scene; `full` has every family,
look and camera. The two held-out families of `full` are drawn for `test_template` alone.
"""

from dataclasses import dataclass, replace

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
    sun_azimuth_deg: tuple[float, float] = (15, 65)  # to either side of the camera's back
    sun_elevation_deg: tuple[float, float] = (40, 58)


STAGE = Domain(
    name="stage",
    families=(
        ("roll", 0.22),
        ("drop", 0.2),
        ("throw", 0.14),
        ("slide", 0.18),
        ("collide", 0.45),  # two of three drafts fail the check, so it is asked for more often
        ("static", 0.1),
    ),
    num_objects=((1, 0.4), (2, 0.4), (3, 0.2)),
    colours=("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink"),
    shapes=("ball", "cube", "cylinder", "cone"),
    sizes=(("medium", 0.3), ("large", 0.7)),
    materials=(("rubber", 1.0),),
    floors=(
        ("gray", 0.28),
        ("white", 0.24),
        ("beige", 0.22),
        ("charcoal", 0.26),
    ),
    lights=(("bright", 1.0),),
    skies=(("blue", 0.5), ("pale", 0.5)),
    cameras=(
        ("static", 0.8),
        ("orbit left", 0.05),
        ("orbit right", 0.05),
        ("dolly in", 0.05),
        ("dolly out", 0.05),
    ),
    test_count=(4, 5),
    azimuth_spread_deg=4.0,
    elevation_deg=(-25.0, -21.0),
    distance_m=(3.0, 3.1),
    sun_azimuth_deg=(36, 44),
    sun_elevation_deg=(48, 52),
)
FULL = Domain(
    name="full",
    families=(
        ("roll", 1.0),
        ("drop", 1.0),
        ("throw", 1.0),
        ("slide", 1.0),
        ("collide", 1.2),
        ("static", 0.7),
        ("slope", 1.0),
        ("pendulum", 1.0),
        ("domino", 1.0),
        ("tower", 1.0),
        ("occlude", 1.0),
        ("push", 1.0),
        ("crowd", 1.0),
        ("contain", 0.0),
        ("link", 0.0),
    ),
    num_objects=((1, 0.12), (2, 0.3), (3, 0.3), (4, 0.18), (5, 0.06), (6, 0.04)),
    colours=(*STAGE.colours, "brown", "white", "black", "gray"),
    shapes=("ball", "cube", "cylinder", "cone", "capsule", "disk", "domino"),
    sizes=(("small", 0.34), ("medium", 0.4), ("large", 0.26)),
    materials=(
        ("rubber", 0.28),
        ("metal", 0.25),
        ("wood", 0.22),
        ("glass", 0.15),
        ("glowing", 0.1),
    ),
    floors=(
        ("gray", 1.0),
        ("white", 1.0),
        ("beige", 1.0),
        ("charcoal", 1.0),
        ("checkered", 1.0),
        ("wooden", 1.0),
        ("tiled", 1.0),
        ("grassy", 1.0),
        ("sandy", 1.0),
        ("striped", 1.0),
    ),
    lights=(("bright", 0.6), ("warm", 0.16), ("cool", 0.16), ("dim", 0.08)),
    skies=(("blue", 0.4), ("pale", 0.3), ("sunset", 0.2), ("night", 0.1)),
    cameras=(
        ("static", 0.4),
        ("orbit left", 0.07),
        ("orbit right", 0.07),
        ("dolly in", 0.07),
        ("dolly out", 0.07),
        ("pan left", 0.05),
        ("pan right", 0.05),
        ("tilt up", 0.04),
        ("tilt down", 0.04),
        ("truck left", 0.05),
        ("truck right", 0.05),
        ("crane up", 0.04),
    ),
    test_count=(7, 9),
    azimuth_spread_deg=28.0,
    elevation_deg=(-34.0, -16.0),
    distance_m=(3.1, 3.9),
    own_colour=0.5,
)
# Beside scenes of one object, the check drops every other one of two and five of six of three, so
# that the stage shows one in three of five clips; this one shows two in more than half of its own.
# Cylinders, hardest to tell from cubes at this size, come twice as often as any other shape.
PRACTICE = replace(
    STAGE,
    name="practice",
    num_objects=((1, 0.16), (2, 0.5), (3, 0.34)),
    shapes=(*STAGE.shapes, "cylinder"),
)
# Four of five clips of the stage stand still, and whoever says so of all is seldom wrong: here the
# moves that the stage knows are as frequent as standing still.
TOUR = replace(
    PRACTICE,
    name="tour",
    cameras=tuple((move, 0.2) for move, _ in STAGE.cameras),
)
TRIO = replace(STAGE, name="trio", num_objects=((1, 0.15), (2, 0.35), (3, 0.5)))
DOMAINS = {domain.name: domain for domain in (STAGE, FULL, PRACTICE, TOUR, TRIO)}
