"""Other names in a book, asides in a fact: what changes, what does not, that training has both."""

import re
from dataclasses import replace

import numpy as np
import pytest

from cyclorama.data.disguise import (
    ASIDES,
    draw_windows,
    renamed,
    with_asides,
    with_other_words,
)
from cyclorama.data.needle_families import TEMPLATES
from cyclorama.data.needle_words import CITIES, FIRST_NAMES, Template
from cyclorama.data.needles import Plan, needle_batch
from cyclorama.data.texts import generated_texts, texts_of
from cyclorama.data.tokenizer import load_tokenizer

PAGE = (
    "Then the old Bartleby, who knew Mrs. Winkle, wrote to Mr. Stubbins in May. Bartleby waited "
    "for Captain Ahab; nobody came, and Winkle, on Monday, went home\nwith Ahab's coat, and\n"
    "Hope was gone. There was no hope, and The End was near."
)
NAMES = {"Bartleby", "Winkle", "Stubbins", "Ahab", "End"}


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def family(*statements: str, value: str = "number") -> Template:
    return Template("a", ("name",), value, statements, ("Of {key}?",), ("Of all {key}?",))


def names_in(before: str, after: str) -> dict[str, str]:
    """Return which word stands for which; both must differ in words with capitals alone."""
    pieces = re.split(r"\b([A-Z][a-z]{2,})\b", before)
    pattern = "".join(
        f"(?P<w{i}>[A-Z][a-z]+(?: [A-Z][a-z]+)?)" if i % 2 else re.escape(piece)
        for i, piece in enumerate(pieces)
    )
    found = re.fullmatch(pattern, after)
    assert found
    old_new = {(pieces[i], found[f"w{i}"]) for i in range(1, len(pieces), 2)}
    assert len(dict(old_new)) == len(old_new)  # everywhere the same
    return dict(old_new)


@pytest.mark.parametrize("seed", range(20))
def test_every_name_is_another_everywhere_and_the_rest_stays(seed):
    [page] = renamed(rng_of(seed), [PAGE])
    told = names_in(PAGE, page)
    changed = {old: new for old, new in told.items() if new != old}
    assert set(changed) == NAMES
    assert len(set(changed.values())) == len(NAMES)


def test_texts_of_one_call_share_their_names_whatever_their_order():
    first, second = renamed(rng_of(1), ["Ahab came. Later Perl met him.", "they saw Ahab and Perl"])
    new = re.fullmatch(r"(.+) came\. Later (.+) met him\.", first)
    assert new and second == f"they saw {new[1]} and {new[2]}"
    assert {new[1], new[2]}.isdisjoint({"Ahab", "Perl"})
    assert renamed(rng_of(1), [PAGE]) == renamed(rng_of(1), [PAGE])


def test_names_are_of_every_sort():
    text = "".join(f", Name{a}{b}" for a in "abcdefghijklm" for b in "abcdefghijklm")
    [page] = renamed(rng_of(2), ["something lengthy" + text])
    new = set(page.split(", ")[1:])
    assert len(new) == 169
    tables = new & {*FIRST_NAMES, *CITIES}
    halves = {name for name in new if re.fullmatch("(Somet|Leng)(thing|gthy)", name)}
    assert len(tables) > 20 and halves
    assert len(new - tables - halves) > 20  # invented


def test_pieces_have_their_length_and_are_the_texts_own_unless_renamed():
    texts = texts_of([PAGE.replace("Bartleby", "Nebuchadnezzar") * 50])
    plain = draw_windows(rng_of(3), texts, num=4, num_tokens=300)
    rng = rng_of(3)
    for window in plain:
        np.testing.assert_array_equal(window, texts.window(rng, 300))
    other = draw_windows(rng_of(3), texts, num=4, num_tokens=300, renamed_share=1.0)
    decode = load_tokenizer().decode
    rng = rng_of(3)
    windows = [texts.window(rng, 300) for _ in range(4)]
    rng.random()
    wanted = renamed(rng, [decode(window) for window in windows])
    for ids, text in zip(other, wanted, strict=True):
        assert len(ids) == 300
        assert (text * 2).startswith(decode(ids))
    share = [
        np.array_equal(
            draw_windows(rng_of(seed), texts, num=1, num_tokens=50, renamed_share=0.3)[0],
            draw_windows(rng_of(seed), texts, num=1, num_tokens=50)[0],
        )
        for seed in range(300)
    ]
    assert 0.6 < np.mean(share) < 0.8


@pytest.mark.parametrize(
    ("statement", "value", "wanted"),
    [
        ("The {key} kettle costs {value}.", "number", "The {key} kettle costs {value}, A."),
        ("Of {key} it is {value} feet.", "number", "Of {key} it is {value} feet."),
        ("When {key} came, {value} left.", "name", "When {key}, A, came, {value} left."),
        ("Here {value}, says {key}, is it.", "name", "Here {value}, A, says {key}, is it."),
        ("{key}: {value}", "name", "{key}, A: {value}"),
        ("the sign reads '{value}.' near {key}", "words", "the sign reads '{value}.' near {key}"),
        ("error: {key}.c, line {value}", "small", "error: {key}.c, line {value}"),
        ("a,{key},{value},b", "small", "a,{key},{value},b"),
        ("There one may {value}, at {key}.", "activity", "There one may {value}, at {key}, A."),
        ("In {key} the {value} was read.", "word", "In {key} the {value}, A, was read."),
    ],
)
def test_an_aside_stands_where_one_can(statement, value, wanted):
    for seed in range(30):
        [told] = with_asides(rng_of(seed), family(statement, value=value), share=1.0).statements
        options = {wanted.replace(", A", f", {aside}") for aside in ASIDES}
        assert told in options
        assert (told == statement) == (wanted == statement)


def test_an_aside_can_be_taken_out_again():
    rng, changed, between = rng_of(4), 0, 0
    for told in TEMPLATES["train"]:
        other = with_asides(rng, told, share=1.0)
        assert replace(other, statements=told.statements) == told
        for before, after in zip(told.statements, other.statements, strict=True):
            if after == before:
                continue
            changed += 1
            without = {
                after.replace(f", {aside}{stop}", "", 1) for aside in ASIDES for stop in ("", ",")
            }
            assert before in without
            holes = sorted((after.index("{key}"), after.index("{value}")))
            between += len(after[slice(*holes)]) > len(
                before[slice(*sorted((before.index("{key}"), before.index("{value}"))))]
            )
    assert changed > 4000
    assert between > changed / 2


def test_of_the_wordings_a_share_has_asides():
    told = [with_asides(rng_of(5), one, share=0.0) == one for one in TEMPLATES["train"]]
    assert all(told)
    one = family(*["Of {key}, it is said, {value} came."] * 1000)
    other = with_asides(rng_of(6), one, share=0.2)
    assert 150 < sum(a != b for a, b in zip(one.statements, other.statements, strict=True)) < 250
    assert len(set(other.statements)) > 100  # not one aside for all


def test_asides_are_short_and_have_no_holes_or_commas():
    assert len(ASIDES) == len(set(ASIDES)) >= 300
    for aside in ASIDES:
        assert 2 <= len(aside.split()) <= 12 and aside == aside.strip()
        assert not set(aside) & set("{},;")


TAG = replace(
    family(
        "At the desk the suitcase of {key} was given the baggage tag {value}.",
        "The tags, said {key}, were left; baggage tag {value}, the-tag-man read.",
        value="code",
    ),
    questions=("Which baggage tag has {key}?", "The tag of {key}?"),
    plurals=("All the tags of {key}?",),
)


def test_a_rare_word_has_the_same_other_in_statements_and_questions():
    seen = set()
    for seed in range(60):
        told = with_other_words(rng_of(seed), TAG, share=1.0)
        found = re.fullmatch(
            r"At the desk the suitcase of {key} was given the (\w+) (\w+) {value}\.",
            told.statements[0],
        )
        assert found, told.statements[0]
        baggage, tag = found.groups()
        assert told.statements[1] == (
            f"The {tag}s, said {{key}}, were left; {baggage} {tag} {{value}}, the-tag-man read."
        )
        assert told.questions == (f"Which {baggage} {tag} has {{key}}?", f"The {tag} of {{key}}?")
        assert told.plurals == (f"All the {tag}s of {{key}}?",)
        seen.add((baggage == "baggage", tag == "tag"))
    assert seen == {(True, False), (False, True), (False, False)}


def test_other_words_leave_holes_and_common_words_alone():
    rng, changed = rng_of(7), 0
    for before in TEMPLATES["train"][::40]:
        assert with_other_words(rng, before, share=0.0) is before
        after = with_other_words(rng, before, share=1.0)
        changed += after != before
        for field in ("statements", "questions", "plurals", "turned"):
            for one, two in zip(getattr(before, field), getattr(after, field), strict=True):
                assert re.findall(r"{\w+}", one) == re.findall(r"{\w+}", two)
                assert [word for word in re.findall(r"[\w{}]+", one) if word in ("the", "of")] == [
                    word for word in re.findall(r"[\w{}]+", two) if word in ("the", "of")
                ]
    assert changed > 150


def facts_of(plan: Plan, *, texts) -> tuple[list[str], str]:
    """Return the statements of a batch, and all its words without them."""
    rows = needle_batch(rng_of(8), texts, batch=4, plan=plan)
    facts = [needle.statement for row in rows for needle in row.needles]
    words = "\n".join(load_tokenizer().decode(row.ids) for row in rows)
    for fact in facts:
        words = words.replace(fact, "")
    return facts, words


def test_training_draws_asides_and_other_names_when_told_to():
    texts = texts_of(["They asked what Nebuchadnezzar said, and Nebuchadnezzar said no.\n" * 500])
    plan = Plan(num_tokens=1500, num_needles=10, num_questions=4)
    heard = [
        any(f", {aside}" in fact for aside in ASIDES) for fact in facts_of(plan, texts=texts)[0]
    ]
    assert sum(heard) == 0
    plan = replace(plan, aside_share=1.0)
    heard = [
        any(f", {aside}" in fact for aside in ASIDES) for fact in facts_of(plan, texts=texts)[0]
    ]
    assert np.mean(heard) > 0.5
    plain, other = (
        replace(plan, aside_share=0.0),
        replace(plan, aside_share=0.0, reworded_share=1.0),
    )
    known = {word for one in TEMPLATES["train"] for told in one.statements for word in told.split()}
    new = [
        {
            word
            for fact in facts_of(one, texts=texts)[0]
            for word in re.findall(r" ([a-z]+)\b", fact)
        }
        - {word.strip(".,;:") for word in known}
        for one in (plain, other)
    ]
    assert len(new[0]) < len(new[1])
    assert "Nebuchadnezzar said" in facts_of(plan, texts=texts)[1]
    _, words = facts_of(replace(plan, renamed_share=1.0), texts=texts)
    assert "Nebuchadnezzar" not in words and "said no." in words


def test_generated_prose_can_be_renamed_too():
    window = generated_texts(4096).window(rng_of(9), 1024)
    text = load_tokenizer().decode(window)
    assert renamed(rng_of(10), [text])[0] != text
