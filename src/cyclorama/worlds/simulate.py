"""Physics of a recipe: states at the frames, contacts and rests at every physics step.

Picture a slow-motion log beside the film. The world advances 480 steps a second; frame k is the
state at the step nearest to k / rate. Contacts are new touches (none during the last 60 ms); their
impact speed is that of the step before the contact force acted, normal to the surface. A body
starts when it is faster than 0.12 m/s and stops when it stays under 0.06 m/s for a quarter of a
second, so that the settling of a tower is no event. Leaves out soft bodies.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.engine import load_mujoco
from cyclorama.worlds.scene import STEPS_PER_SECOND, compile_scene

_APART_S = 0.06
_START_MPS, _STOP_MPS, _STOP_S = 0.12, 0.06, 0.25


@dataclass(frozen=True)
class Contact:
    """A new touch. ``first`` and ``second`` are body numbers, or names of props, floor, hand.

    The first is the faster one before the touch. ``position`` in m, ``normal`` a unit vector,
    ``speed_mps`` the closing speed along it just before.
    """

    time_s: float
    first: int | str
    second: int | str
    position: tuple[float, ...]
    normal: tuple[float, ...]
    speed_mps: float


@dataclass(frozen=True)
class Trajectory:
    """What happens, frame by frame and, for contacts and rests, step by step.

    States (T, S) to render from, and for N bodies positions and velocities (T, N, 3), spins
    (T, N, 3) in rad/s, rotation matrices (T, N, 3, 3), all in world axes. ``rests`` are
    (time in s, body, "starts" | "stops").
    """

    rate_fps: float
    states: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray
    velocities: np.ndarray
    spins: np.ndarray
    contacts: tuple[Contact, ...]
    rests: tuple[tuple[float, int, str], ...]
    overlap_m: float  # by how much objects start inside one another or the furniture

    def until(self, num_frames: int) -> "Trajectory":
        """Return the beginning, with what happens up to its last frame's instant."""
        if num_frames == len(self.states):
            return self
        end_s = (num_frames - 1) / self.rate_fps
        part = slice(0, num_frames)
        return replace(
            self,
            states=self.states[part],
            positions=self.positions[part],
            rotations=self.rotations[part],
            velocities=self.velocities[part],
            spins=self.spins[part],
            contacts=tuple(c for c in self.contacts if c.time_s < end_s),
            rests=tuple(r for r in self.rests if r[0] < end_s),
        )


@lru_cache(maxsize=4)
def simulate(recipe: Recipe, *, num_frames: int, rate_fps: float) -> Trajectory:
    """Return what happens until the last frame; cached, so do not write into the arrays."""
    if num_frames < 1 or rate_fps <= 0:
        raise ValueError(f"need num_frames >= 1 and rate_fps > 0, got {num_frames}, {rate_fps}")
    mujoco = load_mujoco()
    model = compile_scene(recipe)
    log = _Log(mujoco, model, recipe)
    step = 0
    for frame in range(num_frames):
        while step < round(frame * STEPS_PER_SECOND / rate_fps):
            log.advance(step)
            step += 1
        log.keep_frame()
    return log.trajectory(rate_fps)


def set_start(model: Any, data: Any, *, recipe: Recipe) -> None:
    """Set the velocities and hinge angles of a fresh ``MjData``."""
    mujoco = load_mujoco()
    for i, body in enumerate(recipe.bodies):
        joint = model.joint(f"o{i}")
        if body.joint == "hinge":
            data.qpos[joint.qposadr[0]] = math.radians(body.angle_deg)
            continue
        dof = joint.dofadr[0]
        data.qvel[dof : dof + 3] = body.velocity
        # A free joint's angular velocity lives in the body's own axes.
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, np.array(body.quaternion))
        data.qvel[dof + 3 : dof + 6] = turn.reshape(3, 3).T @ np.array(body.spin)
    mujoco.mj_forward(model, data)


def state_size(mujoco: Any, model: Any) -> tuple[int, int]:
    """Return MuJoCo's flag for the part of the state that pictures need, and its size."""
    parts = mujoco.mjtState.mjSTATE_PHYSICS | mujoco.mjtState.mjSTATE_MOCAP_POS
    return int(parts), mujoco.mj_stateSize(model, parts)


class _Log:
    """A running simulation and its notes."""

    def __init__(self, mujoco: Any, model: Any, recipe: Recipe) -> None:
        self.mujoco, self.model, self.recipe = mujoco, model, recipe
        self.data = mujoco.MjData(model)
        set_start(model, self.data, recipe=recipe)
        self.overlap_m = max((-float(d) for d in self.data.contact.dist), default=0.0)
        names = [model.geom(i).name for i in range(model.ngeom)]
        self.who: list[int | str] = [
            int(n[1:]) if n[0] == "o" and n[1:].isdigit() else n for n in names
        ]
        self.geoms = [model.geom(f"o{i}").id for i in range(len(recipe.bodies))]
        self.bodies = [int(model.geom_bodyid[g]) for g in self.geoms]
        self.dofs = np.array([model.joint(f"o{i}").dofadr[0] for i in range(len(recipe.bodies))])
        self.free = np.array([b.joint == "free" for b in recipe.bodies])
        self.parts, self.size = state_size(mujoco, model)
        self.states: list[np.ndarray] = []
        self.poses: list[tuple[np.ndarray, ...]] = []
        self.contacts: list[Contact] = []
        self.rests: list[tuple[float, int, str]] = []
        self.touching: set[tuple[int, int]] = set()
        self.raw = b""
        self.parted_s: dict[tuple[int, int], float] = {}
        self.moving = [bool(v > _START_MPS) for v in self._speeds()]
        self.slow_since_s = [0.0] * len(recipe.bodies)

    def advance(self, step: int) -> None:
        """Take one physics step and note new touches and rests."""
        data = self.data
        hand = self.recipe.hand
        if hand is not None:
            way = hand.speed_mps * min(step / STEPS_PER_SECOND, hand.duration_s)
            data.mocap_pos[0] = [
                s + way * d for s, d in zip(hand.start, hand.direction, strict=True)
            ]
        before = data.qvel.copy()
        self.mujoco.mj_step(self.model, data)
        # Contacts in `data` are those of the step's beginning, before its forces acted.
        raw = data.contact.geom.tobytes() if data.ncon else b""
        if raw != self.raw:
            self.raw = raw
            self._touch(step / STEPS_PER_SECOND, before)
        if step % 8 == 0:
            self._rest(step / STEPS_PER_SECOND)

    def _touch(self, now_s: float, before: np.ndarray) -> None:
        pairs = self.data.contact.geom
        now = {}
        for number in range(self.data.ncon):
            a, b = int(pairs[number, 0]), int(pairs[number, 1])
            now.setdefault((a, b), number)
        for pair in self.touching - now.keys():
            self.parted_s[pair] = now_s
        for pair, number in now.items():
            if pair not in self.touching and now_s - self.parted_s.get(pair, -1.0) > _APART_S:
                self._note(now_s, pair, number, before)
        self.touching = set(now)

    def _note(self, now_s: float, pair: tuple[int, int], number: int, before: np.ndarray) -> None:
        point = self.data.contact.pos[number].copy()
        normal = self.data.contact.frame[number][:3].copy()
        velocities = [self._velocity_at(geom, point, before) for geom in pair]
        hand = self.recipe.hand
        for side, geom in enumerate(pair):
            if self.who[geom] == "hand" and hand is not None and now_s < hand.duration_s:
                velocities[side] = hand.speed_mps * np.array(hand.direction)
        speed = abs(float((velocities[1] - velocities[0]) @ normal))
        order = (0, 1) if np.linalg.norm(velocities[0]) > np.linalg.norm(velocities[1]) else (1, 0)
        first, second = (self.who[pair[i]] for i in order)
        self.contacts.append(
            Contact(now_s, first, second, tuple(point.tolist()), tuple(normal.tolist()), speed)
        )

    def _velocity_at(self, geom: int, point: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        body = int(self.model.geom_bodyid[geom])
        if body == 0 or self.model.nv == 0:
            return np.zeros(3)
        jacobian = np.zeros((3, self.model.nv))
        self.mujoco.mj_jac(self.model, self.data, jacobian, None, point, body)
        return jacobian @ qvel

    def _speeds(self) -> np.ndarray:
        if self.free.all():
            columns = self.dofs[:, None] + np.arange(3)
            return np.sqrt((self.data.qvel[columns] ** 2).sum(1))
        return np.array([np.linalg.norm(self._velocity(i)[0]) for i in range(len(self.geoms))])

    def _velocity(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        out = np.zeros(6)
        kind = self.mujoco.mjtObj.mjOBJ_BODY
        self.mujoco.mj_objectVelocity(self.model, self.data, kind, self.bodies[index], out, 0)
        return out[3:].copy(), out[:3].copy()

    def _rest(self, now_s: float) -> None:
        for i, speed in enumerate(self._speeds()):
            if speed > _STOP_MPS:
                self.slow_since_s[i] = now_s
            if not self.moving[i] and speed > _START_MPS:
                self.moving[i] = True
                self.rests.append((now_s, i, "starts"))
            elif self.moving[i] and now_s - self.slow_since_s[i] > _STOP_S:
                self.moving[i] = False
                self.rests.append((self.slow_since_s[i], i, "stops"))

    def keep_frame(self) -> None:
        """Keep the present state as the next frame."""
        mujoco, data = self.mujoco, self.data
        state = np.empty(self.size)
        mujoco.mj_getState(self.model, data, state, self.parts)
        self.states.append(state)
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        motion = [self._velocity(i) for i in range(len(self.bodies))]
        self.poses.append(
            (
                data.xpos[self.bodies].copy(),
                data.xmat[self.bodies].reshape(-1, 3, 3).copy(),
                np.array([v for v, _ in motion]).reshape(-1, 3),
                np.array([w for _, w in motion]).reshape(-1, 3),
            )
        )

    def trajectory(self, rate_fps: float) -> Trajectory:
        """Return all notes as arrays."""
        positions, rotations, velocities, spins = (
            np.stack(p) for p in zip(*self.poses, strict=True)
        )
        return Trajectory(
            rate_fps=rate_fps,
            states=np.stack(self.states),
            positions=positions,
            rotations=rotations,
            velocities=velocities,
            spins=spins,
            contacts=tuple(self.contacts),
            rests=tuple(sorted(self.rests)),
            overlap_m=self.overlap_m,
        )
