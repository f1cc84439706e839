"""Names of squares are what the engine's ids say, with motion where the film shows it."""

import numpy as np
import pytest

from cyclorama.data.asked_clips import asked_clips
from cyclorama.data.mirror import exchange_sides, mirrored
from cyclorama.data.named_squares import CAMERA, EVENT, NAMES, SHAPE, UNNAMED, square_names
from cyclorama.nn import naming
from cyclorama.worlds.camera import MOVES
from cyclorama.worlds.questions import _MOTION_WORDS

TRUTH = {
    "ids": [1, 3],
    "objects": [{"shape": "cube", "colour": "red"}, {"shape": "ball", "colour": "gray"}],
    "motion": ["slides", "still"],
    "direction": ["right", ""],
    "camera": "dolly in",
    "events": [],
}
RATE_FPS = 8.0


def told(names, place):
    """Return the words of a square, None for what is unnamed."""
    numbers = zip(NAMES.items(), names[place], strict=True)
    return {kind: None if number == UNNAMED else words[number] for (kind, words), number in numbers}


def drawn():
    """Return ids of two frames of 32x48 (six squares): a cube that moves, a ball, a stranger."""
    ids = np.zeros((2, 32, 48), np.uint8)
    ids[0, 2:12, 2:12] = 1
    ids[1, 2:12, 6:16] = 1
    ids[:, 20:30, 36:46] = 3
    ids[:, 20:22, 20:24] = 3  # eight pixels of another square
    ids[:, 18:30, 2:12] = 2  # a thing that is not spoken of
    return ids


def test_a_square_is_named_after_what_fills_most_of_it():
    names = square_names(drawn(), TRUTH, rate_fps=RATE_FPS)
    assert names.shape == (12, len(NAMES))
    cube, unknown = {"shape": "cube", "colour": "red"}, dict.fromkeys(list(NAMES)[2:])
    assert told(names, 0) == {**cube, **unknown}  # nothing came before
    moves = {"motion": "slides", "direction": "right", "across": "right", "along": ""}
    moves["event"] = ""
    assert told(names, 6) == {**cube, **moves, "camera": "dolly in"}
    assert told(names, 11)["shape"] == "ball"
    assert told(names, 11)["across"] == ""
    assert told(names, 1)["shape"] == ""  # nothing lies there
    assert told(names, 1)["colour"] is None
    for place in (3, 4):  # what is not spoken of, and too little of the ball
        assert set(told(names, place).values()) == {None}
    assert set(names[6:, CAMERA]) == {MOVES.index("dolly in")}  # whatever lies there


def test_a_picture_has_no_motion():
    names = square_names(drawn()[:1], TRUTH, rate_fps=RATE_FPS, is_image=True)
    assert told(names, 0)["colour"] == "red"
    assert {told(names, 0)[kind] for kind in ("motion", "across", "along", "camera", "event")} == {
        None
    }


def test_steps_are_told_both_ways_and_not_behind_others():
    ids = np.zeros((3, 32, 32), np.uint8)
    ids[0, 8:16, 8:16] = 1
    ids[1, 4:12, 4:12] = 1
    ids[2, 4:12, 4:7] = 1  # the rest is hidden
    names = square_names(ids, TRUTH, rate_fps=RATE_FPS)
    assert [told(names, 4)[kind] for kind in ("across", "along")] == ["left", "up"]
    assert [told(names, 8)[kind] for kind in ("across", "along")] == [None, None]


def test_an_event_is_told_of_all_who_take_part_at_the_first_frame_that_shows_it():
    ids = np.zeros((4, 16, 48), np.uint8)
    ids[:, :, :16], ids[:, :, 32:] = 1, 3
    events = [
        {"time_s": 0.1, "kind": "hits", "ids": [1, 3]},  # between the first frame and the second
        {"time_s": 0.25, "kind": "enters", "ids": [3]},  # at the third
        {"time_s": 0.3, "kind": "bounces", "ids": [1]},
        {"time_s": 0.3, "kind": "rolls", "ids": [3]},  # how a motion begins is named as motion
        {"time_s": 0.4, "kind": "stops", "ids": [1]},  # after the last
    ]
    names = square_names(ids, {**TRUTH, "events": events}, rate_fps=RATE_FPS)
    found = [[told(names, 3 * frame + at)["event"] for at in (0, 1, 2)] for frame in range(4)]
    nothing_there = None
    assert found == [
        [None, None, None],
        ["hits", nothing_there, "hits"],
        ["", nothing_there, "enters"],
        ["bounces", nothing_there, ""],
    ]
    slower = square_names(ids[::3], {**TRUTH, "events": events}, rate_fps=RATE_FPS / 3)
    assert [told(slower, 3 + at)["event"] for at in (0, 2)] == ["bounces", "enters"]


def test_the_words_are_those_that_the_reader_has_places_for():
    assert tuple(map(len, NAMES.values())) == naming.NUM_WORDS
    assert naming.UNNAMED == UNNAMED
    assert naming.MOSTLY_FIRST == (SHAPE, CAMERA, EVENT)
    assert set(NAMES["motion"]) == set(_MOTION_WORDS)


def test_clips_of_the_engine_are_named_and_mirrored():
    pytest.importorskip("mujoco")
    clip = asked_clips("stage", "train", num_clips=8)[0]
    names = square_names(clip.weight_map, clip.truth, rate_fps=clip.rate_fps)
    assert names.shape == (17 * 16, len(NAMES))
    assert (names[:, EVENT] > 0).any() == any(
        event["kind"] in NAMES["event"] and event["ids"] for event in clip.truth["events"]
    )
    shapes = {told(names, place)["shape"] for place in range(len(names))} - {None, ""}
    assert shapes == {thing["shape"] for thing in clip.truth["objects"]}
    other = mirrored(clip)
    seen = square_names(other.weight_map, other.truth, rate_fps=RATE_FPS).reshape(17, 4, 4, -1)[
        :, :, ::-1
    ]
    exchange = np.array([0, 2, 1])
    wanted = names.reshape(17, 4, 4, -1).copy()
    wanted[1:, ..., CAMERA] = MOVES.index(exchange_sides(clip.truth["camera"]))
    for kind in ("direction", "across"):
        column = wanted[..., list(NAMES).index(kind)]
        sides = (column == 1) | (column == 2)
        column[sides] = exchange[column[sides]]
    assert (seen == wanted).mean() > 0.99  # a middle may lie on the edge of a step
