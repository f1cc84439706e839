"""What a person sees while a command works: bars, a picture in the terminal, tables.

Everything here goes to standard error, so that what a command prints on standard output (paths,
figures) can be piped on. The picture is drawn with half blocks: one letter is two pixels, the
upper in the letter's colour and the lower in its background's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Report = Callable[[int, int], None]  # how many are done, of how many
PREVIEW_COLUMNS = 26  # letters across one frame: three fit into a terminal of 80
PREVIEW_FRAMES = 3


def console() -> Console:
    """Return the console on standard error."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print one line as it is, neither wrapped nor read as markup."""
    console().print(text, markup=False, soft_wrap=True)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console())


@contextmanager
def progress_bar(label: str) -> Iterator[Report]:
    """Yield a function that moves a bar: call it with what is done and the total."""
    with _bar() as bar:
        task = bar.add_task(label, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report


@contextmanager
def picture_bar(label: str) -> Iterator[Callable[[int, int, Any], None]]:
    """Yield a function of (done, total, frames): a bar with the frames drawn above it.

    ``frames`` is uint8 (T, H, W, 3), or None to leave the picture as it is.
    """
    bar = _bar()
    task = bar.add_task(label, total=None)
    with Live(bar, console=console(), refresh_per_second=8) as live:

        def report(done: int, total: int, frames: Any) -> None:
            bar.update(task, completed=done, total=total)
            if frames is not None:
                live.update(Group(half_blocks(frames), bar))

        yield report


def half_blocks(frames: Any, *, columns: int = PREVIEW_COLUMNS) -> Text:
    """Return the first, middle and last of some frames, uint8 (T, H, W, 3), as coloured text."""
    import numpy as np

    picked = np.unique(np.linspace(0, len(frames) - 1, PREVIEW_FRAMES).round().astype(int))
    height, width = frames.shape[1:3]
    rows = max(2, round(height * columns / width / 2) * 2)
    at_rows = (np.arange(rows) + 0.5) * height / rows
    at_columns = (np.arange(columns) + 0.5) * width / columns
    small = frames[picked][:, at_rows.astype(int)][:, :, at_columns.astype(int)]
    strip = np.concatenate(list(small), axis=1)
    text = Text()
    for upper, lower in zip(strip[::2], strip[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            colours = [f"rgb({','.join(map(str, pixel.tolist()))})" for pixel in (above, below)]
            text.append("\N{UPPER HALF BLOCK}", style=f"{colours[0]} on {colours[1]}")
        text.append("\n")
    return text


def describe_weights(path: Path) -> str:
    """Return lines that tell what a weight file is and how it was made."""
    from cyclorama.weights.files import load_weights

    weights = load_weights(path)
    num_parameters = sum(p.numel() for p in weights.model.parameters())
    facts = {
        "kind": weights.kind,
        "parameters": f"{num_parameters / 1e6:.1f} million",
        "sha256": weights.checksum,
        **weights.facts,
    }
    return "\n".join([f"{path}: weights", *(f"  {name:<12}{fact}" for name, fact in facts.items())])
