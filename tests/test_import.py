"""``import cyclorama`` is cheap: it loads neither torch nor anything else of weight."""

import subprocess
import sys

import pytest

import cyclorama

HEAVY = ("torch", "numpy", "av", "PIL", "mujoco", "lance", "matplotlib", "pydantic")


def loaded_by(statement: str) -> set[str]:
    """Return which heavy modules a fresh interpreter holds after ``statement``."""
    code = f"import sys\n{statement}\nprint(*({HEAVY!r} & sys.modules.keys()))".replace(
        repr(HEAVY), repr(set(HEAVY))
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    assert loaded_by("import cyclorama") == set()


def test_the_check_can_fail():
    assert "numpy" in loaded_by("import cyclorama, numpy")


def test_asking_for_help_loads_no_torch():
    assert "torch" not in loaded_by("import cyclorama.cli.app")


@pytest.mark.parametrize("name", cyclorama.__all__)
def test_public_names_exist(name):
    assert getattr(cyclorama, name) is not None
    assert name in dir(cyclorama)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'genrate'"):
        _ = cyclorama.genrate
