"""The picture of a needle test: how deep the fact stood, how long the text was, how often found.

A column a length, a row a tenth of the depth (the text's beginning on top), and in each field the
share of exact answers, in words and in colour. Drawn with matplotlib, without a display.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cyclorama.evaluation.needle import Trial

NUM_DEPTHS = 10


def found_by_depth(trials: Sequence[Trial], lengths: Sequence[int]) -> np.ndarray:
    """Return the share of right answers, float (depths, lengths); NaN where nothing was asked."""
    right = np.zeros((NUM_DEPTHS, len(lengths)))
    asked = np.zeros_like(right)
    for trial in trials:
        if trial.depth is not None:
            field = (
                min(int(trial.depth * NUM_DEPTHS), NUM_DEPTHS - 1),
                lengths.index(trial.num_tokens),
            )
            right[field] += trial.right
            asked[field] += 1
    return np.divide(right, asked, out=np.full_like(right, np.nan), where=asked > 0)


def draw_heat_map(trials: Sequence[Trial], path: Path, *, names: Sequence[str]) -> None:
    """Write the heat map of trials over their lengths, atomically; ``names`` from short to long.

    Raises ValueError when there are more or fewer names than lengths.
    """
    lengths = sorted({trial.num_tokens for trial in trials})
    if len(lengths) != len(names):
        raise ValueError(f"{len(lengths)} lengths were tried, {len(names)} are named: {names}")
    shares = found_by_depth(trials, lengths)
    figure = Figure(figsize=(2.2 + 0.9 * len(lengths), 4.6), dpi=130, layout="constrained")
    place = figure.subplots()
    image = place.imshow(shares, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
    for (depth, length), share in np.ndenumerate(shares):
        text = "" if np.isnan(share) else f"{100 * share:.0f}"
        place.text(length, depth, text, ha="center", va="center", fontsize=8)
    place.set_xticks(range(len(names)), names)
    ends = [f"{100 * n // NUM_DEPTHS}-{100 * (n + 1) // NUM_DEPTHS} %" for n in range(NUM_DEPTHS)]
    place.set_yticks(range(NUM_DEPTHS), ends, fontsize=8)
    place.set_xlabel("length read")
    place.set_ylabel("depth of the fact")
    num_asked = sum(trial.depth is not None for trial in trials)  # what is absent has no depth
    place.set_title(f"exact answers, %: {num_asked:,} questions", fontsize=10)
    figure.colorbar(image, ax=place, fraction=0.08)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    figure.savefig(aside, format="png")
    aside.replace(path)
