"""Engine tests need MuJoCo; those that draw also need a software OpenGL."""

import itertools
from dataclasses import replace

import pytest

from cyclorama.worlds.bodies import CameraPath, Layout, Recipe, Sun
from cyclorama.worlds.engine import make_gl_context
from cyclorama.worlds.recipe import DOMAINS, recipes

pytest.importorskip("mujoco", reason="the worlds need mujoco: pip install 'cyclorama[worlds]'")


@pytest.fixture(scope="session")
def can_draw():
    """Skip, saying which system package is missing, where nothing can be drawn."""
    try:
        make_gl_context().free()
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def scene():
    """Return a function that makes a recipe of given bodies on a gray floor."""

    def make(*bodies, camera="static", props=(), family="roll", azimuth_deg=90.0) -> Recipe:
        layout = Layout(tuple(bodies), tuple(props))
        return Recipe(
            seed=0,
            domain="stage",
            family=family,
            bodies=layout.bodies,
            props=layout.props,
            hand=None,
            floor="gray",
            sky="blue",
            sun=Sun("bright", -60.0, 50.0),
            camera=CameraPath(camera, azimuth_deg, -25.0, 3.2, (0.0, 0.0, 0.3), 1.0),
            speed=1.0,
            usual_count=3,
        )

    return make


@pytest.fixture(scope="session")
def some_recipes():
    """Return a function: the first few recipes of a domain and a split."""

    def take(count, domain="stage", split="train", start=0, **changes):
        chosen = replace(DOMAINS[domain], **changes)
        return list(itertools.islice(recipes(split, domain=chosen, start=start), count))

    return take
