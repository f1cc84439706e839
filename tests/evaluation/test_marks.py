"""Marks, computed by hand."""

import pytest

from cyclorama.evaluation.marks import (
    chance_of,
    events_told,
    f1,
    matched_events,
    word_errors,
    words_of,
)


def test_words_that_are_wrong_are_counted_as_by_hand():
    for found, said, errors in [
        ("one two three", "one two three", 0),
        ("One, two; THREE!", "one two three", 0),
        ("1 2 3", "one two three", 0),
        ("123", "one two three", 0),
        ("one three", "one two three", 1),  # one left out
        ("one two two three", "one two three", 1),  # one too many
        ("one four three", "one two three", 1),  # one for another
        ("two one", "one two", 2),
        ("", "one two three", 3),
        ("one two three", "", 3),
        ("don't go", "dont go", 1),
        ("a b c d", "b c d e", 2),
    ]:
        assert word_errors(found, said) == errors, (found, said)
    assert words_of("Number 42, isn't it?") == ["number", "four", "two", "isn't", "it"]


def test_events_are_read_from_a_caption_and_the_camera_is_none():
    caption = (
        "<0.0s> the red ball rolls to the left. <1.6s> The red ball hits the blue cube. "
        "Throughout, the camera does not move."
    )
    assert events_told(caption) == [
        (0.0, "the red ball rolls to the left"),
        (1.6, "the red ball hits the blue cube"),
    ]
    assert events_told("Throughout, the camera does not move.") == []
    assert events_told("<s> nothing. <1.x> no.") == []


def test_events_are_paired_once_and_within_the_tolerance():
    true = [(0.0, "rolls"), (0.5, "bounces"), (0.9, "bounces"), (1.5, "stops")]
    for told, matched in [
        (true, 4),
        ([], 0),
        ([(0.25, "rolls")], 1),
        ([(0.3, "rolls")], 0),
        ([(0.0, "slides")], 0),
        ([(0.7, "bounces")], 1),
        ([(0.7, "bounces"), (0.7, "bounces"), (0.7, "bounces")], 2),  # each true one once
        ([(1.1, "bounces"), (0.7, "bounces")], 2),  # in any order: 0.7 with 0.5, 1.1 with 0.9
        ([(0.5, "stops"), (1.7, "stops")], 1),
    ]:
        assert matched_events(told, true) == matched, told
    assert matched_events([(1.0, "rolls")], true, tolerance_s=1.0) == 1
    assert f1(2, num_told=4, num_true=6) == pytest.approx(0.4)
    assert f1(0, num_told=3, num_true=0) == 0.0
    assert f1(0, num_told=0, num_true=0) == 1.0


def test_chance_is_the_commonest_answer_or_a_choice():
    assert chance_of(["yes", "no", "yes", "yes"], [2, 2, 2, 2]) == 0.75
    assert chance_of(["a", "b", "c", "d"], [2, 2, 2, 2]) == 0.5
    assert chance_of(["rubber"] * 3, [4, 4, 4]) == 1.0
