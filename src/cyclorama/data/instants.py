"""Instants that are easily taken for each other, and stretches of a recording that hold them.

Picture a clerk who remembers of 01:42:36 which digits it has but not their order, and looks up
01:24:36: that is how a reader of three hours errs (docs/lab-log.md). Among some minutes drawn at
random such twins hardly ever meet; here the stretches of a training batch are laid so that the
instants asked about have their twins in other stretches, with something else at them or nothing.
Hard negatives after Schroff et al. 2015 (FaceNet, arXiv 1503.03832, section 3.2).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cyclorama.data.passages import stamp

TWIN_SHARE = 0.8  # of the instants drawn; the others lie anywhere
TRIES = 64  # for a stretch that overlaps no other


@dataclass(frozen=True)
class Stretch:
    """Seconds of a recording from ``start_s`` on; ``places`` are instants in it, from its start."""

    start_s: int
    places: tuple[int, ...]

    def check(self, *, length_s: int, grain_s: int = 1) -> None:
        """Raise ValueError unless places differ, lie within ``length_s`` and on the grain."""
        wrong = [p for p in self.places if not 0 <= p < length_s or p % grain_s]
        if wrong or len(set(self.places)) < len(self.places):
            raise ValueError(
                f"places must differ and be multiples of {grain_s} from 0 to below {length_s}, "
                f"got {self.places}"
            )


def twins(time_s: int, *, latest_s: int) -> list[int]:
    """Return the instants before ``latest_s`` whose stamp has one other digit, or two swapped."""
    text = stamp(time_s)
    at = [i for i, letter in enumerate(text) if letter != ":"]
    texts = {text[:i] + digit + text[i + 1 :] for i in at for digit in "0123456789"}
    for i, j in combinations(at, 2):
        texts.add(text[:i] + text[j] + text[i + 1 : j] + text[i] + text[j + 1 :])
    found = (_seconds(one) for one in sorted(texts - {text}))
    return [one for one in found if one is not None and one < latest_s]


def draw_stretches(
    rng: np.random.Generator,
    num: int,
    *,
    length_s: int,
    num_places: int,
    grain_s: int = 1,
    latest_s: int,
) -> list[Stretch]:
    """Return stretches that do not overlap, each with places, most of them twins of others'.

    Starts and places are multiples of ``grain_s``. ValueError when there is no room for so many.
    """
    if num_places > length_s // grain_s or 2 * num * length_s > latest_s:
        raise ValueError(
            f"no room for {num} stretches of {length_s} s with {num_places} places at every "
            f"{grain_s} s within {latest_s} s"
        )
    known: list[int] = []  # instants that have been chosen
    found: list[Stretch] = []
    for _ in range(num):
        start_s = _free_start(rng, known, found, (length_s, grain_s, latest_s))
        span = range(start_s, start_s + length_s, grain_s)
        near = [t for one in known for t in twins(one, latest_s=latest_s) if t in span]
        chosen: list[int] = []
        while len(chosen) < num_places:
            drawn_from = near if near and rng.random() < TWIN_SHARE else span
            time_s = int(drawn_from[rng.integers(len(drawn_from))])
            near = [t for t in near if t != time_s]
            if time_s not in chosen:
                chosen.append(time_s)
        known += chosen
        places = rng.permutation(chosen) - start_s
        found.append(Stretch(start_s, tuple(places.tolist())))
    return found


def _free_start(
    rng: np.random.Generator,
    known: list[int],
    found: list[Stretch],
    sizes: tuple[int, int, int],
) -> int:
    """Return where a stretch may start, so that it holds a twin of a known instant if it can."""
    length_s, grain_s, latest_s = sizes
    for left in reversed(range(TRIES)):
        time_s = int(rng.integers(latest_s))
        if known and left and rng.random() < TWIN_SHARE:
            near = twins(known[rng.integers(len(known))], latest_s=latest_s)
            time_s = near[rng.integers(len(near))]
        before = int(rng.integers(length_s // grain_s))  # places of the stretch before it
        latest = (latest_s - length_s) // grain_s
        start_s = min(max(0, time_s // grain_s - before), latest) * grain_s
        if all(abs(start_s - other.start_s) >= length_s for other in found):
            return start_s
    raise ValueError(f"no place for a stretch of {length_s} s among {len(found)}: draw fewer")


def _seconds(text: str) -> int | None:
    """Return the instant of a stamp, None when a clock has none such."""
    hours, minutes, seconds = map(int, text.split(":"))
    return hours * 3600 + minutes * 60 + seconds if max(minutes, seconds) < 60 else None
