"""The door to MuJoCo: imports it late, and says in one line what is missing.

Physics needs the wheel alone; pictures need a software OpenGL from the system: EGL with Mesa, or
OSMesa. Both give the same pixels. ``MUJOCO_GL=egl`` or ``osmesa`` forces one.
"""

import atexit
import ctypes
import os
import sys
from types import ModuleType
from typing import Any

MUJOCO_VERSION = "4.0.0"
_NO_GL = (
    "no software OpenGL found for rendering: apt-get install libosmesa6 "
    "(or: apt-get install libegl1 libgl1)"
)


def load_mujoco() -> ModuleType:
    """Return the module ``mujoco``; ModuleNotFoundError or ValueError says what to install."""
    # One rasteriser thread a process: many processes beat many threads at these sizes.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    os.environ.setdefault("MUJOCO_GL", _choose_gl() or "off")
    try:
        import mujoco
    except ModuleNotFoundError as error:
        if error.name == "mujoco":
            raise ModuleNotFoundError(
                "the worlds need MuJoCo: pip install 'cyclorama[worlds]'", name="mujoco"
            ) from None
        raise
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{_NO_GL} [{error}]") from error
    if mujoco.__version__ != MUJOCO_VERSION:
        raise ValueError(
            f"MuJoCo {mujoco.__version__} would move objects differently: "
            f"pip install mujoco=={MUJOCO_VERSION}"
        )
    return mujoco


def make_gl_context() -> Any:
    """Create an OpenGL context of this process, make it current and return it.

    EGL is tried first, then OSMesa; ValueError names the system package when neither works.
    """
    load_mujoco()
    wish = os.environ.get("MUJOCO_GL", "").lower()
    reasons = []
    for name in [wish] if wish in ("egl", "osmesa") and _forced(wish) else ["egl", "osmesa"]:
        if os.environ.get("PYOPENGL_PLATFORM", name) != name:
            # PyOpenGL fixes its platform at import: forget the attempt that failed.
            for module in [m for m in sys.modules if m == "OpenGL" or m.startswith("OpenGL.")]:
                del sys.modules[module]
            del os.environ["PYOPENGL_PLATFORM"]
        try:
            if name == "egl":
                from mujoco.egl import GLContext
            else:
                from mujoco.osmesa import GLContext
            context = GLContext(64, 64)
            context.make_current()
            atexit.register(context.free)  # later, at shutdown, its library is half gone
            return context
        except Exception as error:  # drivers raise what they like
            reasons.append(f"{name}: {error}")
    raise ValueError(f"{_NO_GL} [{'; '.join(reasons)}]")


def _choose_gl() -> str:
    if _loads("libEGL.so.1") and (_loads("libGL.so.1") or _loads("libOpenGL.so.0")):
        return "egl"
    return "osmesa" if _loads("libOSMesa.so.8") or _loads("libOSMesa.so.6") else ""


def _forced(wish: str) -> bool:
    return wish != _choose_gl()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
