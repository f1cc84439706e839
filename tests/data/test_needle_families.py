"""Families that were written: whole, and the held-out ones unknown to training."""

import re

import numpy as np
import pytest

from cyclorama.data.needle_draws import draw_key, draw_value
from cyclorama.data.needle_families import TEMPLATES
from cyclorama.data.needle_words import TEST_NOUNS, TEST_TEMPLATES, TRAIN_NOUNS
from cyclorama.data.needles import draw_needle


def test_held_out_families_and_nouns_are_never_drawn_for_training():
    assert len(TEMPLATES["train"]) >= 4900
    assert len(TEMPLATES["test"]) == 48
    names = [told.name for split in TEMPLATES.values() for told in split]
    assert len(set(names)) == len(names)
    assert not set(TRAIN_NOUNS) & set(TEST_NOUNS)
    rng = np.random.default_rng(12)
    drawn = {split: [draw_needle(rng, split=split) for _ in range(20_000)] for split in TEMPLATES}
    held_out = {template.name for template in TEMPLATES["test"]}
    assert {needle.family for needle in drawn["test"]} == held_out
    assert not {needle.family for needle in drawn["train"]} & held_out
    nouns = {n.key.split("-")[-1] for n in drawn["train"] if "-" in n.key}
    assert not nouns & set(TEST_NOUNS)


# Words that tell what a held-out family is about: together they are in no family of training.
HELD_OUT_SUBJECTS = (
    "hives", "violin", "greyhound", "dog licence", "pawn ticket", "winter rent", "suitcase tag",
    "football shirts", "puffins", "optician", "pump dry", "blood bag", "marionettes",
    "driving test", "sourdough year", "manhole reference", "sleepwalking", "eclipse",
    "jigsaw missing", "herbarium",
)  # fmt: skip


def test_training_tells_of_nothing_that_is_held_out():
    """No wording of a held-out family, and no subject where words alone can say what that is."""

    def said(template):
        return {text.lower() for text in (*template.statements, *template.questions)}

    training = set().union(*(said(template) for template in TEMPLATES["train"]))
    assert not training & set().union(*(said(template) for template in TEMPLATES["test"]))
    subjects = {t.name.split("_")[0] for t in TEST_TEMPLATES} - {"city", "sandwich"}
    assert len(subjects) == 8
    told = [set(re.findall("[a-z]+", " ".join(said(one)))) for one in TEMPLATES["train"]]
    assert not subjects & set().union(*told)
    held_out = [set(re.findall("[a-z]+", " ".join(said(one)))) for one in TEMPLATES["test"]]
    for subject in HELD_OUT_SUBJECTS:
        words = set(subject.split())
        assert any(words <= family for family in held_out), subject
        assert not any(words <= family for family in told), subject


@pytest.mark.parametrize("split", TEMPLATES)
def test_every_wording_has_its_holes(split):
    rng = np.random.default_rng(13)
    for told in TEMPLATES[split]:
        assert min(len(told.statements), len(told.questions)) >= 2, told.name
        for text in told.statements:
            assert (text.count("{key}"), text.count("{value}")) == (1, 1), told.name
        for text in (*told.questions, *told.plurals):
            assert (text.count("{key}"), text.count("{value}")) == (1, 0), told.name
        assert all(draw_key(rng, kind) for kind in told.keys)
        assert draw_value(rng, told.value)
