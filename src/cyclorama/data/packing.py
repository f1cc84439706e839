"""Which samples share a row: greedy packing of mixed sizes into a budget of tokens.

Native sizes are packed, never cropped or bucketed (Dehghani et al. 2023, "Patch n' Pack"). The
order of samples is a seeded shuffle of each epoch, and the row of a step is a pure function of
(seed, step): to resume, a run needs the step's number and nothing else. Rows are as many samples
as fit the budget; the cuts depend on lengths only, so the whole plan of an epoch is made at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


def epoch_order(num_items: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return the order of items in one epoch: a permutation, int64 of shape (num_items,)."""
    return np.random.default_rng([seed, epoch]).permutation(num_items)


def cut_rows(lengths: Sequence[int], budget_tokens: int) -> list[tuple[int, int]]:
    """Cut a sequence of sample lengths into rows (start, stop) of at most ``budget_tokens``.

    A sample longer than the budget is a ValueError: it would never be trained on.
    """
    rows, start, used = [], 0, 0
    for number, length in enumerate(lengths):
        if length > budget_tokens:
            raise ValueError(
                f"a sample of {length} tokens does not fit a row of {budget_tokens}: raise the "
                "budget or shorten the clips"
            )
        if used + length > budget_tokens:
            rows.append((start, number))
            start, used = number, 0
        used += length
    if start < len(lengths):
        rows.append((start, len(lengths)))
    return rows


@dataclass
class RowPlan:
    """Answers which items form the row of a step, for any step, in any order of asking."""

    lengths: np.ndarray  # int64 (num_items,), tokens of each item
    budget_tokens: int
    seed: int
    _epochs: list[tuple[int, np.ndarray, list[tuple[int, int]]]] = field(default_factory=list)

    def items_of(self, step: int) -> np.ndarray:
        """Return the items of one row, longest first so that equal lengths lie together."""
        if not len(self.lengths):
            raise ValueError("there is nothing to pack: the dataset is empty")
        while not self._epochs or step >= self._epochs[-1][0] + len(self._epochs[-1][2]):
            epoch = len(self._epochs)
            order = epoch_order(len(self.lengths), seed=self.seed, epoch=epoch)
            first = self._epochs[-1][0] + len(self._epochs[-1][2]) if self._epochs else 0
            rows = cut_rows(self.lengths[order], self.budget_tokens)
            if len(rows) > 1:
                rows = rows[:-1]  # the last row is short; its samples come in other epochs
            self._epochs.append((first, order, rows))
        first, order, rows = next(e for e in reversed(self._epochs) if step >= e[0])
        items = order[slice(*rows[step - first])]
        return items[np.argsort(-self.lengths[items], kind="stable")]
