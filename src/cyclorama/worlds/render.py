"""States to pictures: colour with shadows and antialiasing, object ids, metric depth.

One OpenGL context lives as long as the process (making one costs 50-100 ms); each scene brings a
drawing of 1.4 ms. Colour is drawn at twice the size and averaged. Ids and depth come from one
pass without lights or antialiasing, so that no pixel is a blend. Leaves out reflections: they
double the cost. Frees what it allocates; a context must never cross a fork.
"""

import os
from typing import Any

import numpy as np

from cyclorama.worlds.bodies import CameraPath, Recipe
from cyclorama.worlds.camera import aim_at
from cyclorama.worlds.engine import load_mujoco, make_gl_context
from cyclorama.worlds.scene import FAR_M, NEAR_M, SUPERSAMPLING, compile_scene
from cyclorama.worlds.simulate import state_size

_context: dict[int, Any] = {}  # process id -> its one OpenGL context


class Renderer:
    """A recipe's scene, ready to be drawn at one size from any state and camera."""

    def __init__(self, recipe: Recipe, *, height: int, width: int) -> None:
        if min(height, width) < 8:
            raise ValueError(f"pictures need at least 8 pixels a side, got {width}x{height}")
        mujoco = load_mujoco()
        if os.getpid() not in _context:
            _context[os.getpid()] = make_gl_context()
        _context[os.getpid()].make_current()  # others in this process may have made theirs current
        self.mujoco, self.height, self.width = mujoco, height, width
        self.model = compile_scene(recipe, height=height, width=width)
        self.data = mujoco.MjData(self.model)
        self.drawing = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.drawing)
        self.drawing.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self.scene = mujoco.MjvScene(self.model, 64)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self.option, self.camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self.perturb = mujoco.MjvPerturb()
        self.parts, _ = state_size(mujoco, self.model)
        size = SUPERSAMPLING
        self.pixels = np.empty((size * height, size * width, 3), np.uint8)
        # Geom number -> object id: 0 for floor and furniture, i + 1 for object i.
        names = [self.model.geom(i).name for i in range(self.model.ngeom)]
        self.ids = np.array(
            [int(n[1:]) + 1 if n[0] == "o" and n[1:].isdigit() else 0 for n in names], np.uint8
        )

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the drawing's textures and buffers."""
        self.drawing.free()

    def pose(self, state: np.ndarray, path: CameraPath, *, time_s: float) -> None:
        """Put the scene in a state and the camera where its path is at an instant."""
        mujoco = self.mujoco
        mujoco.mj_setState(self.model, self.data, state, self.parts)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        aim = aim_at(path, time_s)
        self.camera.azimuth, self.camera.elevation = aim.azimuth_deg, aim.elevation_deg
        self.camera.distance = aim.distance_m
        self.camera.lookat[:] = aim.target
        self.refresh()

    def refresh(self) -> None:
        """Gather what is to be drawn (after a change of visible groups, say)."""
        mujoco = self.mujoco
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self.model, self.data, self.option, self.perturb, self.camera, everything, self.scene
        )

    def colour(self) -> np.ndarray:
        """Return the picture, uint8 (H, W, 3)."""
        size = SUPERSAMPLING
        area = self.mujoco.MjrRect(0, 0, size * self.width, size * self.height)
        self.mujoco.mjr_render(area, self.scene, self.drawing)
        self.mujoco.mjr_readPixels(self.pixels, None, area, self.drawing)
        wide = self.pixels[::-1].astype(np.uint16)
        rows = wide[0::2] + wide[1::2]
        return ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)

    def ids_and_depth(self, *, depth: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Return object ids uint8 (H, W) and, if wanted, depth along the view in m, float32."""
        mujoco, flags = self.mujoco, self.scene.flags
        segment, id_colour = mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR
        flags[segment] = flags[id_colour] = 1
        area = mujoco.MjrRect(0, 0, self.width, self.height)
        code = np.empty((self.height, self.width, 3), np.uint8)
        raw = np.empty((self.height, self.width), np.float32) if depth else None
        mujoco.mjr_render(area, self.scene, self.drawing)
        mujoco.mjr_readPixels(code, raw, area, self.drawing)
        flags[segment] = flags[id_colour] = 0
        # Fewer than 255 geoms: the code's first byte holds the draw number + 1.
        table = np.zeros(256, np.uint8)
        geom_type = mujoco.mjtObj.mjOBJ_GEOM
        for i in range(self.scene.ngeom):
            geom = self.scene.geoms[i]
            if geom.segid >= 0 and geom.objtype == geom_type:
                table[geom.segid + 1] = self.ids[geom.objid]
        ids = table[code[::-1, :, 0]]
        if raw is None:
            return ids, None
        # Reversed depth buffer: 1 at the near plane, 0 at the far one.
        nearness = raw[::-1].astype(np.float64)
        metres = NEAR_M * FAR_M / (NEAR_M + nearness * (FAR_M - NEAR_M))
        return ids, metres.astype(np.float32)

    def whole(self) -> np.ndarray:
        """Return for each body the pixels it would cover if alone, bool (N, H, W)."""
        groups, count = self.model.geom_group, int(self.ids.max())
        kept, shown = groups.copy(), self.option.geomgroup.copy()
        masks = np.zeros((count, self.height, self.width), bool)
        self.option.geomgroup[:] = 0
        self.option.geomgroup[5] = 1
        for i in range(count):
            groups[:] = np.where(self.ids == i + 1, 5, 0)
            self.refresh()
            masks[i] = self.ids_and_depth()[0] == i + 1
        groups[:], self.option.geomgroup[:] = kept, shown
        self.refresh()
        return masks
