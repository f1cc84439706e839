"""What a prompt asks for, read from its words.

The picture in words: a strict reader with a short vocabulary walks along the prompt. Colours wait
for the next shape ("a red ball", "a red and a blue cube", "two green cones"); verbs say what kind
of event it is, in the order of `MOTIONS`; a sentence about the camera says how it moves. What a
prompt does not say is not asked for and is not judged. Left out: sizes, materials, directions,
floors, and words the probe has no answer for.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyclorama.models.probe import Pair, ProbeConfig

NUMBERS = {"two": 2, "three": 3, "four": 4, "2": 2, "3": 3, "4": 4}
SYNONYMS = {"sphere": "ball", "box": "cube", "block": "cube", "grey": "gray"}
# The first whose pattern is found names the family; what stands still says so last.
MOTIONS = {
    "throw": r"\b(thrown|throws?|fl(y|ies|ying)|tossed)\b",
    "drop": r"\b(falls?|falling|drops?|dropped|dropping)\b(?! over)",
    "collide": r"\b(hits?|hitting|bumps?|collides?|collide|crash(es)?)\b",
    "roll": r"\b(rolls?|rolling)\b",
    "slide": r"\b(slides?|sliding)\b",
    "static": r"\b(stands?|rests?|still|do(es)? not move)\b",
}
# Camera moves are looked for in the words after "camera" only.
CAMERAS = {
    "orbit left": r"\b(orbits?|circles?|orbiting)\b.*\bleft\b",
    "orbit right": r"\b(orbits?|circles?|orbiting)\b.*\bright\b",
    "dolly in": r"\b(closer|in|forward|nearer)\b",
    "dolly out": r"\b(back|out|away|backward)\b",
    "static": r"\b(does not move|still|static|fixed)\b",
}


@dataclass(frozen=True)
class Asked:
    """What a clip should show; ``family`` and ``camera`` are "" when the prompt is silent."""

    objects: frozenset[Pair]
    count: int
    family: str = ""
    camera: str = ""


def parse_prompt(text: str, config: ProbeConfig) -> Asked:
    """Return what a prompt asks for; ValueError when it names no object the probe knows."""
    words = re.findall(r"[a-z0-9]+|[:;.,]", text.lower())
    counts = _count_pairs(words, config)
    if not counts:
        raise ValueError(
            f"the prompt {text!r} names no object that can be judged: say a colour "
            f"({', '.join(config.colours)}) and a shape ({', '.join(config.shapes)})"
        )
    scene, _, camera = " ".join(words).partition("camera")
    if re.search(r"(toward|away from|to|from) the $", scene):  # "rolls toward the camera"
        before, _, rest = camera.partition("camera")
        scene, camera = scene + before, rest
    return Asked(
        frozenset(counts),
        sum(counts.values()),
        _first(MOTIONS, scene, config.families),
        _first(CAMERAS, camera, config.cameras),
    )


def asked_of_truth(truth: Mapping[str, Any]) -> Asked:
    """Return what an engine clip's truth would ask for."""
    pairs = [(thing["colour"], thing["shape"]) for thing in truth["objects"]]
    return Asked(frozenset(pairs), len(pairs), truth["family"], truth["camera"])


def _count_pairs(words: list[str], config: ProbeConfig) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    colours: list[tuple[str, int]] = []
    number = 1
    for word in (SYNONYMS.get(word, word) for word in words):
        if word in NUMBERS:
            number = NUMBERS[word]
        elif word in config.colours:
            colours.append((word, number))
            number = 1
        elif (shape := _shape(word, config)) is not None:
            for colour, many in colours:
                counts[colour, shape] = max(counts[colour, shape], many)
            colours = []
        elif word in ("floor", "sky", "light", "objects", "object", ":"):
            colours, number = [], 1
    return counts


def _shape(word: str, config: ProbeConfig) -> str | None:
    forms = (word, word.removesuffix("s"), word.removesuffix("es"))
    known = (SYNONYMS.get(form, form) for form in forms)
    return next((form for form in known if form in config.shapes), None)


def _first(patterns: Mapping[str, str], text: str, known: tuple[str, ...]) -> str:
    found = (name for name, pattern in patterns.items() if re.search(pattern, text))
    return next((name for name in found if name in known), "")
