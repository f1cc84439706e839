"""Pictures agree with geometry, and every byte is the same again."""

import hashlib

import numpy as np
import pytest

from cyclorama.worlds.bodies import Body, Prop
from cyclorama.worlds.camera import MOVES, aim_at, extrinsics, intrinsics, project
from cyclorama.worlds.episode import make_episode
from cyclorama.worlds.families import launch, stand
from cyclorama.worlds.pool import render_many
from cyclorama.worlds.render import Renderer
from cyclorama.worlds.simulate import simulate

pytestmark = pytest.mark.usefixtures("can_draw")
BALL = Body("red", "ball", "medium", "rubber", 0.3, 0.8, 0.0, 0.75, 500.0)


def digest(episodes):
    """Return a hash of all pixels, ids and words."""
    total = hashlib.sha256()
    for episode in episodes:
        total.update(episode.frames.tobytes() + episode.object_ids.tobytes())
        total.update(repr((episode.captions, episode.attributes)).encode())
    return total.hexdigest()


def test_the_same_bytes_in_another_process(some_recipes):
    chosen = some_recipes(1) + some_recipes(1, domain="full")
    here = digest(render_many(chosen, num_workers=0, num_frames=5))
    assert here == digest(render_many(chosen, num_workers=1, num_frames=5))
    assert here == digest(make_episode(recipe, num_frames=5) for recipe in chosen)
    with pytest.raises(ValueError, match="num_workers"):
        next(render_many(chosen, num_workers=-1))


@pytest.mark.parametrize("move", MOVES)
def test_depth_unprojects_onto_the_floor(scene, move):
    still = stand(BALL, (0.1, 0.1))
    episode = make_episode(scene(still, camera=move, family="static"), num_frames=9, truth="full")
    for t in (0, 8):
        rows, cols = np.nonzero((episode.object_ids[t] == 0) & (episode.depth[t] < 8))
        rays = np.stack([cols + 0.5, rows + 0.5, np.ones(len(rows))])
        seen = np.linalg.inv(episode.intrinsics) @ rays * episode.depth[t][rows, cols]
        camera = episode.cameras[t]
        world = camera[:, :3].T @ (seen - camera[:, 3:])
        assert len(rows) > 500
        assert np.abs(world[2]).max() < 2e-3
        # The ball's own pixels lie on its sphere, but for the mesh it is drawn with.
        rows, cols = np.nonzero(episode.object_ids[t] == 1)
        rays = np.stack([cols + 0.5, rows + 0.5, np.ones(len(rows))])
        seen = np.linalg.inv(episode.intrinsics) @ rays * episode.depth[t][rows, cols]
        world = camera[:, :3].T @ (seen - camera[:, 3:])
        away = np.linalg.norm(world.T - episode.tracks.positions[t, 0], axis=1)
        assert np.abs(away - 0.3).max() < 0.012


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (80, 48)])
def test_objects_are_where_they_project(scene, size):
    height, width = size
    rolling = launch(stand(BALL, (-0.5, 0.2)), (0.5, 0.0))
    episode = make_episode(scene(rolling), height=height, width=width, num_frames=9)
    assert episode.frames.shape == (9, height, width, 3)
    for t in range(9):
        rows, cols = np.nonzero(episode.object_ids[t] == 1)
        centre = np.array([cols.mean() + 0.5, rows.mean() + 0.5])
        assert np.abs(centre - episode.pixels[t, 0]).max() < 0.6
        inside = episode.frames[t][rows, cols].astype(int)
        assert (inside[:, 0] > inside[:, 1:].max(1)).mean() > 0.9  # it is red


def test_a_pan_keeps_its_eye_and_an_orbit_its_target(scene):
    def eyes(move):
        matrices = np.stack(
            [extrinsics(aim_at(scene(BALL, camera=move).camera, t)) for t in (0.0, 1.0, 2.0)]
        )
        return matrices, -np.einsum("tji,tj->ti", matrices[:, :, :3], matrices[:, :, 3])

    for move in ("pan left", "pan right", "tilt up", "tilt down"):
        matrices, eye = eyes(move)
        np.testing.assert_allclose(eye, eye[:1].repeat(3, 0), atol=1e-12)
        assert np.abs(matrices[2, 2, :3] - matrices[0, 2, :3]).max() > 0.1
    matrices, eye = eyes("orbit left")
    assert matrices[0, 0, :3] @ (eye[2] - eye[0]) < -0.5  # toward the first picture's left
    target = np.array([0.0, 0.0, 0.3])
    np.testing.assert_allclose(np.linalg.norm(eye - target, axis=1), 3.2)
    assert np.linalg.norm(eyes("dolly in")[1] - target, axis=1)[[0, 2]].tolist() == sorted(
        np.linalg.norm(eyes("dolly in")[1] - target, axis=1)[[0, 2]], reverse=True
    )
    # A pan to the left carries what is seen to the right.
    matrices, _ = eyes("pan left")
    pixels, _ = project(np.full((3, 1, 3), 0.1), matrices, height=64, width=64)
    assert pixels[2, 0, 0] > pixels[0, 0, 0] + 5


def test_whole_silhouettes_see_through_walls(scene):
    wall = Prop("wall", "box", (0.4, 0.03, 0.5), (0.0, -0.6, 0.5))
    hidden = stand(BALL, (0.0, 0.2))
    episode = make_episode(
        scene(hidden, props=(wall,), family="static"), num_frames=2, truth="full"
    )
    alone = make_episode(scene(hidden, family="static"), num_frames=2, truth="full")
    assert (episode.object_ids == 1).sum() == 0
    np.testing.assert_array_equal(episode.amodal[:, 0], alone.object_ids == 1)
    np.testing.assert_array_equal(episode.amodal_px, alone.amodal_px)
    assert episode.attributes["count"] == 0


def test_whole_silhouettes_leave_the_drawing_as_it_was(scene):
    recipe = scene(stand(BALL, (0.0, 0.0)), family="static")
    tracks = simulate(recipe, num_frames=1, rate_fps=8.0)
    with Renderer(recipe, height=32, width=32) as renderer:
        renderer.pose(tracks.states[0], recipe.camera, time_s=0.0)
        before = renderer.colour()
        assert renderer.whole().shape == (1, 32, 32)
        np.testing.assert_array_equal(renderer.colour(), before)


def test_named_objects_are_seen(some_recipes):
    for recipe in some_recipes(4, start=60):
        episode = make_episode(recipe)
        for i in range(len(recipe.bodies)):
            enough = (episode.object_ids == i + 1).sum((1, 2)) >= 40
            assert enough.sum() >= 9


def test_impossible_wishes_are_refused(scene):
    recipe = scene(BALL)
    with pytest.raises(ValueError, match="'captions' or 'full'"):
        make_episode(recipe, truth="all")
    with pytest.raises(ValueError, match="at least 8 pixels"):
        make_episode(recipe, height=4)
    with pytest.raises(ValueError, match="truth='full'"):
        make_episode(recipe, counterfactual=True)
    with pytest.raises(ValueError, match="unknown camera move 'fly'"):
        make_episode(scene(BALL, camera="fly"))
    assert intrinsics(64, 96)[0, 0] == intrinsics(64, 64)[0, 0]
