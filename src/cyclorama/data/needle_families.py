"""Families of needles that were written one by one, each a line of ``families_SPLIT.jsonl``.

Picture a commonplace book to which many hands added: on each line one kind of fact (a dowry of
sheep, the vet of a lame horse), told in two to five ways, in other words and orders and with other
things beside it, and asked for in words of its own. The grammar (`needle_grammar`) has wordings
without end, all of one cut; these have what only a writer thinks of. A language model wrote them:
held-out lines without sight of anything that training has, and training's without sight of them;
what turned out to tell of one thing in both was struck out (decisions 0011, 0012, 0014). Leaves
out keys and values (`needle_draws`) and the first families of either split (`needle_words`).
"""

import json
from importlib.resources import files

from cyclorama.data.needle_words import TEST_TEMPLATES, TRAIN_TEMPLATES, Template


def written_families(split: str) -> tuple[Template, ...]:
    """Return the families of ``train`` or ``test`` that the lines of their file hold."""
    lines = files("cyclorama.data").joinpath(f"families_{split}.jsonl").read_text("utf-8")
    fields = [json.loads(line) for line in lines.splitlines()]
    return tuple(
        Template(**{name: value if isinstance(value, str) else tuple(value)
                    for name, value in line.items()})
        for line in fields
    )  # fmt: skip


TEMPLATES = {
    "train": (*TRAIN_TEMPLATES, *written_families("train")),
    "test": (*TEST_TEMPLATES, *written_families("test")),
}
