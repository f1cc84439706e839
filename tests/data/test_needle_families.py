"""Families that were written: whole, and the held-out ones unknown to training."""

import re
from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.needle_draws import draw_key, draw_value
from cyclorama.data.needle_families import TEMPLATES, families_in
from cyclorama.data.needle_words import TEST_NOUNS, TEST_TEMPLATES, TRAIN_NOUNS
from cyclorama.data.needles import draw_needle, draw_set

ROOT = Path(__file__).parents[2]


def test_held_out_families_and_nouns_are_never_drawn_for_training():
    assert len(TEMPLATES["train"]) >= 8000
    assert len(TEMPLATES["test"]) == 81
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
    "jigsaw missing", "herbarium", "bobsleigh", "sumo", "pacemaker serial", "sleeping bats",
    "lichen specimen", "sheepdog shouts", "parcel drone", "undersea kilometres", "oyster lease",
    "foundling token", "rowing blades", "winter tyres", "woodlouse", "subtitles", "conservatory",
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


def test_what_the_benchmark_asks_is_kept_out_of_training():
    """Lines of two things (benchmarks/two_things): no wording of theirs, nor a name."""
    lines = (ROOT / "benchmarks" / "two_things.jsonl").read_text("utf-8").splitlines()
    kept = [family for line in lines for family in families_in(line)]
    assert len(kept) == 78

    def said(families):
        return {text for one in families for text in (one.name, *one.statements, *one.questions)}

    assert not said(TEMPLATES["train"]) & said(kept)


@pytest.mark.parametrize("split", TEMPLATES)
def test_every_wording_has_its_holes(split):
    rng = np.random.default_rng(13)
    for told in TEMPLATES[split]:
        assert min(len(told.statements), len(told.questions)) >= 2, told.name
        for text in told.statements:
            holes = tuple(text.count(f"{{{name}}}") for name in ("key", "value", "beside"))
            assert holes == (1, 1, told.beside != ""), told.name
        for text in (*told.questions, *told.plurals):
            assert (text.count("{key}"), text.count("{")) == (1, 1), told.name
        assert all(draw_key(rng, kind) for kind in told.keys)
        assert draw_value(rng, told.value)
        assert not told.beside or draw_value(rng, told.beside)


def test_of_two_things_told_only_the_question_says_which_is_meant():
    """Either is the answer once: same statements, holes exchanged, and no question in common."""
    by_name = {told.name: told for told in TEMPLATES["train"]}
    pairs = [(one, by_name[f"{one.name}_turned"]) for one in by_name.values()
             if f"{one.name}_turned" in by_name]  # fmt: skip
    assert 2 * len(pairs) == sum(told.beside != "" for told in by_name.values()) > 1000
    for one, turned in pairs:
        assert (one.value, one.beside) == (turned.beside, turned.value)
        told = [text.format(key="K", value="V", beside="B") for text in one.statements]
        assert told == [t.format(key="K", value="B", beside="V") for t in turned.statements]
        assert (one.questions, one.turned) == (turned.turned, turned.questions)
        assert not set(one.questions) & set(turned.questions), one.name


def test_what_stands_beside_a_value_is_drawn_and_another_one():
    one = next(told for told in TEMPLATES["train"] if told.beside == told.value == "person")
    drawn = draw_set(np.random.default_rng(14), num=40, families=(one.name,))
    for needle in drawn.needles:
        holes = {"key": needle.key, "value": needle.answer, "beside": needle.beside}
        assert needle.statement in [text.format(**holes) for text in one.statements]
        assert needle.turned in [text.format(**holes) for text in one.turned]
        assert needle.beside != needle.answer
    assert len({needle.beside for needle in drawn.needles}) > 30
    assert len(drawn.questions) == 80  # each is asked from both sides
