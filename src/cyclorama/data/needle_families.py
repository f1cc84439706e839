"""Families of needles that were written one by one, in the lines of ``families_SPLIT.jsonl``.

Picture a commonplace book to which many hands added: on each line one kind of fact (a dowry of
sheep, the vet of a lame horse), told in two to five ways, in other words and orders and with other
things beside it, and asked for in words of its own. The grammar (`needle_grammar`) has wordings
without end, all of one cut; these have what only a writer thinks of. A language model wrote them:
held-out lines without sight of anything that training has, and training's without sight of them;
what turned out to tell of one thing in both was struck out (decisions 0011, 0012, 0014, 0015).
Leaves out keys and values (`needle_draws`) and the first families of either split
(`needle_words`).
"""

import json
from dataclasses import replace
from importlib.resources import files

from cyclorama.data.needle_words import TEST_TEMPLATES, TRAIN_TEMPLATES, Template

_TURNED = "_turned"


def written_families(split: str) -> tuple[Template, ...]:
    """Return the families of ``train`` or ``test`` that the lines of their file hold."""
    lines = files("cyclorama.data").joinpath(f"families_{split}.jsonl").read_text("utf-8")
    return tuple(family for line in lines.splitlines() for family in families_in(line))


def families_in(line: str) -> tuple[Template, ...]:
    """Return the family of a line; two where it tells of two things, so that either is asked for.

    Such a line has a second kind (``beside``), a hole for it in each statement, and questions for
    it (``turned_questions``, ``turned_plurals``): which of the two is the answer, only they say.
    """
    fields = {
        name: value if isinstance(value, str) else tuple(value)
        for name, value in json.loads(line).items()
    }
    if "beside" not in fields:
        return (Template(**fields),)
    questions, plurals = fields.pop("turned_questions"), fields.pop("turned_plurals", ())
    first = Template(**fields, turned=questions)
    exchanged = {"key": "{key}", "value": "{beside}", "beside": "{value}"}
    turned = replace(
        first,
        name=first.name + _TURNED,
        value=first.beside,
        statements=tuple(statement.format(**exchanged) for statement in first.statements),
        questions=questions,
        plurals=plurals,
        beside=first.value,
        turned=first.questions,
    )
    return first, turned


def line_of(family: Template) -> str:
    """Return the name of the line that tells of a family: of both its sides, where it has two."""
    return family.name.removesuffix(_TURNED)


TEMPLATES = {
    "train": (*TRAIN_TEMPLATES, *written_families("train")),
    "test": (*TEST_TEMPLATES, *written_families("test")),
}
