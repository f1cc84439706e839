"""What a prompt asks for is read from its words, and from nothing else."""

import pytest

from cyclorama.evaluation.prompts import parse_prompt
from cyclorama.models.probe import PROBES

STAGE = PROBES["stage"]


@pytest.mark.parametrize(
    ("text", "objects", "count"),
    [
        ("a red ball rolls left", {("red", "ball")}, 1),
        ("A RED BALL and a blue cube.", {("red", "ball"), ("blue", "cube")}, 2),
        ("a large purple metal cone on a dark gray floor", {("purple", "cone")}, 1),
        ("a red and a blue cube", {("red", "cube"), ("blue", "cube")}, 2),
        (
            "a red ball hits a green cone, then the red ball stops",
            {("red", "ball"), ("green", "cone")},
            2,
        ),
        ("two yellow cylinders stand still", {("yellow", "cylinder")}, 2),
        ("two objects: a cyan ball and a pink cube", {("cyan", "ball"), ("pink", "cube")}, 2),
        ("an orange sphere and a green box", {("orange", "ball"), ("green", "cube")}, 2),
        ("on a blue floor, a red ball", {("red", "ball")}, 1),
    ],
)
def test_objects(text, objects, count):
    asked = parse_prompt(text, STAGE)
    assert asked.objects == objects
    assert asked.count == count


@pytest.mark.parametrize(
    ("motion", "family"),
    [
        ("rolls to the left", "roll"),
        ("falls to the floor and bounces", "drop"),
        ("is thrown to the right", "throw"),
        ("flies left and bounces", "throw"),
        ("rolls right and hits a blue cube", "collide"),
        ("slides from left to right", "slide"),
        ("rests on the floor", "static"),
        ("does not move", "static"),
        ("rolls left while a blue cube stands still", "roll"),
        ("on a gray floor", ""),
    ],
)
def test_family(motion, family):
    assert parse_prompt(f"a red ball {motion}", STAGE).family == family


@pytest.mark.parametrize(
    ("text", "camera"),
    [
        ("a red ball rolls left, the camera orbits to the right", "orbit right"),
        ("a red ball rolls right as the camera orbits to the left", "orbit left"),
        ("a red ball falls while the camera moves closer", "dolly in"),
        ("a red ball falls and the camera moves back", "dolly out"),
        ("a red ball rolls toward the camera", ""),
        ("a red ball rolls away from the camera while the camera moves closer", "dolly in"),
        ("a red ball rolls in from the left and goes back", ""),
        ("a red ball; the camera does not move", "static"),
    ],
)
def test_camera(text, camera):
    assert parse_prompt(text, STAGE).camera == camera


def test_moving_of_the_camera_is_no_motion_of_an_object():
    assert parse_prompt("a red ball, the camera does not move", STAGE).family == ""


def test_a_prompt_without_objects_is_an_error_that_lists_the_words():
    with pytest.raises(ValueError, match=r"names no object .*red.*ball"):
        parse_prompt("a lion on a bicycle", STAGE)


def test_captions_of_the_engine_are_read_as_its_truth():
    pytest.importorskip("mujoco", reason="needs the extra worlds")
    from cyclorama.data.worlds_live import worlds_clips
    from cyclorama.evaluation.prompts import asked_of_truth
    from cyclorama.shapes import VideoShape

    clips = worlds_clips("stage", "val_id", num_clips=6, shapes=[(VideoShape(17, 32, 32), 1.0)])
    for index in range(6):
        sample = clips[index]
        asked = parse_prompt(sample.captions["short"], STAGE)
        truth = asked_of_truth(sample.truth)
        assert (asked.objects, asked.count) == (truth.objects, truth.count)
        assert asked.camera in ("", truth.camera)
