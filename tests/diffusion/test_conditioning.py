"""Conditioning as masks: something is always left to make, and the mix is what it says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.diffusion.conditioning import MASKS, NoiseMix, clean_mask, draw_times
from cyclorama.shapes import TokenGrid

grids = st.builds(TokenGrid, st.integers(1, 6), height=st.integers(1, 5), width=st.integers(1, 5))
seeds = st.integers(0, 2**32)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@given(st.sampled_from(MASKS), grids, seeds)
def test_never_is_all_of_it_clean(task, grid, seed):
    clean = clean_mask(task, grid, generator=generator(seed))
    assert clean.shape == (grid.num_frames, grid.height, grid.width)
    assert not clean.all()
    if task != "box":  # these tasks give whole frames
        assert torch.equal(clean.flatten(1).all(dim=1), clean.flatten(1).any(dim=1))


def test_random_frames_leave_one_to_make_and_differ():
    masks = [
        clean_mask("random frames", TokenGrid(2, 1, 1), generator=generator(seed)).flatten()
        for seed in range(200)
    ]
    assert {tuple(mask.tolist()) for mask in masks} == {
        (False, False),
        (True, False),
        (False, True),
    }


@given(st.integers(3, 6), seeds)
def test_tasks_leave_what_they_say(num_frames, seed):
    grid = TokenGrid(num_frames, 3, 4)
    frames = {
        task: clean_mask(task, grid, generator=generator(seed)).flatten(1).all(dim=1).tolist()
        for task in MASKS
    }
    rest = num_frames - 1
    assert frames["first frame"] == [True] + [False] * rest
    assert frames["both ends"] == [True] + [False] * (rest - 1) + [True]
    prefix, suffix = sum(frames["prefix"]), sum(frames["suffix"])
    assert 1 <= prefix <= rest
    assert 1 <= suffix <= rest
    assert frames["prefix"] == [True] * prefix + [False] * (num_frames - prefix)
    assert frames["suffix"] == [False] * (num_frames - suffix) + [True] * suffix


@given(grids, seeds)
def test_a_box_is_one_hole_through_all_frames(grid, seed):
    clean = clean_mask("box", grid, generator=generator(seed))
    assert torch.equal(clean, clean[:1].expand_as(clean))
    hole = ~clean[0]
    rows, columns = hole.any(dim=1), hole.any(dim=0)
    assert torch.equal(hole, rows[:, None] & columns[None])
    for side in (rows, columns):
        inside = side.nonzero()[:, 0]
        assert inside.tolist() == list(range(int(inside[0]), int(inside[-1]) + 1))


@given(grids, seeds, st.floats(1, 8))
def test_times_of_the_mix(grid, seed, shift):
    times = draw_times(grid, shift=shift, mix=NoiseMix(), generator=generator(seed))
    assert times.shape == (grid.num_frames, grid.height, grid.width)
    assert ((times >= 0) & (times < 1)).all()
    assert (times > 0).any()
    again = draw_times(grid, shift=shift, mix=NoiseMix(), generator=generator(seed))
    assert torch.equal(times, again)


@given(seeds)
def test_each_kind_alone(seed):
    grid = TokenGrid(4, 3, 3)

    def draw(whole, masks, grid=grid):
        mix = NoiseMix(whole, masks)
        return draw_times(grid, shift=2.0, mix=mix, generator=generator(seed))

    assert len(draw(1.0, 0.0).unique()) == 1
    *clean, noisy = draw(0.0, 1.0).unique().tolist()
    assert noisy > 0
    assert clean in ([0.0], [])  # a box may be as large as the clip
    frames = draw(0.0, 0.0)
    assert torch.equal(frames, frames[:, :1, :1].expand_as(frames))
    assert len(frames.unique()) == 4
    assert len(draw(0.0, 0.0, TokenGrid(1, 3, 3)).unique()) == 1


def test_the_shares_of_the_mix():
    grid, draw, kinds = TokenGrid(4, 4, 4), generator(0), {"whole": 0, "masks": 0, "frames": 0}
    for _ in range(1000):
        times = draw_times(grid, shift=1.5, mix=NoiseMix(), generator=draw)
        values = len(times.unique())
        kind = "masks" if (times == 0).any() else "whole" if values == 1 else "frames"
        kinds[kind] += 1
    assert kinds["whole"] == pytest.approx(400, abs=50)
    assert kinds["masks"] == pytest.approx(300, abs=50)
    assert kinds["frames"] == pytest.approx(300, abs=50)
