"""Families made by a grammar: whole wordings, no end of them, and nothing that is held out."""

import re
from collections import Counter

import numpy as np
import pytest

from cyclorama.data import needle_grammar as grammar
from cyclorama.data.needle_grammar import made_template, past, third_person
from cyclorama.data.needle_words import TEST_NOUNS, TEST_TEMPLATES, TRAIN_TEMPLATES
from cyclorama.data.needles import Plan, needle_batch
from cyclorama.data.texts import generated_texts

TABLES = ("NOUNS", "VERBS", "PREPOSITIONS", "BEARERS", "PLURALS", "WITNESSES")


@pytest.fixture(scope="module")
def families():
    rng = np.random.default_rng(0)
    return [made_template(rng) for _ in range(600)]


def words_of(templates):
    texts = (text for t in templates for text in (*t.statements, *t.questions, *t.plurals))
    return {word for text in texts for word in re.findall("[a-z]+", text.lower())}


def test_every_wording_is_whole(families):
    for family in families:
        assert 2 <= len(family.statements) <= 4 and 2 <= len(family.questions) <= 4
        for text in (*family.statements, *family.questions, *family.plurals):
            assert text.count("{key}") == 1
            assert text.count("{value}") == (text in family.statements)
            assert text[0] == "{" or text[0].isupper() or not text[0].isalpha()
            assert "  " not in text and text == text.strip()
            assert set(re.findall(r"\{(\w*)\}", text)) <= {"key", "value"}


def test_no_end_of_wordings(families):
    statements = {text for family in families for text in family.statements}
    assert len(statements) > 0.99 * sum(len(family.statements) for family in families)
    assert len({family.name for family in families}) > 590
    assert {family.name.split()[1] for family in families} == {"noun", "verb", "number"}


def test_what_only_held_out_families_say_is_never_made():
    """Words of the held-out wordings that are in no written training family are in no table."""
    held_out = words_of(TEST_TEMPLATES) - words_of(TRAIN_TEMPLATES) - {"upon", "from"}
    assert len(held_out) > 20 and "locker" in held_out
    for table in TABLES:
        words = {w for text in getattr(grammar, table) for w in text.lower().split()}
        if table == "VERBS":
            words |= {form(word) for word in words for form in (past, third_person)}
        assert not words & (held_out | set(TEST_NOUNS)), table


@pytest.mark.parametrize("table", TABLES)
def test_nothing_stands_twice_in_a_table(table):
    words = getattr(grammar, table)
    assert [word for word, num in Counter(words).items() if num > 1] == []


@pytest.mark.parametrize(
    ("verb", "does", "did"),
    [("fear", "fears", "feared"), ("carry", "carries", "carried"), ("play", "plays", "played"),
     ("wish", "wishes", "wished"), ("love", "loves", "loved"), ("lead", "leads", "led")],
)  # fmt: skip
def test_verbs(verb, does, did):
    assert (third_person(verb), past(verb)) == (does, did)


def test_a_batch_has_as_many_made_families_as_asked_for():
    texts = generated_texts(20_000)

    def made(share):
        plan = Plan(num_tokens=1500, num_needles=10, num_questions=8, made_share=share)
        rows = needle_batch(np.random.default_rng(1), texts, batch=4, plan=plan)
        families = [needle.family for row in rows for needle in row.needles]
        assert families
        return {family.startswith("made ") for family in families}

    assert (made(0.0), made(1.0)) == ({False}, {True})


def test_the_same_seed_makes_the_same_family():
    one, same, other = (made_template(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one == same != other
