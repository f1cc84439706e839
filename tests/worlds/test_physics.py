"""Physics against formulas: falls, flights, friction, rolling, bounces, collisions, rests."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cyclorama.worlds.bodies import Body, Prop, rest_height
from cyclorama.worlds.families import launch, stand, yaw
from cyclorama.worlds.simulate import simulate
from cyclorama.worlds.truth import tilts_deg

GRAVITY = 9.81
STEP_S = 1 / 480


def body(shape="ball", **changes):
    """Return a red body of 0.3 m radius."""
    plain = Body("red", shape, "medium", "rubber", 0.3, 0.8, 0.0, 0.75, 500.0)
    return replace(plain, **changes)


def run(recipe, num_frames=17, rate_fps=8.0):
    """Return the trajectory of a recipe."""
    return simulate(recipe, num_frames=num_frames, rate_fps=rate_fps)


def test_free_fall_is_the_semi_implicit_sum(scene):
    tracks = run(scene(body(position=(0.0, 0.0, 2.0))), 5, 12.0)
    steps = np.round(np.arange(5) * 480 / 12)
    expected = 2.0 - GRAVITY * STEP_S**2 * steps * (steps + 1) / 2
    np.testing.assert_allclose(tracks.positions[:, 0, 2], expected, atol=1e-9)
    assert abs(expected[4] - (2.0 - GRAVITY / 2 / 9)) < 4e-3


def test_a_throw_is_a_parabola(scene):
    tracks = run(scene(body(position=(-1.0, 0.2, 0.8), velocity=(0.7, -0.1, 2.0))), 5)
    times = np.arange(5) / 8
    np.testing.assert_allclose(tracks.positions[:, 0, 0], -1.0 + 0.7 * times, atol=1e-9)
    np.testing.assert_allclose(tracks.positions[:, 0, 1], 0.2 - 0.1 * times, atol=1e-9)
    height = 0.8 + 2.0 * times - GRAVITY / 2 * times**2
    np.testing.assert_allclose(tracks.positions[:, 0, 2], height, atol=6e-3)


def test_a_ball_rolls_on_without_friction_losses(scene):
    rolling = launch(stand(body(), (-1.0, 0.0)), (0.8, 0.0))
    tracks = run(scene(rolling))
    np.testing.assert_allclose(tracks.positions[:, 0, 0], -1.0 + 0.8 * np.arange(17) / 8, atol=0.01)
    np.testing.assert_allclose(tracks.spins[:, 0, 1], 0.8 / 0.3, rtol=0.02)


def test_sliding_friction_slows_by_mu_g(scene):
    sliding = replace(stand(body("cube"), (-1.0, 0.0)), velocity=(1.2, 0.0, 0.0), friction=0.04)
    speeds = run(scene(sliding)).velocities[:, 0, 0]
    expected = 1.2 - 0.04 * GRAVITY * np.arange(17) / 8
    np.testing.assert_allclose(speeds, expected, atol=0.02)


@pytest.mark.parametrize("wanted", [0.9, 0.75, 0.6, 0.45, 0.3])
def test_restitution_is_what_was_asked_for(scene, wanted):
    """One in a falling ball's steps is early or late: the mean over heights is what is set."""
    ratios = []
    for height in np.linspace(0.7, 1.3, 7):
        falling = body(position=(0.0, 0.0, float(height)), restitution=wanted)
        contacts = run(scene(falling)).contacts
        ratios.append(contacts[1].speed_mps / contacts[0].speed_mps)
    assert abs(np.mean(ratios) - wanted) < 0.04


def test_impact_speed_is_that_before_the_touch(scene):
    tracks = run(scene(body(position=(0.0, 0.0, 1.3))))
    first = tracks.contacts[0]
    assert {first.first, first.second} == {0, "floor"}
    assert first.first == 0
    assert abs(first.speed_mps - math.sqrt(2 * GRAVITY * 1.0)) < 0.03
    assert abs(first.time_s - math.sqrt(2 * 1.0 / GRAVITY)) < 0.006
    assert abs(abs(first.normal[2]) - 1) < 1e-6


def test_a_collision_keeps_momentum(scene):
    smooth = {"friction": 0.0, "rolling": 0.0}
    left = replace(stand(body(**smooth), (-0.8, 0.0)), velocity=(1.0, 0.0, 0.0))
    right = replace(stand(body(colour="blue", **smooth), (0.0, 0.0)), velocity=(0.0, 0.0, 0.0))
    tracks = run(scene(left, right, family="collide"), 9)
    np.testing.assert_allclose(tracks.velocities[:, :, 0].sum(1), 1.0, atol=0.01)
    hits = [c for c in tracks.contacts if {c.first, c.second} == {0, 1}]
    assert len(hits) == 1
    assert hits[0].first == 0
    assert abs(hits[0].speed_mps - 1.0) < 0.01
    assert abs(hits[0].time_s - 0.2) < 0.01


@pytest.mark.parametrize("shape", ["cube", "cylinder", "cone", "capsule", "disk", "domino"])
def test_what_stands_stays(scene, shape):
    for turn in (0.0, 33.0, 71.0):
        standing = replace(stand(body(shape), (0.1, 0.2)), quaternion=yaw(turn))
        tracks = run(scene(standing, family="static"))
        moved = tracks.positions[:, 0] - (0.1, 0.2, rest_height(standing))
        assert np.abs(moved).max() < 0.004
        assert tilts_deg(tracks, 0).max() < 1.0
        assert not [kind for _, _, kind in tracks.rests if kind == "stops"]


def test_a_short_clip_is_the_beginning_of_a_long_one(scene):
    bouncing = scene(body(position=(0.0, 0.0, 1.1), velocity=(0.1, 0.0, 0.0)))
    long, short = run(bouncing, 25), run(bouncing, 9)
    cut = long.until(9)
    np.testing.assert_array_equal(cut.states, short.states)
    assert [c.time_s for c in cut.contacts] == [c.time_s for c in short.contacts]
    with pytest.raises(ValueError, match="num_frames >= 1"):
        run(bouncing, 0)


def test_furniture_is_named(scene):
    wall = Prop("wall", "box", (0.03, 0.5, 0.4), (0.5, 0.0, 0.4))
    rolling = launch(stand(body(), (-0.8, 0.0)), (1.2, 0.0))
    contacts = run(scene(rolling, props=(wall,))).contacts
    hits = [c for c in contacts if {c.first, c.second} == {0, "wall"}]
    assert len(hits) == 1
    assert abs(hits[0].speed_mps - 1.2) < 0.02
    assert abs(hits[0].normal[0]) > 0.99
