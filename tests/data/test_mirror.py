"""A mirrored clip: the picture turned about, its words with left and right exchanged."""

from dataclasses import replace

import numpy as np
import pytest

from cyclorama.data.mirror import MirroredSource, exchange_sides, mirrored


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a red ball rolls to the left", "a red ball rolls to the right"),
        ("from left to right. Right there", "from right to left. Left there"),
        ("what is left-handed, bright or upright", "what is right-handed, bright or upright"),
        ("it stands still", "it stands still"),
    ],
)
def test_sides_are_exchanged_and_only_sides(text, seen):
    assert exchange_sides(text) == seen
    assert exchange_sides(seen) == text


def test_a_mirror_of_a_mirror_is_the_clip(squares):
    truth = {"camera": "pan left", "motion": ["to the right", "still"], "count": 2, "at": (1, 2)}
    sample = replace(squares(1)[0], truth=truth, captions={"short": "a square goes right"})
    once = mirrored(sample)
    assert np.array_equal(once.frames, sample.frames[:, :, ::-1])
    assert np.array_equal(once.weight_map, sample.weight_map[:, :, ::-1])
    assert once.captions == {"short": "a square goes left"}
    assert once.truth == {
        "camera": "pan right",
        "motion": ["to the left", "still"],
        "count": 2,
        "at": [1, 2],
    }
    assert once.id != sample.id
    twice = mirrored(once)
    assert np.array_equal(twice.frames, sample.frames)
    assert twice.captions == sample.captions


def test_a_source_and_its_mirror_image(squares):
    source = squares(5)
    both = MirroredSource(source)
    assert len(both) == 10
    for index in range(10):
        plain = source[index % 5].frames
        expected = plain if index < 5 else plain[:, :, ::-1]
        assert np.array_equal(both[index].frames, expected)
        assert both.shape_of(index) == source.shape_of(index % 5)
        assert both[index].shape == both.shape_of(index)
