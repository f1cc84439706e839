"""Batches of one size: pure functions of the step, in proportion, nothing left out for ever."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.data.loader import ShapeBatches
from cyclorama.shapes import VideoShape

BUDGET = 4 * 9 * 32 * 32


@given(st.integers(0, 100), st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_a_batch_is_a_pure_function_of_the_step(squares, seed, steps):
    source = squares(20)
    asked_wildly = ShapeBatches(source, BUDGET, seed)
    items = {step: asked_wildly.items_of(step).tolist() for step in steps}
    for step in steps:
        assert ShapeBatches(source, BUDGET, seed).items_of(step).tolist() == items[step]


def test_a_batch_is_clips_of_one_size_within_the_budget(squares):
    source = squares(40)
    batches, sizes = ShapeBatches(source, BUDGET, 0), set()
    for step in range(12):
        batch = batches(step)
        shape = VideoShape(*batch.frames.shape[1:4])
        assert {source.shape_of(int(item)) for item in batch.items} == {shape}
        pixels = shape.num_frames * shape.height * shape.width
        assert len(batch.items) == BUDGET // pixels
        assert batch.object_ids.shape == batch.frames.shape[:4]
        for item, frames, ids in zip(batch.items, batch.frames, batch.object_ids, strict=True):
            assert np.array_equal(frames, source[int(item)].frames)
            assert np.array_equal(ids, source[int(item)].weight_map)
        sizes.add(shape)
    assert sizes == set(source.shapes)


def test_a_size_too_large_for_the_budget_comes_one_by_one(squares):
    source = squares(6, (VideoShape(9, 32, 32),))
    assert len(ShapeBatches(source, 1000, 0).items_of(0)) == 1


def test_every_clip_gets_its_turn_and_none_much_more_often(squares):
    batches, seen = ShapeBatches(squares(24, (VideoShape(1, 32, 32),)), 5 * 32 * 32, 0), Counter()
    for step in range(4 * 50):  # fifty epochs of four batches of five
        seen.update(batches.items_of(step).tolist())
    assert set(seen) == set(range(24))
    assert max(seen.values()) - min(seen.values()) < 20
    assert max(seen.values()) <= 50  # once an epoch at most


def test_a_rare_size_is_repeated(squares):
    source = squares(2, (VideoShape(9, 32, 32), VideoShape(1, 32, 32)))
    batches = ShapeBatches(source, BUDGET, 0)
    items = sorted(batches.items_of(step).tolist() for step in range(2))
    assert items == [[0] * 4, [1] * 36]


def test_long_clips_are_cut(squares):
    source = squares(12)
    batches = ShapeBatches(source, BUDGET, 0, max_frames=5)
    for step in range(4):
        batch = batches(step)
        assert batch.frames.shape[1] <= 5
        assert batch.object_ids.shape == batch.frames.shape[:4]
        for item, frames in zip(batch.items, batch.frames, strict=True):
            assert np.array_equal(frames, source[int(item)].frames[:5])


def test_clips_without_object_ids_have_none(squares):
    class Bare(squares):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return type(sample)(sample.id, sample.frames, sample.rate_fps)

    assert not ShapeBatches(Bare(6), BUDGET, 0)(0).object_ids.any()
    assert ShapeBatches(squares(6), BUDGET, 0)(0).object_ids.any()


def test_no_clips_are_an_error(squares):
    with pytest.raises(ValueError, match="dataset is empty"):
        ShapeBatches(squares(0), BUDGET, 0)(0)
