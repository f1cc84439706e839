"""What an examination found: shares with their intervals, other figures, and every question.

The same outcome in three forms: flat keys for a record, rows for whoever wants to count again, and
a table for a person. Intervals are Wilson's of 95 %.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from cyclorama.evaluation.faithfulness import wilson_interval


@dataclass
class Outcome:
    """Shares as (right, asked), figures, and one record of a question a row, with ``right``."""

    shares: dict[str, tuple[int, int]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    rows: list[Any] = field(default_factory=list)

    def count(self, name: str, marks: Sequence[bool]) -> None:
        """Add marks to the share ``name``."""
        right, asked = self.shares.get(name, (0, 0))
        self.shares[name] = right + sum(marks), asked + len(marks)

    def add(self, name: str, trials: Sequence[Any]) -> None:
        """Add questions, and whether they are right to the share ``name``."""
        self.count(name, [trial.right for trial in trials])
        self.rows += trials

    def add_kinds(self, name: str, trials: Sequence[Any]) -> None:
        """Add questions, each to the share KIND_NAME; an answer to what is absent is false."""
        for trial in trials:
            absent = trial.kind == "absent"
            kind = "false_positive" if absent else trial.kind
            self.count(f"{kind}_{name}", [trial.right != absent])
        self.rows += trials


def merged(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the shares and figures of all outcomes in one, without rows."""
    together = Outcome()
    for outcome in outcomes:
        together.shares |= outcome.shares
        together.figures |= outcome.figures
    return together


def flat_keys(outcome: Outcome) -> dict[str, float | int]:
    """Return figures, and for each share NAME, NAME_low, NAME_high and NAME_asked."""
    keys: dict[str, float | int] = {}
    for name, (right, asked) in outcome.shares.items():
        low, high = wilson_interval(right, asked)
        keys |= {
            name: right / asked,
            f"{name}_low": low,
            f"{name}_high": high,
            f"{name}_asked": asked,
        }
    return keys | outcome.figures


def raw_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Return one mapping a question, as JSON wants it."""
    return [{**asdict(one), "right": one.right} for one in outcome.rows]


def print_outcome(outcome: Outcome, *, title: str) -> None:
    """Print shares with their intervals, then figures, as one table."""
    table = Table(title=title)
    for heading in ("what", "figure", "95 % interval", "questions"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, (right, asked) in outcome.shares.items():
        low, high = wilson_interval(right, asked)
        interval = f"{100 * low:.1f} to {100 * high:.1f} %"
        table.add_row(name, f"{100 * right / asked:.1f} %", interval, f"{asked:,}")
    for name, value in outcome.figures.items():
        table.add_row(name, f"{value:.3f}", "", "")
    Console().print(table)
