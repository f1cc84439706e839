"""What is missing is named in one line."""

import subprocess
import sys

import pytest

from cyclorama.worlds import engine


def test_missing_mujoco_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cyclorama\[worlds\]'"):
        engine.load_mujoco()


def test_another_mujoco_is_refused(monkeypatch):
    mujoco = engine.load_mujoco()
    monkeypatch.setattr(mujoco, "__version__", "3.0.0")
    with pytest.raises(ValueError, match=r"pip install mujoco==4\.0\.0"):
        engine.load_mujoco()


def test_missing_opengl_names_the_package():
    """A forced OSMesa that is not there, in a process of its own."""
    if engine._loads("libOSMesa.so.8") or engine._loads("libOSMesa.so.6"):
        pytest.skip("OSMesa is installed: nothing is missing here")
    code = (
        "import os; os.environ['MUJOCO_GL'] = 'osmesa'\n"
        "from cyclorama.worlds.engine import make_gl_context\n"
        "try: make_gl_context()\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "apt-get install libosmesa6" in done.stdout
    assert done.stdout.count("\n") == 1


def test_recipes_need_no_engine():
    """Planning a data set works without MuJoCo: only looking at what happens needs it."""
    code = (
        "import sys; sys.modules['mujoco'] = None\n"
        "from cyclorama.worlds.recipe import STAGE, draft, split_of\n"
        "print(split_of(draft(0, STAGE)))\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["train", "False"]
