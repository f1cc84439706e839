"""Does a generated clip show what its prompt says? A probe trained on the engine's truth decides.

The picture in words: each prompt is read into what it asks for (`prompts`), a clip is made from
it, and the probe, which has never seen the prompt, says what the clip shows. Attribute by
attribute the two are compared. The same probe judges real engine clips of the same prompts: what
it gets right there is the ceiling of every figure, and stands beside it. Shares come with 95 %
intervals (Wilson 1927), taken over the judged attributes as if these were independent. After
T2V-CompBench's attribute binding and CLEVR's idea of questions with exact answers. Left out:
directions, sizes, materials and physics.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cyclorama.evaluation.prompts import Asked
from cyclorama.inference.video import (
    Maker,
    VideoRequest,
    check_request,
    decode_clips,
    sample_latents,
)
from cyclorama.models.probe import Pair, Verdict

# Attribute -> what its share counts, for the table and the docs.
ATTRIBUTES = {
    "all_attributes_exact": "clips with every colour and shape right, and nothing extra",
    "single_attribute": "single colours and shapes that are there",
    "pair": "objects whose colour and shape are there together",
    "colour": "objects whose colour is there",
    "shape": "objects whose shape is there",
    "count": "clips with the right number of objects",
    "family": "clips that move as asked, of those that say how",
    "camera": "clips whose camera moves as asked, of those that say so",
}
Z95 = 1.959964
Marks = dict[str, tuple[int, int]]  # attribute -> how many right, of how many


@dataclass(frozen=True)
class Case:
    """One prompt, what it asks for, and the seed its clip is made from."""

    prompt: str
    asked: Asked
    seed: int


@dataclass(frozen=True, eq=False)
class Judged:
    """One case with the probe's verdict and the marks it earns."""

    case: Case
    verdict: Verdict
    marks: Marks = field(default_factory=dict)


def mark(asked: Asked, verdict: Verdict) -> Marks:
    """Return for each attribute how many were right of how many asked for."""
    found = verdict.objects
    colours = _shared(asked.objects, found, part=0)
    shapes = _shared(asked.objects, found, part=1)
    num = len(asked.objects)
    is_exact = found == asked.objects and verdict.count == asked.count
    return {
        "all_attributes_exact": (int(is_exact), 1),
        "single_attribute": (colours + shapes, 2 * num),
        "pair": (len(asked.objects & found), num),
        "colour": (colours, num),
        "shape": (shapes, num),
        "count": (int(verdict.count == asked.count), 1),
        "family": (int(verdict.family == asked.family), int(bool(asked.family))),
        "camera": (int(verdict.camera == asked.camera), int(bool(asked.camera))),
    }


def _shared(asked: frozenset[Pair], found: frozenset[Pair], *, part: int) -> int:
    """Return how many colours (part 0) or shapes (1) two sets of pairs share, each used once."""
    wanted, there = (Counter(pair[part] for pair in pairs) for pairs in (asked, found))
    return (wanted & there).total()


def judge(
    cases: Sequence[Case],
    clips: Sequence[np.ndarray],
    *,
    probe: Callable[[np.ndarray], list[Verdict]],
) -> list[Judged]:
    """Return the verdict on each case's clip, uint8 (T, H, W, 3), all of one size."""
    verdicts = probe(np.stack(clips))
    return [
        Judged(case, verdict, mark(case.asked, verdict))
        for case, verdict in zip(cases, verdicts, strict=True)
    ]


def make_clips(
    cases: Sequence[Case], maker: Maker, *, request: VideoRequest, batch: int = 8
) -> Iterator[np.ndarray]:
    """Yield a clip for each case, as ``request`` says but with its own prompt and seed."""
    for start in range(0, len(cases), batch):
        requests = [
            VideoRequest(**{**vars(request), "prompt": case.prompt, "seed": case.seed})
            for case in cases[start : start + batch]
        ]
        for one in requests:
            check_request(one, maker)
        for latents in sample_latents(requests, maker):
            yield decode_clips(latents, maker)[0]


def shares(judged: Sequence[Judged]) -> dict[str, tuple[float, float, float]]:
    """Return for each attribute its share and the ends of its 95 % interval; NaN if unasked."""
    result = {}
    for name in ATTRIBUTES:
        right = sum(one.marks[name][0] for one in judged)
        asked = sum(one.marks[name][1] for one in judged)
        share = right / asked if asked else math.nan
        result[name] = (share, *wilson_interval(right, asked))
    return result


def wilson_interval(right: int, asked: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % interval of a share (1927, equation 3)."""
    if asked == 0:
        return math.nan, math.nan
    share, z2 = right / asked, Z95**2
    middle = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = Z95 * math.sqrt(share * (1 - share) / asked + z2 / (4 * asked**2)) / (1 + z2 / asked)
    return max(0.0, middle - half), min(1.0, middle + half)
