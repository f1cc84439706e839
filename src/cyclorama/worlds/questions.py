"""Questions whose answers follow from the facts, asked so that guessing does not pay.

Picture an examiner who tosses a coin before opening the book: first the wanted answer (yes or no,
left or right, the first or the second named), then a question of the kind that has it; where the
scene does not offer both, the question is not asked. Choices are shuffled, and wrong ones are
drawn from the same shelf as right ones. After CLEVRER (Yi et al. 2020): descriptive, order,
spatial and counterfactual questions; the last by removing an object and running the physics
again. Leaves out free-form answers.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.language import CAMERA_SENTENCES, article, event_sentence, name_of, noun
from cyclorama.worlds.looks import COLOURS, MATERIALS, SHAPES
from cyclorama.worlds.simulate import Trajectory, simulate
from cyclorama.worlds.truth import Event, Motion

_MOTION_WORDS = {
    "still": "it stands still",
    "rolls": "it rolls",
    "slides": "it slides",
    "falls": "it falls",
    "flies": "it is thrown",
    "pushed": "something pushes it",
    "swings": "it swings",
    "topples": "it falls over",
    "launched": "it is thrown into the air",
}
_MOVED_M = 0.15


@dataclass(frozen=True)
class Question:
    """A question, its answer and the choices, of which the answer is one."""

    kind: str
    text: str
    answer: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What the examiner knows: ``visible`` are body numbers, ``pixels`` (T, N, 2)."""

    recipe: Recipe
    tracks: Trajectory
    motions: tuple[Motion, ...]
    events: tuple[Event, ...]
    visible: tuple[int, ...]
    pixels: np.ndarray


def ask(facts: Facts, rng: random.Random, *, counterfactual: bool = False) -> tuple[Question, ...]:
    """Return at most one question of each kind; ``counterfactual`` runs the physics once more."""
    kinds: list[Callable[[Facts, random.Random], Question | None]] = [
        _count,
        _exists,
        _colour,
        _shape,
        _material,
        _motion,
        _moves,
        _direction,
        _hits,
        _order,
        _camera,
        _where,
        _fastest,
    ]
    if counterfactual:
        kinds.append(_counterfactual)
    asked = [kind(facts, rng) for kind in kinds] if facts.visible else []
    return tuple(question for question in asked if question is not None)


def _choice(
    kind: str, text: str, answer: str, *, others: Sequence[str], rng: random.Random
) -> Question:
    """Return a question with up to four choices in random order."""
    wrong = [other for other in dict.fromkeys(others) if other != answer]
    choices = [answer, *rng.sample(wrong, min(3, len(wrong)))]
    rng.shuffle(choices)
    return Question(kind, text, answer, tuple(choices))


def _yes_no(
    kind: str, rng: random.Random, *, yes: Sequence[str], no: Sequence[str]
) -> Question | None:
    """Toss the answer, then ask one of the texts that have it.

    Only a scene that offers both is asked about: where most things move, "does it move?" would
    otherwise be yes more often than the coin is.
    """
    if not (yes and no):
        return None
    answer = rng.choice(("yes", "no"))
    return Question(kind, rng.choice(yes if answer == "yes" else no), answer, ("yes", "no"))


def _count(facts: Facts, rng: random.Random) -> Question:
    number = len(facts.visible)
    low = max(0, number - rng.randrange(4))
    others = [str(n) for n in range(low, low + 4)]
    return _choice("count", "How many objects appear?", str(number), others=others, rng=rng)


def _exists(facts: Facts, rng: random.Random) -> Question | None:
    present = [noun(facts.recipe.bodies[i]) for i in facts.visible]
    everyone = {noun(body) for body in facts.recipe.bodies}
    # An absent one shares its colour or its shape with one that is there.
    absent = [
        f"{colour} {shape}"
        for i in facts.visible
        for colour, shape in (
            (facts.recipe.bodies[i].colour, rng.choice(SHAPES[:4])),
            (rng.choice(list(COLOURS)), facts.recipe.bodies[i].shape),
        )
        if f"{colour} {shape}" not in everyone
    ]
    return _yes_no(
        "exists",
        rng,
        yes=[f"Does {article(name)} appear?" for name in present],
        no=[f"Does {article(name)} appear?" for name in absent],
    )


def _colour(facts: Facts, rng: random.Random) -> Question | None:
    shapes = [body.shape for body in facts.recipe.bodies]
    alone = [i for i in facts.visible if shapes.count(shapes[i]) == 1]
    if not alone:
        return None
    body = facts.recipe.bodies[rng.choice(alone)]
    text = f"What colour is the {body.shape}?"
    return _choice("colour", text, body.colour, others=tuple(COLOURS), rng=rng)


def _shape(facts: Facts, rng: random.Random) -> Question | None:
    colours = [body.colour for body in facts.recipe.bodies]
    alone = [i for i in facts.visible if colours.count(colours[i]) == 1]
    if not alone:
        return None
    body = facts.recipe.bodies[rng.choice(alone)]
    text = f"What shape is the {body.colour} object?"
    return _choice("shape", text, body.shape, others=SHAPES, rng=rng)


def _material(facts: Facts, rng: random.Random) -> Question:
    i = rng.choice(facts.visible)
    text = f"What is {name_of(i, facts.recipe)} made of?"
    answer = facts.recipe.bodies[i].material
    return _choice("material", text, answer, others=tuple(MATERIALS), rng=rng)


def _motion(facts: Facts, rng: random.Random) -> Question:
    # By word and not by object: most objects stand still, and a guess would know that.
    wanted = rng.choice(sorted({facts.motions[i].word for i in facts.visible}))
    i = rng.choice([i for i in facts.visible if facts.motions[i].word == wanted])
    text = f"What does {name_of(i, facts.recipe)} do?"
    answer = _MOTION_WORDS[facts.motions[i].word]
    return _choice("motion", text, answer, others=tuple(_MOTION_WORDS.values()), rng=rng)


def _moves(facts: Facts, rng: random.Random) -> Question | None:
    def text(i: int) -> str:
        return f"Does {name_of(i, facts.recipe)} move?"

    still = [text(i) for i in facts.visible if facts.motions[i].word == "still"]
    moving = [text(i) for i in facts.visible if facts.motions[i].word != "still"]
    return _yes_no("moves", rng, yes=moving, no=still)


def _direction(facts: Facts, rng: random.Random) -> Question | None:
    answer = rng.choice(("left", "right"))
    found = [i for i in facts.visible if facts.motions[i].direction == answer]
    if not found:
        return None
    name = name_of(rng.choice(found), facts.recipe)
    choices = rng.sample(("left", "right"), 2)
    text = f"Does {name} first move to the {choices[0]} or to the {choices[1]}?"
    return Question("direction", text, answer, tuple(choices))


def _hits(facts: Facts, rng: random.Random) -> Question | None:
    met = {frozenset((e.first, e.second)) for e in facts.events if e.kind == "hits"}
    touched = {frozenset((c.first, c.second)) for c in facts.tracks.contacts if c.second != "floor"}
    yes, no = [], []
    for i in facts.visible:
        for j in facts.visible:
            if i != j:
                first, second = name_of(i, facts.recipe), name_of(j, facts.recipe)
                text = f"Do {first} and {second} hit each other?"
                if frozenset((i, j)) in met:
                    yes.append(text)
                elif frozenset((i, j)) not in touched:
                    no.append(text)
    return _yes_no("hits", rng, yes=yes, no=no)


def _order(facts: Facts, rng: random.Random) -> Question | None:
    timed = [(e.time_s, event_sentence(e, facts.recipe)) for e in facts.events if e.time_s > 0]
    once = [(t, s) for t, s in timed if sum(s == other for _, other in timed) == 1]
    pairs = [(a, b) for a in once for b in once if b[0] - a[0] > 0.2]
    if not pairs:
        return None
    (_, early), (_, late) = rng.choice(pairs)
    choices = rng.sample((early, late), 2)
    text = f"Which happens first: {choices[0]}, or {choices[1]}?"
    return Question("order", text, early, tuple(choices))


def _camera(facts: Facts, rng: random.Random) -> Question | None:
    if facts.recipe.camera.move == "static" and rng.random() > 0.2:
        return None  # the commonest answer, brought down to the others
    answer = CAMERA_SENTENCES[facts.recipe.camera.move]
    others = tuple(CAMERA_SENTENCES.values())
    return _choice("camera", "What does the camera do?", answer, others=others, rng=rng)


def _where(facts: Facts, rng: random.Random) -> Question | None:
    if len(facts.visible) < 2:
        return None
    i, j = rng.sample(facts.visible, 2)
    gap = float(facts.pixels[0, i, 0] - facts.pixels[0, j, 0])
    if abs(gap) < 0.1 * float(np.ptp(facts.pixels[0, :, 0])):
        return None
    first, second = name_of(i, facts.recipe), name_of(j, facts.recipe)
    text = f"At the start, is {first} to the left or to the right of {second}?"
    answer = "left" if gap < 0 else "right"
    return Question("where", text, answer, tuple(rng.sample(("left", "right"), 2)))


def _fastest(facts: Facts, rng: random.Random) -> Question | None:
    speeds = np.linalg.norm(facts.tracks.velocities, axis=2).max(0)
    order = sorted(facts.visible, key=lambda i: -speeds[i])
    if len(order) < 2 or speeds[order[0]] < 0.3 or speeds[order[0]] < 1.3 * speeds[order[1]]:
        return None
    names = [name_of(i, facts.recipe) for i in facts.visible]
    answer = name_of(order[0], facts.recipe)
    text = "Which object reaches the highest speed?"
    return _choice("fastest", text, answer, others=names, rng=rng)


def _counterfactual(facts: Facts, rng: random.Random) -> Question | None:
    movers = [i for i in facts.visible if facts.motions[i].word != "still"]
    if len(facts.visible) < 2 or not movers:
        return None
    gone = rng.choice(movers)
    other = simulate(
        without(facts.recipe, gone),
        num_frames=len(facts.tracks.states),
        rate_fps=facts.tracks.rate_fps,
    )
    yes, no = [], []
    for i in facts.visible:
        if i != gone:
            path = other.positions[:, i - (i > gone)]
            moved = np.linalg.norm(path - path[0], axis=1).max() > _MOVED_M
            first, second = name_of(gone, facts.recipe), name_of(i, facts.recipe)
            text = f"If {first} were not there, would {second} still move?"
            (yes if moved else no).append(text)
    return _yes_no("counterfactual", rng, yes=yes, no=no)


def without(recipe: Recipe, index: int) -> Recipe:
    """Return the recipe with one body taken away; all else starts the same."""
    return replace(recipe, bodies=recipe.bodies[:index] + recipe.bodies[index + 1 :])
