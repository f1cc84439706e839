"""A recipe written as MuJoCo XML and compiled: geometry, contact laws, lights.

Restitution is set through MuJoCo's direct contact form (negative solref: stiffness and damping of
a spring at the contact). The textbook formula for its damping ratio is wrong at finite time steps,
so the ratio comes from a table that was measured in this very set-up. Rendering is cheap because
the sun is directional, the floor is one quad that casts no shadow, and meshes are coarse.
"""

import math
from typing import Any

import numpy as np

from cyclorama.worlds.bodies import Body, Hand, Prop, Recipe
from cyclorama.worlds.camera import vertical_fov_deg
from cyclorama.worlds.engine import load_mujoco
from cyclorama.worlds.looks import COLOURS, LIGHTS, MATERIALS, SKIES, TEXTURE_SIDE, floor_texture

STEPS_PER_SECOND = 480
CONTACT_RATE = 160.0  # natural frequency of a contact spring, rad/s
SUPERSAMPLING = 2
PROP_RGBA = "0.74 0.60 0.43 1"  # tan: stands out from every floor but the wooden one
NEAR_M, FAR_M = 0.15, 48.0
# Damping ratio of the spring -> bounce speed over impact speed: a ball on the floor at 1.5, 3 and
# 4.5 m/s, mean over 8 offsets of the step within the fall (standard deviation 0.01 to 0.03).
_RATIOS = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
_BOUNCES = (1.0, 0.941, 0.886, 0.811, 0.744, 0.648, 0.568, 0.442, 0.35, 0.282, 0.189, 0.111)


def damping_ratio(restitution: float) -> float:
    """Return the contact spring's damping ratio that yields a restitution, by the table."""
    return float(np.interp(-restitution, [-b for b in _BOUNCES], _RATIOS))


def compile_scene(recipe: Recipe, *, height: int = 64, width: int = 64) -> Any:
    """Return the recipe's ``mujoco.MjModel``, its buffers sized for pictures of height x width."""
    mujoco = load_mujoco()
    model = mujoco.MjModel.from_xml_string(scene_xml(recipe, height=height, width=width))
    texture = model.texture("floor")
    start = model.tex_adr[texture.id]
    pattern = floor_texture(recipe.floor)
    model.tex_data[start : start + pattern.size] = pattern.reshape(-1)
    return model


def scene_xml(recipe: Recipe, *, height: int, width: int) -> str:
    """Return the whole scene as MJCF. Bodies are named o0, o1, ... in the recipe's order."""
    light = LIGHTS[recipe.sun.name]
    azimuth, elevation = (
        math.radians(a) for a in (recipe.sun.azimuth_deg, recipe.sun.elevation_deg)
    )
    towards = np.array(
        [
            math.cos(azimuth) * math.cos(elevation),
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
    horizon, zenith = SKIES[recipe.sky]
    side = TEXTURE_SIDE
    assets = "".join(_asset(i, body) for i, body in enumerate(recipe.bodies))
    world = "".join(_prop(prop) for prop in recipe.props)
    world += "".join(_body(i, body) for i, body in enumerate(recipe.bodies))
    world += _hand(recipe.hand)
    fill = light.ambient
    return f"""<mujoco><compiler angle="degree"/>
<option timestep="{1 / STEPS_PER_SECOND}" cone="elliptic"/>
<statistic extent="3" center="0 0 .5"/>
<visual><global offwidth="{SUPERSAMPLING * width}" offheight="{SUPERSAMPLING * height}"
 fovy="{vertical_fov_deg(height, width):.6f}"/>
<quality numquads="1" offsamples="0" shadowsize="512" numslices="24" numstacks="14"/>
<map znear="{NEAR_M / 3}" zfar="{FAR_M / 3}" shadowclip="1.1"/>
<headlight ambient="{fill} {fill} {fill}" diffuse=".18 .18 .18" specular="0 0 0"/></visual>
<asset><texture name="sky" type="skybox" builtin="gradient" rgb1="{_numbers(horizon)}"
 rgb2="{_numbers(zenith)}" width="32" height="192"/>
<texture name="floor" type="2d" builtin="flat" width="{side}" height="{side}" rgb1="1 1 1"/>
<material name="floor" texture="floor" texrepeat=".5 .5" texuniform="true" specular="0"/>
<material name="prop" rgba="{PROP_RGBA}" specular=".1"/>
<material name="skin" rgba=".95 .78 .62 1" specular="0"/>{assets}</asset>
<worldbody><light type="directional" pos="{_numbers(3 * towards)}" dir="{_numbers(-towards)}"
 diffuse="{_numbers(light.sun)}" specular=".5 .5 .5" castshadow="true"/>
<geom name="floor" type="plane" size="30 30 30" material="floor" castshadow="false"
 friction="1 .005 .0005"/>{world}</worldbody></mujoco>"""


def contact_laws(body: Body) -> str:
    """Return the attributes that give a geom its friction, rolling resistance and bounce."""
    ratio = damping_ratio(body.restitution)
    stiffness, damping = CONTACT_RATE**2, 2 * ratio * CONTACT_RATE
    return (
        f'priority="1" condim="6" friction="{body.friction} .005 {body.rolling}" '
        f'solref="{-stiffness:.1f} {-damping:.3f}" solimp=".95 .99 .002" density="{body.density}"'
    )


def _asset(index: int, body: Body) -> str:
    red, green, blue = COLOURS[body.colour]
    look = MATERIALS[body.material]
    text = (
        f'<material name="m{index}" rgba="{red} {green} {blue} {look.alpha}" '
        f'specular="{look.specular}" shininess="{look.shininess}" emission="{look.emission}"/>'
    )
    if body.shape == "cone":
        r, sides = body.radius_m, 20
        rim = [
            (
                0.95 * r * math.cos(2 * math.pi * k / sides),
                0.95 * r * math.sin(2 * math.pi * k / sides),
                -0.475 * r,
            )
            for k in range(sides)
        ]
        points = " ".join(_numbers(p) for p in [*rim, (0.0, 0.0, 1.425 * r), (0, 0, -0.475 * r)])
        # Explicit faces, outside seen counter-clockwise: a bare hull casts no shadow.
        faces = "".join(
            f"{k} {(k + 1) % sides} {sides} {(k + 1) % sides} {k} {sides + 1} "
            for k in range(sides)
        )
        text += f'<mesh name="cone{index}" vertex="{points}" face="{faces}"/>'
    return text


def _geom(index: int, body: Body) -> str:
    r = body.radius_m
    shapes = {
        "ball": f'type="sphere" size="{r}"',
        "cube": f'type="box" size="{0.82 * r} {0.82 * r} {0.82 * r}"',
        "cylinder": f'type="cylinder" size="{0.75 * r} {0.88 * r}"',
        "cone": f'type="mesh" mesh="cone{index}"',
        "capsule": f'type="capsule" size="{0.55 * r} {0.6 * r}"',
        "disk": f'type="cylinder" size="{r} {0.32 * r}"',
        "domino": f'type="box" size="{0.18 * r} {0.75 * r} {1.2 * r}"',
    }
    return f'<geom name="o{index}" {shapes[body.shape]} material="m{index}" {contact_laws(body)}/>'


def _body(index: int, body: Body) -> str:
    if body.joint == "hinge":
        x, y, z = body.pivot
        length = z - body.position[2]
        rod = f'fromto="0 0 0 0 0 {-length + body.radius_m:.4f}"'
        return (
            f'<body name="h{index}" pos="{x} {y} {z}"><joint name="o{index}" type="hinge" '
            f'axis="0 1 0" damping=".002"/><geom name="rod{index}" type="capsule" {rod} '
            'size=".022" material="prop" contype="0" conaffinity="0" mass=".01"/>'
            f'<body name="o{index}" pos="0 0 {-length:.4f}">{_geom(index, body)}</body></body>'
        )
    return (
        f'<body name="o{index}" pos="{_numbers(body.position)}" quat="{_numbers(body.quaternion)}">'
        f'<freejoint name="o{index}"/>{_geom(index, body)}</body>'
    )


def _prop(prop: Prop) -> str:
    touch = "" if prop.solid else ' contype="0" conaffinity="0"'
    place = f'pos="{_numbers(prop.position)}" euler="{_numbers(prop.euler_deg)}"'
    geom = (
        f'<geom name="{prop.name}" type="{prop.kind}" size="{_numbers(prop.size)}" '
        f'material="prop" friction=".6 .005 .0005"{touch}'
    )
    if prop.hinged:
        joint = '<joint type="hinge" axis="0 1 0" damping=".02" range="-30 30" limited="true"/>'
        return f'<body {place}>{joint}{geom} density="300"/></body>'
    return f"{geom} {place}/>"


def _hand(hand: Hand | None) -> str:
    if hand is None:
        return ""
    return (
        f'<body name="hand" mocap="true" pos="{_numbers(hand.start)}"><geom name="hand" '
        'type="capsule" size=".09 .2" material="skin" friction=".8 .01 .001"/></body>'
    )


def _numbers(values: Any) -> str:
    return " ".join(f"{float(v):.6g}" for v in values)
