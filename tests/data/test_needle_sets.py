"""Keys of which several lines tell: each once, and what none of them tells is not found."""

import numpy as np

from cyclorama.data.needle_families import TEMPLATES as SPLITS
from cyclorama.data.needle_families import line_of
from cyclorama.data.needle_sets import Known, set_of, untold_question
from cyclorama.data.needles import ABSENT, Plan, needle_batch
from cyclorama.data.texts import generated_texts

TEXTS = generated_texts(20_000)
TEMPLATES = {told.name: told for split in SPLITS.values() for told in split}
PEOPLE = [told for told in SPLITS["train"] if told.beside and "person" in told.keys][-12:]


def rng_of(seed):
    return np.random.default_rng(seed)


def test_of_a_shared_key_each_line_tells_once():
    """Several facts of one key then differ in what is asked for; by itself no key is shared."""
    for share in (0.0, 0.9):
        drawn = set_of(rng_of(8), PEOPLE, num=60, kind="single", split="train", known=Known({}),
                       shared_share=share)  # fmt: skip
        told = [(needle.key, line_of(TEMPLATES[needle.family])) for needle in drawn.needles]
        assert len(set(told)) == 60
        assert (len({key for key, _ in told}) == 60) is (share == 0.0)
    batch = needle_batch(rng_of(9), TEXTS, batch=6, plan=Plan(2048, shared_share=0.9))
    rows: dict[tuple[str, str], set[int]] = {}
    for number, row in enumerate(batch):
        for needle in row.needles:
            rows.setdefault((needle.key, line_of(TEMPLATES[needle.family])), set()).add(number)
    assert max(map(len, rows.values())) == 1
    assert len({key for key, _ in rows}) < len(rows)


def test_what_no_line_tells_of_a_key_is_asked_for_but_nowhere():
    batch = needle_batch(
        rng_of(9), TEXTS, batch=6,
        plan=Plan(2048, absent_share=0.5, untold_share=1.0, shared_share=0.5),
    )  # fmt: skip
    told: dict[str, set[str]] = {}
    for needle in (needle for row in batch for needle in row.needles):
        told.setdefault(needle.key, set()).add(line_of(TEMPLATES[needle.family]))
    absent = [(row, question) for row in batch for question in row.asked if not question.about]
    assert len(absent) > 12
    for row, question in absent:
        (key,) = question.keys
        assert question.answer == ABSENT
        assert key in question.text
        assert key in {needle.key for needle in row.needles}
        assert line_of(TEMPLATES[question.family]) not in told[key]


def test_without_a_line_left_nothing_untold_is_asked():
    known = Known({})
    (line,) = {line_of(told) for told in PEOPLE[:2]}  # its two sides tell the same
    needles = set_of(
        rng_of(8), PEOPLE[:1], num=3, kind="single", split="train", known=known
    ).needles
    assert all(known.told[needle.key] == {line} for needle in needles)
    assert untold_question(rng_of(1), PEOPLE[:2], needles=needles, known=known) is None
