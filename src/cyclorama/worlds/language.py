"""Facts to sentences: a short caption, a dense one and a time-stamped one.

Picture three reporters at one scene: the first types what a user would ask for (every object with
colour and shape, and its main motion, 8 to 25 words), the second describes everything, the third
reads a clock. Grammar varies with the recipe's hash and with nothing else, so a caption is as
repeatable as a pixel. Every sentence follows from `truth`; left and right are the screen's. Leaves
out questions.
"""

import random
from collections.abc import Sequence

from cyclorama.worlds.bodies import Body, Recipe
from cyclorama.worlds.looks import FLOORS
from cyclorama.worlds.truth import Event, Motion

_WAYS = {
    "left": ("to the left", "left", "to the left", "from right to left"),
    "right": ("to the right", "right", "to the right", "from left to right"),
    "toward": ("toward the camera",),
    "away": ("away from the camera",),
}
_VERBS = {  # singular, plural
    "rolls": ("rolls", "roll"),
    "slides": ("slides", "slide"),
    "falls": ("falls", "fall"),
    "flies": ("is thrown", "are thrown"),
    "still": ("stands still", "stand still"),
    "pushed": ("is pushed", "are pushed"),
    "swings": ("swings", "swing"),
    "topples": ("falls over", "fall over"),
    "launched": ("is thrown into the air", "are thrown into the air"),
}
CAMERA_SENTENCES = {
    "static": "the camera does not move",
    "orbit left": "the camera orbits to the left",
    "orbit right": "the camera orbits to the right",
    "dolly in": "the camera moves closer",
    "dolly out": "the camera moves back",
    "pan left": "the camera pans to the left",
    "pan right": "the camera pans to the right",
    "tilt up": "the camera tilts up",
    "tilt down": "the camera tilts down",
    "truck left": "the camera slides to the left",
    "truck right": "the camera slides to the right",
    "crane up": "the camera rises",
}
_FURNITURE = {"plank": "seesaw"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def article(noun: str) -> str:
    """Return the noun with "a" or "an"."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def noun(body: Body) -> str:
    """Return colour and shape, which are never shared by two objects of a scene."""
    return f"{body.colour} {body.shape}"


def name_of(who: int | str | None, recipe: Recipe) -> str:
    """Return the definite name of a body, or of the floor, the hand or furniture."""
    if isinstance(who, int):
        return f"the {noun(recipe.bodies[who])}"
    word = str(who).rstrip("0123456789")
    return f"the {_FURNITURE.get(word, word)}"


def enumerate_words(items: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    if len(items) < 2:
        return items[0] if items else ""
    return f"{', '.join(items[:-1])} and {items[-1]}"


def short_caption(
    recipe: Recipe,
    motions: Sequence[Motion],
    *,
    visible: Sequence[int],
    rng: random.Random,
    passed: Sequence[tuple[int, int]] = (),
) -> str:
    """Return what a user would type: every visible object and its motion, lower case.

    ``visible`` are body numbers, ``passed`` pairs (mover, standing body it passes on screen).
    """
    if not visible:
        return f"an empty {FLOORS[recipe.floor][0]} under a {recipe.sky} sky"
    place = article(FLOORS[recipe.floor][0])
    nouns = [article(noun(recipe.bodies[i])) for i in visible]
    moving = [i for i in visible if motions[i].word != "still"]
    if rng.random() < 0.15:
        order = nouns[:]
        rng.shuffle(order)
        return f"{enumerate_words(order)} on {place}"
    clauses = _clauses(recipe, motions, visible=visible, rng=rng, passed=passed)
    text = _join(clauses, rng)
    if len(visible) > 1 and rng.random() < 0.12:
        text = f"{_NUMBERS[len(visible)]} objects: {text}"
    elif "floor" in text:
        pass
    elif len(text.split()) < 8 or (len(text.split()) < 15 and rng.random() < 0.3):
        text = f"on {place}, {text}" if rng.random() < 0.4 else f"{text} on {place}"
    if recipe.camera.move != "static":
        wanted = 0.75 if not moving else 0.35
        if rng.random() < wanted and len(text.split()) <= 18:
            joint = rng.choice(
                (" as ", ", and ", ", ") if " while " in text else (" as ", " while ", ", and ")
            )
            text += joint + CAMERA_SENTENCES[recipe.camera.move]
    return text


def dense_caption(recipe: Recipe, events: Sequence[Event], *, visible: Sequence[int]) -> str:
    """Return several sentences: floor, light, every object, what happens, the camera."""
    bodies = [recipe.bodies[i] for i in visible]
    full = [article(f"{b.size} {b.colour} {b.material} {b.shape}") for b in bodies]
    verb = "is" if len(full) == 1 else "are"
    place = f"On {article(FLOORS[recipe.floor][0])} in {recipe.sun.name} light"
    text = f"{place} there {verb} {enumerate_words(full) or 'no objects'}."
    told = [s for s in dict.fromkeys(event_sentence(e, recipe) for e in events) if s][:5]
    for number, sentence in enumerate(told):
        lead = "" if number == 0 else ("Next ", "Then ", "After that ")[number % 3]
        line = lead + sentence
        text += f" {line[0].upper()}{line[1:]}."
    busy = {i for e in events for i in (e.first, e.second) if isinstance(i, int)}
    still = [name_of(i, recipe) for i in visible if i not in busy]
    if still:
        verb = "stands" if len(still) == 1 else "stand"
        line = enumerate_words(still)
        text += f" {line[0].upper()}{line[1:]} {verb} still."
    camera = CAMERA_SENTENCES[recipe.camera.move]
    return f"{text} {camera[0].upper()}{camera[1:]}."


def timed_caption(recipe: Recipe, events: Sequence[Event]) -> str:
    """Return "<0.0s> the red ball rolls to the left. <0.6s> ..." with all events in order."""
    parts = []
    for event in events:
        sentence = event_sentence(event, recipe)
        if sentence:
            parts.append(f"<{event.time_s:.1f}s> {sentence}.")
    camera = CAMERA_SENTENCES[recipe.camera.move]
    return " ".join([*parts[:14], f"Throughout, {camera}."])


def event_sentence(event: Event, recipe: Recipe) -> str:
    """Return an event as a clause in the present tense, without capital or full stop."""
    first = name_of(event.first, recipe)
    way = f" {_WAYS[event.side][0]}" if event.side in _WAYS else ""
    way = " down the ramp" if event.side == "ramp" else way
    plain = {
        "rolls": f"{first} rolls{way or ' across the floor'}",
        "slides": f"{first} slides{way or ' across the floor'}",
        "falls": f"{first} falls",
        "flies": f"{first} flies through the air{way}",
        "swings": f"{first} swings",
        "topples": f"{first} falls over",
        "launched": f"{first} is thrown into the air",
        "lands": f"{first} hits the floor",
        "bounces": f"{first} bounces",
        "stops": f"{first} comes to rest",
        "hides": f"{first} disappears from view",
        "reappears": f"{first} comes back into view",
    }
    if event.kind in plain:
        return plain[event.kind]
    if event.kind in ("enters", "exits"):
        edge = {
            "left": "on the left",
            "right": "on the right",
            "top": "at the top",
            "bottom": "at the bottom",
        }[event.side]
        return f"{first} {'enters' if event.kind == 'enters' else 'leaves'} the view {edge}"
    if event.kind == "hits":
        verb = "bumps into" if event.speed_mps < 0.6 else "hits"
        if event.first == "hand":
            verb = "pushes"
        return f"{first} {verb} {name_of(event.second, recipe)}"
    raise ValueError(f"no sentence for an event of kind {event.kind!r}")


def _clauses(
    recipe: Recipe,
    motions: Sequence[Motion],
    *,
    visible: Sequence[int],
    rng: random.Random,
    passed: Sequence[tuple[int, int]],
) -> list[str]:
    """Return clauses that together name each visible object exactly once; movers first."""
    names = {i: article(noun(recipe.bodies[i])) for i in visible}
    left = [i for i in visible if motions[i].word != "still"]
    left += [i for i in visible if i not in left]
    clauses: list[str] = []
    for i in [j for j in left if motions[j].target in names]:
        other = motions[i].target
        if i not in left or other not in left or other is None:
            continue
        verb = rng.choice(("hits", "hits", "bumps into", "collides with"))
        text = f"{names[i]} {_predicate(motions[i], rng, bounce=False)} and {verb} {names[other]}"
        if motions[other].word not in ("still", "pushed"):
            text += f" {_participle(motions[other])}"
        clauses.append(text)
        left.remove(i)
        left.remove(other)
    for mover, standing in passed:
        if mover in left and standing in left and rng.random() < 0.6:
            way = _predicate(motions[mover], rng)
            clauses.append(f"{names[mover]} {way} past {names[standing]}")
            left.remove(mover)
            left.remove(standing)
    groups: dict[tuple[str | bool, ...], list[int]] = {}
    for i in left:
        motion = motions[i]
        alike = (motion.word, motion.direction, motion.bounces > 0, motion.on, motion.into)
        groups.setdefault(alike, []).append(i)
    for members in groups.values():
        many = len(members) > 1
        subject = enumerate_words([names[i] for i in members])
        clauses.append(f"{subject} {_predicate(motions[members[0]], rng, many=many)}")
    return clauses


def _predicate(
    motion: Motion, rng: random.Random, *, many: bool = False, bounce: bool = True
) -> str:
    word = motion.word
    verb = _VERBS[word][1 if many else 0]
    if word == "still":
        other = (
            ("stand still", "do not move", "rest on the floor")
            if many
            else ("stands still", "does not move", "rests on the floor")
        )
        return rng.choice((other[0], *other))
    if word == "falls":
        return _fall(motion, rng, many=many, bounce=bounce)
    way = rng.choice(_WAYS[motion.direction]) if motion.direction else ""
    if word in ("rolls", "slides"):
        over = "down a ramp " if motion.on == "ramp" else ""
        if not over and (not way or (rng.random() < 0.15 and not way.startswith("from"))):
            over = "across the floor "
        return f"{verb} {over}{way}".strip()
    if word == "flies":
        return _flight(motion, rng, many=many, bounce=bounce, way=way)
    if word == "pushed":
        return f"{verb} {way or 'aside'}{' by a hand' if motion.by else ''}"
    return verb  # swings, topples, launched


def _flight(motion: Motion, rng: random.Random, *, many: bool, bounce: bool, way: str) -> str:
    start = rng.choice((_VERBS["flies"][1 if many else 0], "fly" if many else "flies"))
    text = f"{start} {way or 'through the air'}"
    if bounce and motion.bounces:
        text += " and bounce" if many else " and bounces"
    return text


def _fall(motion: Motion, rng: random.Random, *, many: bool, bounce: bool) -> str:
    if motion.into:
        return f"{'fall' if many else 'falls'} into {article(motion.into)}"
    if bounce and motion.bounces:
        if many:
            return rng.choice(("fall and bounce", "drop and bounce"))
        return rng.choice(
            ("falls and bounces", "drops and bounces", "falls to the floor and bounces")
        )
    if many:
        return rng.choice(("fall to the floor", "drop to the floor"))
    return rng.choice(("falls to the floor", "drops to the floor", "falls down"))


def _participle(motion: Motion) -> str:
    doing = {
        "rolls": "rolling",
        "slides": "sliding",
        "falls": "falling",
        "flies": "flying",
        "swings": "swinging",
        "topples": "falling over",
        "launched": "flying up",
    }[motion.word]
    return f"{doing} {_WAYS[motion.direction][0]}" if motion.direction else doing


def _join(clauses: Sequence[str], rng: random.Random) -> str:
    if len(clauses) == 1:
        return clauses[0]
    ordered = list(clauses)
    if rng.random() < 0.35:
        rng.shuffle(ordered)
    joint = rng.choice((" while ", " and ", ", and ", " while ", ", "))
    return f"{', '.join(ordered[:-1])}{joint}{ordered[-1]}"
