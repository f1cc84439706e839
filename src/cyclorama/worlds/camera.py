"""Where the camera is at each instant, and where a world point falls on the picture.

A free camera that looks along an azimuth and an elevation: orbits and dollies move the eye about
a fixed target, pans and tilts re-aim it about a fixed eye, trucks and cranes move both. Moves run
at constant rate, so a longer clip continues them. Matrices follow OpenCV: x right, y down, z
forward, ``pixel = K (R X + t)``; a pixel's centre has half-integer coordinates. The shorter side
of any picture spans 42 degrees. Leaves out lens distortion and motion blur.
"""

import math
from dataclasses import dataclass

import numpy as np

from cyclorama.worlds.bodies import CameraPath

FIELD_OF_VIEW_DEG = 42.0
MOVE_SECONDS = 2.0  # `amount` is reached after this time
MOVES = (
    "static",
    "orbit left",
    "orbit right",
    "dolly in",
    "dolly out",
    "pan left",
    "pan right",
    "tilt up",
    "tilt down",
    "truck left",
    "truck right",
    "crane up",
)


@dataclass(frozen=True)
class Aim:
    """A camera at one instant: angles in degrees, distance in metres, the target (3,)."""

    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    target: np.ndarray


def forward_of(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """Return the unit viewing direction (3,)."""
    az, el = math.radians(azimuth_deg), math.radians(elevation_deg)
    return np.array([math.cos(el) * math.cos(az), math.cos(el) * math.sin(az), math.sin(el)])


def aim_at(path: CameraPath, time_s: float) -> Aim:
    """Return the camera of a path at one instant."""
    az, el, dist = path.azimuth_deg, path.elevation_deg, path.distance_m
    target = np.array(path.look, dtype=float)
    u, a = time_s / MOVE_SECONDS, path.amount
    right = np.array([math.sin(math.radians(az)), -math.cos(math.radians(az)), 0.0])
    move = path.move
    if move in ("orbit left", "orbit right"):
        # The eye travels to the camera's own left (or right) round the target.
        az += (-50.0 if move == "orbit left" else 50.0) * a * u
    elif move in ("dolly in", "dolly out"):
        # Exponential: never reaches the target, and equal times scale the picture equally.
        sign = -1.0 if move == "dolly in" else 1.0
        dist *= math.exp(sign * 0.36 * a * (u - 0.5))
    elif move in ("pan left", "pan right", "tilt up", "tilt down"):
        eye = target - dist * forward_of(az, el)
        if move.startswith("pan"):
            az += (24.0 if move == "pan left" else -24.0) * a * (u - 0.5)
        else:
            el += (20.0 if move == "tilt up" else -20.0) * a * (u - 0.5)
        target = eye + dist * forward_of(az, el)
    elif move in ("truck left", "truck right"):
        target = target + right * (-1.0 if move == "truck left" else 1.0) * a * (u - 0.5)
    elif move == "crane up":
        el -= 26.0 * a * u
    elif move != "static":
        raise ValueError(f"unknown camera move {move!r}; choose one of {', '.join(MOVES)}")
    return Aim(az, el, dist, target)


def extrinsics(aim: Aim) -> np.ndarray:
    """Return [R | t] (3, 4) from world metres to camera metres, OpenCV axes."""
    forward = forward_of(aim.azimuth_deg, aim.elevation_deg)
    az = math.radians(aim.azimuth_deg)
    right = np.array([math.sin(az), -math.cos(az), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    eye = aim.target - aim.distance_m * forward
    return np.concatenate([rotation, (-rotation @ eye)[:, None]], axis=1)


def vertical_fov_deg(height: int, width: int) -> float:
    """Return the vertical field of view for which the shorter side spans 42 degrees."""
    half = math.tan(math.radians(FIELD_OF_VIEW_DEG) / 2)
    return math.degrees(2 * math.atan(half * height / min(height, width)))


def intrinsics(height: int, width: int) -> np.ndarray:
    """Return K (3, 3) in pixels; the principal point is the picture's centre."""
    focal = min(height, width) / (2 * math.tan(math.radians(FIELD_OF_VIEW_DEG) / 2))
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def project(
    points: np.ndarray, cameras: np.ndarray, *, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (T, N, 2) and depths in metres (T, N) of points (T, N, 3).

    ``cameras`` are extrinsics (T, 3, 4). Points behind the camera get depths <= 0 and pixels
    without meaning.
    """
    seen = np.einsum("tij,tnj->tni", cameras[:, :, :3], points) + cameras[:, None, :, 3]
    depth = seen[..., 2]
    safe = np.where(depth > 1e-3, depth, 1e-3)
    k = intrinsics(height, width)
    pixels = seen[..., :2] * k[0, 0] / safe[..., None] + k[:2, 2]
    return pixels, depth
