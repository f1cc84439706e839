"""Imports point down: docs/map.md says who may import whom, and every import is held against it.

Imports inside functions count, and so do relative ones and names handed to ``import_module``.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "cyclorama"
ROW = re.compile(r"^\| *\d+ *\| *`(\w+)` *\|[^|]*\|([^|]*)\|$", re.MULTILINE)


def layer_table(page: str) -> dict[str, set[str]]:
    """Return package -> the packages it may import, as a page of the docs lists them."""
    table = {name: set(re.findall(r"`(\w+)`", allowed)) for name, allowed in ROW.findall(page)}
    table["cli"] = set(table) | {"cli"}
    return table


TABLE = layer_table((ROOT / "docs" / "map.md").read_text())


def package_of(path: Path) -> str:
    """Return which row of the table a file under ``src/cyclorama`` belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(source: str, parent: tuple[str, ...]) -> list[tuple[int, str]]:
    """Return line and dotted name of everything of ours that ``source`` imports.

    ``parent`` is the dotted package the source stands in, split, for relative imports.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                above = parent[: len(parent) - node.level + 1] if node.level else ()
                base = ".".join([*above, *([node.module] if node.module else [])])
                names = [f"{base}.{alias.name}" for alias in node.names]
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module")):
                names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
            case _:
                continue
        found += [(node.lineno, name) for name in names if name.split(".")[0] == "cyclorama"]
    return found


def trespasses(source: str, path: Path, table: dict[str, set[str]]) -> list[str]:
    """Return one line for each import in ``source`` that the table does not allow."""
    package = package_of(path)
    parent = ("cyclorama", *path.relative_to(PACKAGE).parent.parts)
    problems = []
    for line, name in imported_names(source, parent):
        target = [*name.split("."), ""][1]
        if target != package and target not in table[package]:
            where = path.relative_to(ROOT)
            problems.append(f"{where}:{line}: {package} may not import {target or 'cyclorama'}")
    return problems


def depth(package: str, seen: tuple[str, ...] = ()) -> int:
    """Return how many layers lie below a package; a ring of packages is an AssertionError."""
    assert package not in seen, f"the table has a ring: {' -> '.join([*seen, package])}"
    below = TABLE[package] - {package}
    return 1 + max((depth(name, (*seen, package)) for name in below), default=-1)


def test_every_import_points_down():
    files = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert len(files) > 10
    problems = [line for path in files for line in trespasses(path.read_text(), path, TABLE)]
    assert not problems, "\n".join(problems)


def test_every_package_stands_in_the_table():
    there = {package_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert there <= set(TABLE), f"add to docs/map.md: {sorted(there - set(TABLE))}"


def test_the_table_has_no_ring_and_four_absences():
    for package in TABLE:
        depth(package)
    for one, other in [
        ("diffusion", "models"),
        ("nn", "distributed"),
        ("data", "models"),
        ("training", "inference"),
    ]:
        assert other not in TABLE[one]
        assert one not in TABLE[other]


@pytest.mark.parametrize(
    "source",
    [
        "from cyclorama.models.dit import Dit",
        "import cyclorama.models.dit",
        "from cyclorama import models",
        "from ..models import dit",
        "from .. import models",
        "def f():\n    from cyclorama.models import dit",
        "class A:\n    if True:\n        import cyclorama.models as m",
        "import importlib\nimportlib.import_module('cyclorama.models.dit')",
        "from cyclorama import generate",
        "import cyclorama",
    ],
)
def test_the_check_can_fail(source):
    assert len(trespasses(source, PACKAGE / "data" / "loader.py", TABLE)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from cyclorama.shapes import VideoShape",
        "from . import sample",
        "from .sample import Sample",
        "import torch, numpy as np",
        "from cyclorama import shapes",
    ],
)
def test_the_check_allows_what_is_allowed(source):
    assert trespasses(source, PACKAGE / "data" / "loader.py", TABLE) == []
