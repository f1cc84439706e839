"""The records a scene is made of: bodies, props, a hand, a light, a camera.

A body is what captions name; a prop is furniture that never moves. Positions are metres in a
right-handed world whose floor is z = 0; the camera of an azimuth of 90 degrees looks along +y,
so that +x is the screen's right. Quaternions are (w, x, y, z). Speeds are m/s and rad/s in world
axes. Leaves out the words for things (language) and their numbers (looks).
"""

from dataclasses import dataclass

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]


@dataclass(frozen=True)
class Body:
    """One named object. ``joint`` is "free" or "hinge"; a hinge turns about y through ``pivot``."""

    colour: str
    shape: str
    size: str
    material: str
    radius_m: float
    friction: float
    rolling: float
    restitution: float
    density: float
    position: Vec3 = (0.0, 0.0, 0.0)
    quaternion: Quat = (1.0, 0.0, 0.0, 0.0)
    velocity: Vec3 = (0.0, 0.0, 0.0)
    spin: Vec3 = (0.0, 0.0, 0.0)
    joint: str = "free"
    pivot: Vec3 = (0.0, 0.0, 0.0)
    angle_deg: float = 0.0


@dataclass(frozen=True)
class Prop:
    """Furniture: ``kind`` is MuJoCo's geom type, ``size`` its half extents in metres."""

    name: str
    kind: str
    size: Vec3
    position: Vec3
    euler_deg: Vec3 = (0.0, 0.0, 0.0)
    solid: bool = True
    hinged: bool = False


@dataclass(frozen=True)
class Hand:
    """A pushing capsule that starts at ``start`` and moves along ``direction`` for a while."""

    start: Vec3
    direction: Vec3
    speed_mps: float
    duration_s: float


@dataclass(frozen=True)
class Sun:
    """The light's word, and where it stands in the sky."""

    name: str
    azimuth_deg: float
    elevation_deg: float


@dataclass(frozen=True)
class CameraPath:
    """Where the camera starts and how it moves; ``amount`` scales the move.

    Azimuth and elevation are those of the viewing direction (elevation < 0 looks down).
    """

    move: str
    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    look: Vec3
    amount: float


@dataclass(frozen=True)
class Layout:
    """What a family returns: bodies, props and perhaps a hand."""

    bodies: tuple[Body, ...]
    props: tuple[Prop, ...] = ()
    hand: Hand | None = None


def rest_height(body: Body) -> float:
    """Return the height in metres of an upright body's origin when it stands on the floor."""
    r = body.radius_m
    heights = {
        "ball": r,
        "cube": 0.82 * r,
        "cylinder": 0.88 * r,
        "cone": 0.475 * r,  # a quarter of its height of 1.9 r: the centre of mass
        "capsule": 1.15 * r,
        "disk": 0.32 * r,
        "domino": 1.2 * r,
    }
    return heights[body.shape]


def footprint(body: Body) -> float:
    """Return the radius in metres of the circle on the floor that an upright body stays within."""
    r = body.radius_m
    widths = {
        "ball": r,
        "cube": 1.16 * r,
        "cylinder": 0.8 * r,
        "cone": r,
        "capsule": 0.55 * r,
        "disk": r,
        "domino": 0.8 * r,
    }
    return widths[body.shape]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a scene; with MuJoCo's version it decides every pixel.

    ``speed`` scales the family's speeds (1 is usual), ``usual_count`` is the largest number of
    objects the domain trains on: together with the bodies they tell which split a recipe is of.
    """

    seed: int
    domain: str
    family: str
    bodies: tuple[Body, ...]
    props: tuple[Prop, ...]
    hand: Hand | None
    floor: str
    sky: str
    sun: Sun
    camera: CameraPath
    speed: float
    usual_count: int
