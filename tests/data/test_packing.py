"""Rows of a plan: within the budget, every item in turn, and the same whatever was asked before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.data.packing import RowPlan, cut_rows, epoch_order

lengths = st.lists(st.integers(1, 50), min_size=1, max_size=40)
seeds = st.integers(0, 1000)


@given(st.integers(1, 200), seeds, st.integers(0, 5))
def test_an_epoch_holds_every_item_once(num_items, seed, epoch):
    order = epoch_order(num_items, seed=seed, epoch=epoch)
    assert sorted(order.tolist()) == list(range(num_items))
    assert np.array_equal(order, epoch_order(num_items, seed=seed, epoch=epoch))


def test_epochs_and_seeds_differ():
    orders = {tuple(epoch_order(30, seed=s, epoch=e)) for s in range(3) for e in range(3)}
    assert len(orders) == 9


@given(lengths, st.integers(50, 120))
def test_rows_follow_each_other_within_the_budget_and_are_full(sizes, budget):
    rows = cut_rows(sizes, budget)
    assert [n for start, stop in rows for n in range(start, stop)] == list(range(len(sizes)))
    for number, (start, stop) in enumerate(rows):
        assert 0 < sum(sizes[start:stop]) <= budget
        if number + 1 < len(rows):  # the next item would not have fitted
            assert sum(sizes[start : stop + 1]) > budget


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="sample of 51 tokens does not fit a row of 50"):
        cut_rows([10, 51], 50)
    with pytest.raises(ValueError, match="nothing to pack"):
        RowPlan(np.array([], dtype=np.int64), 50, 0).items_of(0)


@given(lengths, seeds, st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_a_row_is_a_pure_function_of_the_step(sizes, seed, steps):
    sizes = np.array(sizes)
    asked_wildly = RowPlan(sizes, 60, seed)
    rows = {step: asked_wildly.items_of(step).tolist() for step in steps}
    for step in steps:
        assert RowPlan(sizes, 60, seed).items_of(step).tolist() == rows[step]
        assert sizes[rows[step]].sum() <= 60
        assert sizes[rows[step]].tolist() == sorted(sizes[rows[step]], reverse=True)


@given(lengths, seeds)
def test_every_item_gets_its_turn(sizes, seed):
    plan, seen = RowPlan(np.array(sizes), 60, seed), set()
    for step in range(600):
        seen.update(plan.items_of(step).tolist())
        if len(seen) == len(sizes):
            return
    raise AssertionError(f"after 600 rows these were never drawn: {set(range(len(sizes))) - seen}")


def test_within_an_epoch_no_item_comes_twice():
    plan = RowPlan(np.full(40, 10), 50, seed=3)
    epoch = np.concatenate([plan.items_of(step) for step in range(7)])
    assert len(set(epoch.tolist())) == 35  # seven of eight rows; the last one is left out
