"""Marks are exact on verdicts written by hand; intervals are Wilson's."""

import math

import numpy as np
import pytest

from cyclorama.evaluation.faithfulness import (
    ATTRIBUTES,
    Case,
    Judged,
    judge,
    mark,
    shares,
    wilson_interval,
)
from cyclorama.evaluation.prompts import Asked
from cyclorama.models.probe import Verdict

RED_BALL, BLUE_CUBE, RED_CUBE = ("red", "ball"), ("blue", "cube"), ("red", "cube")


def verdict(*objects, count=None, family="roll", camera="static") -> Verdict:
    return Verdict(
        frozenset(objects), len(objects) if count is None else count, family, camera, 0.0
    )


def asked(*objects, family="roll", camera="") -> Asked:
    return Asked(frozenset(objects), len(objects), family, camera)


def test_all_right():
    marks = mark(asked(RED_BALL, BLUE_CUBE, camera="static"), verdict(RED_BALL, BLUE_CUBE))
    assert marks == {
        "all_attributes_exact": (1, 1),
        "single_attribute": (4, 4),
        "pair": (2, 2),
        "colour": (2, 2),
        "shape": (2, 2),
        "count": (1, 1),
        "family": (1, 1),
        "camera": (1, 1),
    }


def test_an_extra_object_is_not_exact():
    marks = mark(asked(RED_BALL), verdict(RED_BALL, BLUE_CUBE))
    assert marks["all_attributes_exact"] == (0, 1)
    assert marks["single_attribute"] == (2, 2)
    assert marks["count"] == (0, 1)
    twins = mark(asked(RED_BALL), verdict(RED_BALL, count=2))
    assert twins["all_attributes_exact"] == (0, 1)
    assert twins["pair"] == (1, 1)


def test_swapped_bindings_have_right_colours_and_shapes_but_no_pair():
    marks = mark(asked(RED_BALL, BLUE_CUBE), verdict(RED_CUBE, ("blue", "ball")))
    assert marks["pair"] == (0, 2)
    assert marks["single_attribute"] == (4, 4)
    assert marks["all_attributes_exact"] == (0, 1)


def test_a_colour_asked_twice_must_be_there_twice():
    marks = mark(asked(RED_BALL, RED_CUBE), verdict(RED_CUBE, BLUE_CUBE))
    assert marks["colour"] == (1, 2)
    assert marks["shape"] == (1, 2)
    assert marks["pair"] == (1, 2)


def test_what_a_prompt_does_not_say_is_not_judged():
    marks = mark(asked(RED_BALL, family="", camera=""), verdict(RED_BALL, camera="dolly in"))
    assert marks["family"] == (0, 0)
    assert marks["camera"] == (0, 0)


def test_shares_are_over_all_that_was_asked():
    cases = [
        Judged(Case("one", asked(RED_BALL), 0), v, mark(asked(RED_BALL), v))
        for v in (verdict(RED_BALL), verdict(RED_CUBE), verdict(BLUE_CUBE), verdict(RED_BALL))
    ]
    found = shares(cases)
    assert set(found) == set(ATTRIBUTES)
    assert found["all_attributes_exact"][0] == 2 / 4
    assert found["colour"][0] == 3 / 4
    assert found["single_attribute"][0] == 5 / 8
    assert all(math.isnan(value) for value in found["camera"])
    low, high = found["colour"][1:]
    assert 0 < low < 3 / 4 < high < 1


def test_wilson_interval():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for (right, num), (low, high) in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson_interval(right, num) == pytest.approx((low, high), abs=1e-4)
    assert all(math.isnan(end) for end in wilson_interval(0, 0))


def test_judging_pairs_each_clip_with_its_own_case():
    cases = [Case("a", asked(RED_BALL), 0), Case("b", asked(BLUE_CUBE), 1)]
    clips = [np.full((1, 8, 8, 3), value, np.uint8) for value in (255, 0)]

    def probe(batch):
        return [verdict(RED_BALL if clip.max() else BLUE_CUBE) for clip in batch]

    assert [one.marks["all_attributes_exact"] for one in judge(cases, clips, probe=probe)] == [
        (1, 1),
        (1, 1),
    ]
    assert [one.marks["pair"][0] for one in judge(cases, clips[::-1], probe=probe)] == [0, 0]
