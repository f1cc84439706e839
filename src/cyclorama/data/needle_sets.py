"""Sets of needles: facts that belong together, and the questions that can be asked of them.

Picture the printer's type case, before anything is set: a drawer of facts about one key, a drawer
of facts about keys one letter apart, a slip with a question to which no drawer has the answer.
What may be drawn together is settled here; on which page it is printed is not (`needles`). Source:
the eight retrieval tasks of RULER (2404.06654, section 3.1).
"""

from collections.abc import Container
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace

import numpy as np

from cyclorama.data.needle_draws import draw_key, draw_value, near_key, pick, value_among
from cyclorama.data.needle_families import TEMPLATES, line_of
from cyclorama.data.needle_stream import ABSENT, Needle, Question
from cyclorama.data.needle_words import Template

KINDS = ("single", "multi_key", "hard", "multi_value", "multi_query", "absent")
_NEAR_SHARE = 0.35  # share of keys made from a key that already exists


@dataclass(frozen=True)
class NeedleSet:
    """Needles that belong together and what can be asked of them.

    Needles of one key must stand in the text in this order: their answer lists them so.
    """

    needles: tuple[Needle, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Known:
    """What was drawn: ``keys`` and their kinds, and by key the lines that have ``told`` of it.

    ``values`` are by kind; None where these need no neighbours.
    """

    keys: dict[str, str]
    values: dict[str, list[str]] | None = None
    told: dict[str, set[str]] = field(default_factory=dict)


def draw_needle(
    rng: np.random.Generator, *, split: str = "train", taken: dict[str, str] | None = None
) -> Needle:
    """Return one needle of a random family; its key is not in ``taken``, and is added to it."""
    template = _template(rng, families_of(split, ()))
    key = _fresh_key(rng, template, split=split, taken={} if taken is None else taken)
    return _needle(rng, template, key, _values_of(rng, template, Known({})))


def draw_set(
    rng: np.random.Generator,
    *,
    num: int,
    kind: str = "single",
    split: str = "train",
    families: Many[str] = (),
    taken: dict[str, str] | None = None,
) -> NeedleSet:
    """Return ``num`` needles of one `KINDS` entry and the questions that can be asked of them.

    single: families at random. multi_key: one family, other keys. hard: and the keys near each
    other. multi_value: one key, whose answer lists all values. multi_query: a question lists
    several keys (each is asked alone as well). absent: hard, and the only question is about a
    near key that is nowhere. ``taken`` maps used keys to their kind, is avoided, and grows.
    """
    if kind not in KINDS or num < 1:
        raise ValueError(f"num must be >= 1 and kind one of {' '.join(KINDS)}: got {num}, {kind!r}")
    known = Known({} if taken is None else taken)
    return set_of(rng, families_of(split, families), num=num, kind=kind, split=split, known=known)


def set_of(
    rng: np.random.Generator,
    families: Many[Template],
    *,
    num: int,
    kind: str,
    split: str,
    known: Known,
    shared_share: float = 0.0,
) -> NeedleSet:
    """Return a set of `draw_set` from these families.

    In single and multi_key sets ``shared_share`` of the keys are ones of which another line has
    told something, where one fits: then only the question says which of the facts is meant.
    """
    plural = kind in ("multi_value", "multi_query")
    template = _template(rng, families, plural=plural)
    needles: list[Needle] = []
    key, values = "", set()
    for number in range(num):
        if kind == "single" and number:
            template = _template(rng, families)
        if kind != "multi_value" or not number:
            near = key if kind in ("hard", "absent") else ""
            key = ""
            if shared_share and kind in ("single", "multi_key") and rng.random() < shared_share:
                key = _told_key(rng, template, known)
            key = key or _fresh_key(rng, template, split=split, taken=known.keys, near=near)
            known.told.setdefault(key, set()).add(line_of(template))
        told = _values_of(rng, template, known, avoid=values if plural else ())
        values.add(told[0])
        needles.append(_needle(rng, template, key, told))
    if kind == "absent":
        question = absent_question(rng, families, needles=needles, split=split, taken=known.keys)
        return NeedleSet(tuple(needles), (question,))
    return NeedleSet(tuple(needles), _questions(rng, template, needles, kind=kind))


def absent_question(
    rng: np.random.Generator,
    families: Many[Template],
    *,
    needles: Many[Needle],
    split: str,
    taken: dict[str, str],
    everything: str = "",
) -> Question:
    """Return a question of the family of some needle about a key that no needle has."""
    model = needles[int(rng.integers(len(needles)))]
    template = next(template for template in families if template.name == model.family)
    key = _fresh_key(
        rng,
        template,
        split=split,
        taken=taken,
        near=model.key if rng.random() < 0.5 else "",
        everything=everything or "\n".join(needle.statement for needle in needles).lower(),
    )
    text = pick(rng, template.questions).format(key=key)
    return Question(text, ABSENT, "absent", template.name, (key,), ())


def untold_question(
    rng: np.random.Generator, families: Many[Template], *, needles: Many[Needle], known: Known
) -> Question | None:
    """Return a question about a needle's key of which nothing was told; None where none fits.

    The key is in the text, with other facts: only the rest of the question shows that none answers.
    """
    here = {needle.key: known.told[needle.key] for needle in needles}
    for i in rng.permutation(len(families)):
        key = _told_key(rng, families[i], replace(known, told=here))
        if key:
            text = pick(rng, families[i].questions).format(key=key)
            return Question(text, ABSENT, "absent", families[i].name, (key,), ())
    return None


def family_names(split: str, chosen: Many[str] = ()) -> tuple[str, ...]:
    """Return the families of a split, or those chosen; ValueError for one that it has not."""
    if split not in TEMPLATES:
        raise ValueError(f"split must be one of {' '.join(TEMPLATES)}, got {split!r}")
    known = tuple(template.name for template in TEMPLATES[split])
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(
            f"split {split!r} has no family {', '.join(unknown)}: choose among {', '.join(known)}"
        )
    return tuple(chosen) or known


def families_of(split: str, chosen: Many[str]) -> tuple[Template, ...]:
    """Return the templates of `family_names`."""
    names = family_names(split, chosen)
    if not chosen:
        return TEMPLATES[split]
    return tuple(template for template in TEMPLATES[split] if template.name in names)


def _template(
    rng: np.random.Generator, families: Many[Template], *, plural: bool = False
) -> Template:
    """Return one of ``families``; with ``plural``, one that can ask for several."""
    choice = [one for one in families if one.plurals] if plural else families
    if not choice:
        names = ", ".join(template.name for template in families)
        raise ValueError(f"none of the families {names} can ask for several at once")
    return choice[int(rng.integers(len(choice)))]


def _told_key(rng: np.random.Generator, template: Template, known: Known) -> str:
    """Return a key that fits, of which other lines tell and this one does not; "" if none is."""
    line = line_of(template)
    keys = [
        key
        for key, lines in known.told.items()
        if known.keys[key] in template.keys and line not in lines
    ]
    return pick(rng, keys) if keys else ""


def _fresh_key(
    rng: np.random.Generator,
    template: Template,
    *,
    split: str,
    taken: dict[str, str],
    near: str = "",
    everything: str = "",
) -> str:
    """Return a key that was never drawn and is not in ``everything`` (lower case).

    It is near to ``near``, or at times to some key that exists.
    """
    like = near
    if not near and taken and rng.random() < _NEAR_SHARE:
        alike = [key for key, kind in taken.items() if kind in template.keys]
        like = pick(rng, alike) if alike else ""
    for trial in range(1000):
        if like and trial < 100:
            kind = taken[like]
            key = near_key(rng, like, kind=kind, split=split)
        else:
            kind = pick(rng, template.keys)
            key = draw_key(rng, kind, split=split)
        if key not in taken and key.lower() not in everything:
            taken[key] = kind
            return key
    raise ValueError(f"keys of family {template.name!r} are used up after {len(taken)}")


def _values_of(
    rng: np.random.Generator, template: Template, known: Known, *, avoid: Container[str] = ()
) -> tuple[str, str]:
    """Return a value that is not in ``avoid``, and what is told beside it: another one, or ""."""

    def drawn(kind: str, avoid: Container[str]) -> str:
        if known.values is None:
            return draw_value(rng, kind, avoid=avoid)
        return value_among(rng, kind, drawn=known.values, avoid=avoid)

    value = drawn(template.value, avoid)
    return value, drawn(template.beside, (value,)) if template.beside else ""


def _needle(
    rng: np.random.Generator, template: Template, key: str, told: tuple[str, str]
) -> Needle:
    value, beside = told
    statement, question = pick(rng, template.statements), pick(rng, template.questions)
    return Needle(
        statement=statement.format(key=key, value=value, beside=beside),
        question=question.format(key=key),
        answer=value,
        family=template.name,
        key=key,
        kind=template.value,
        turned=pick(rng, template.turned).format(key=key) if template.beside else "",
        beside=beside,
    )


def _questions(
    rng: np.random.Generator, template: Template, needles: Many[Needle], *, kind: str
) -> tuple[Question, ...]:
    """Return what can be asked of a set that is not absent."""
    singles = tuple(
        Question(text, answer, kind, needle.family, (needle.key,), (number,))
        for number, needle in enumerate(needles)
        for text, answer in ((needle.question, needle.answer), (needle.turned, needle.beside))
        if text
    )
    if kind not in ("multi_value", "multi_query") or len(needles) < 2:
        return singles
    keys = tuple(dict.fromkeys(needle.key for needle in needles))
    text = pick(rng, template.plurals).format(key=_listed(keys))
    answer = ", ".join(needle.answer for needle in needles)
    plural = Question(text, answer, kind, template.name, keys, tuple(range(len(needles))))
    return (plural,) if kind == "multi_value" else (plural, *singles)


def _listed(keys: Many[str]) -> str:
    return keys[0] if len(keys) == 1 else ", ".join(keys[:-1]) + " and " + keys[-1]
