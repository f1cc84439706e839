"""Needles: exact spans, honest keys, weights only where said, the same for the same seed."""

import itertools
import re
from itertools import pairwise

import numpy as np
import pytest

from cyclorama.data.needle_draws import draw_key, draw_value, near_key, near_value, value_among
from cyclorama.data.needle_families import TEMPLATES as SPLITS
from cyclorama.data.needle_words import CATEGORIES
from cyclorama.data.needles import (
    ABSENT,
    ANSWER,
    KINDS,
    QUESTION,
    Plan,
    Weights,
    answer_ids,
    dictionary_sequence,
    draw_needle,
    draw_set,
    label_map_sequence,
    needle_batch,
    needle_sequence,
    question_ids,
)
from cyclorama.data.texts import generated_texts
from cyclorama.data.tokenizer import EOS, PAD, load_tokenizer

TEXTS = generated_texts(20_000)
TOKENIZER = load_tokenizer()
TEMPLATES = {told.name: told for split in SPLITS.values() for told in split}


def rng_of(seed):
    return np.random.default_rng(seed)


def sequences():
    yield needle_sequence(
        rng_of(0), TEXTS, plan=Plan(num_tokens=1024, num_needles=10, num_questions=10)
    )
    yield needle_sequence(
        rng_of(1), TEXTS, plan=Plan(num_tokens=4096, num_needles=32, split="test")
    )
    yield from needle_batch(rng_of(2), TEXTS, batch=3, plan=Plan(num_tokens=1500, num_questions=16))
    for rule in ("category", "parity", "item"):
        yield label_map_sequence(rng_of(3), num_tokens=700, rule=rule)
    yield dictionary_sequence(rng_of(4), num_tokens=900)


def without_questions(row):
    """Return the decoded text of a row without its questions and answers."""
    text = TOKENIZER.decode(row.ids)
    return re.sub(r"<reserved0>.*?<eos>", "", text, flags=re.DOTALL)


def asked_places(row):
    """Return the place of each question's mark."""
    return np.flatnonzero(row.ids == QUESTION)


@pytest.fixture(scope="module")
def batch():
    return needle_batch(rng_of(7), TEXTS, batch=12, plan=Plan(num_tokens=1500, num_questions=12))


@pytest.mark.parametrize("row", list(sequences()))
def test_spans_hold_exactly_the_answers(row):
    assert row.asked
    assert row.ids.dtype == np.int32
    for (start, stop), question in zip(row.answers, row.asked, strict=True):
        assert TOKENIZER.decode(row.ids[start:stop]) == " " + question.answer
        assert row.ids[start - 1] == ANSWER
        assert row.ids[stop] == EOS
        asked = question_ids(question.text)
        assert row.ids[start - len(asked) : start].tolist() == asked
        assert row.ids[start : stop + 1].tolist() == answer_ids(question.answer)
    assert len(asked_places(row)) == len(row.asked)


def test_weights_are_where_they_were_asked_for():
    weights = Weights(text=0.5, statement=0.25, answer=7)
    row = needle_sequence(rng_of(5), TEXTS, plan=Plan(num_tokens=1024, weights=weights))
    expected = np.full(1024, 0.5, np.float32)
    for (start, stop), question in zip(row.answers, row.asked, strict=True):
        expected[start - len(question_ids(question.text)) : start] = 0
        expected[start : stop + 1] = 7
    expected[0] = 0
    statements = row.weights == 0.25
    assert np.array_equal(row.weights[~statements], expected[~statements])
    told = [TOKENIZER.encode(" " + needle.statement) for needle in row.needles]
    assert statements.sum() == sum(map(len, told))
    assert sorted(row.ids[statements].tolist()) == sorted(itertools.chain(*told))
    assert (needle_sequence(rng_of(5), TEXTS, plan=Plan(num_tokens=1024)).weights == 5).any()


def test_statements_stand_whole_in_the_text_between_words_of_the_window():
    row = needle_sequence(rng_of(8), TEXTS, plan=Plan(num_tokens=2048, num_needles=20))
    assert len(row.ids) == 2048
    text = without_questions(row)
    for needle in row.needles:
        assert f" {needle.statement}" in text
        assert needle.key in needle.statement
        assert needle.answer in needle.statement
        text = text.replace(f" {needle.statement}", "", 1)
    assert text in TOKENIZER.decode(TEXTS.ids)


@pytest.mark.parametrize("seed", range(12))
def test_a_question_follows_all_it_asks_about(seed):
    row = needle_sequence(
        rng_of(seed),
        TEXTS,
        plan=Plan(num_tokens=2048, num_needles=16, num_questions=10, split="train"),
    )
    text = TOKENIZER.decode(row.ids)
    for question in row.asked:
        place = text.index(f"<reserved0> {question.text}<reserved1>")
        for number in question.about:
            assert 0 <= text.index(row.needles[number].statement) < place
        facts = [row.needles[number] for number in question.about]
        if facts and question.text == facts[0].turned:
            assert question.answer == facts[0].beside
        else:
            assert question.answer == (", ".join(fact.answer for fact in facts) or ABSENT)
        if question.kind == "multi_value":  # listed as they stand in the text
            places = [text.index(fact.statement) for fact in facts]
            assert places == sorted(places)


def test_no_draw_is_too_long_for_its_row():
    def sizes(num_tokens):
        for seed in range(30):
            row = needle_sequence(rng_of(seed), TEXTS, plan=Plan(num_tokens=num_tokens))
            assert (row.weights == 1).sum() >= num_tokens // 5
            yield len(row.needles), len(row.asked)

    assert set(sizes(2048)) == {(16, 8)}
    tight = set(sizes(1024))  # wordy families: fewer of both, in proportion
    assert len(tight) > 1
    assert min(tight) >= (8, 4)
    assert min(set(sizes(640))) < (8, 4)  # and fewer still before a batch is given up
    assert all(num_asked == -(-num // 2) for num, num_asked in tight)


def test_questions_stand_inside_and_at_the_end():
    rows = [
        needle_sequence(rng_of(s), TEXTS, plan=Plan(num_tokens=1024, num_questions=8))
        for s in range(20)
    ]
    ends = [(row.ids == QUESTION)[-300:].sum() / len(row.asked) for row in rows]
    assert 0.4 < np.mean(ends) < 0.9


def test_families_are_only_those_of_the_plan():
    plan = Plan(num_tokens=1024, num_questions=16, families=("trade", "founding"))
    for row in needle_batch(rng_of(3), TEXTS, batch=4, plan=plan):
        assert {fact.family for fact in row.needles} <= {"trade", "founding"}
        assert {question.family for question in row.asked} <= {"trade", "founding"}
    never = Plan(num_tokens=1024, absent_share=0.0)
    rows = needle_batch(rng_of(4), TEXTS, batch=8, plan=never)
    assert not any(question.kind == "absent" for row in rows for question in row.asked)


def test_no_key_stands_in_two_places_of_a_batch(batch):
    facts = [needle for row in batch for needle in row.needles]
    values = {}
    for number, row in enumerate(batch):
        for needle in row.needles:
            values.setdefault(needle.key, set()).add((number, needle.family))
    assert len(facts) == 12 * 16
    assert all(len(owners) == 1 for owners in values.values())
    families = [{needle.family for needle in row.needles} for row in batch]
    for one in families:  # none is a haystack that a reader tells from its own at a glance
        assert any(one & two for two in families if two is not one)


def test_absent_keys_are_nowhere_in_a_batch(batch):
    everything = "\n".join(without_questions(row) for row in batch).lower()
    absent = [question for row in batch for question in row.asked if question.kind == "absent"]
    assert 0.02 < len(absent) / (12 * 12) < 0.25
    for question in absent:
        assert question.answer == ABSENT
        assert question.keys[0] in question.text
        assert question.keys[0].lower() not in everything


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_sets_are_what_they_are_called(kind, split):
    drawn = draw_set(rng_of(11), num=4, kind=kind, split=split)
    keys = {needle.key for needle in drawn.needles}
    assert len(drawn.needles) == 4
    assert len(keys) == (1 if kind == "multi_value" else 4)
    if kind != "single":
        assert len({needle.family for needle in drawn.needles}) == 1
    first = drawn.questions[0]
    match kind:
        case "multi_value" | "multi_query":
            assert first.answer == ", ".join(needle.answer for needle in drawn.needles)
            assert len({needle.answer for needle in drawn.needles}) == 4
            assert all(key in first.text for key in keys)
        case "absent":
            assert (first.answer, first.about) == (ABSENT, ())
            assert first.keys[0] not in keys
        case _:
            asked = [(q.text, q.answer) for q in drawn.questions]
            sides = [((n.question, n.answer), (n.turned, n.beside)) for n in drawn.needles]
            assert asked == [one for both in sides for one in both if one[0]]


def test_the_classic_wordings_are_there():
    sandwich = TEMPLATES["sandwich"]
    assert "The best thing to do in {key} is {value}." in sandwich.statements
    assert "What is the best thing to do in {key}?" in sandwich.questions
    needle = TEMPLATES["magic_number"].statements[0].format(key="amber-fox", value="7351924")
    assert needle == "The special magic number for amber-fox is 7351924."


def test_near_keys_differ_in_one_part_or_one_character():
    rng = rng_of(14)
    for kind in ("pair", "person", "name", "id", "digits"):
        for _ in range(50):
            key = draw_key(rng, kind)
            near = near_key(rng, key, kind=kind)
            letters = sum(a != b for a, b in zip(key, near, strict=False))
            one_letter = len(key) == len(near) and letters <= 1
            parts = (re.split("[- ]", key), re.split("[- ]", near))
            assert one_letter or sum(a != b for a, b in zip(*parts, strict=True)) == 1


SPELLED = {
    "number": r"\d+",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "code": r"[A-Z]{1,3}-\d{1,5}",
    "person": r"[A-Z][a-z]* [A-Z]?[a-z]*",
    "place": r"[A-Z][a-z]+",
    "year": r"\d{4}",
    "hex": r"[0-9a-f]+",
    "small": r"\d{1,3}",
    "name": r"[A-Z][a-z]+",
}


@pytest.mark.parametrize("kind", SPELLED)
def test_a_near_value_begins_alike_and_looks_like_its_kind(kind):
    rng = rng_of(16)
    pairs = [(value := draw_value(rng, kind), near_value(rng, value, kind=kind)) for _ in range(99)]
    assert all(near[0] == value[0] for value, near in pairs)
    assert sum(near[:2] == value[:2] for value, near in pairs) > (30 if kind == "small" else 60)
    assert sum(near != value for value, near in pairs) > 80
    assert all(re.fullmatch(SPELLED[kind], near) for _, near in pairs)
    if kind == "number":  # some end where the other goes on
        assert sum(value.startswith(near) and near != value for value, near in pairs) > 3


def test_what_is_near_a_single_letter_begins_with_it():
    assert all(near_value(rng_of(n), "7", kind="small")[0] == "7" for n in range(20))


def test_a_near_value_of_words_keeps_whole_words():
    rng = rng_of(17)
    for kind in ("cargo", "date", "sentence"):
        for _ in range(20):
            value = draw_value(rng, kind).split()
            near = near_value(rng, " ".join(value), kind=kind).split()
            assert near[0] == value[0]
            assert len(near) == len(value)
    near = {near_value(rng, "amber", kind="word") for _ in range(50)}
    assert len(near) > 10  # of one word nothing is kept


def begin_alike(values):
    return np.mean([value[:2] == before[:2] for before, value in pairwise(values)])


def test_values_get_neighbours_among_those_that_were_drawn():
    drawn: dict[str, list[str]] = {}
    values = [value_among(rng_of(seed), "number", drawn=drawn) for seed in range(300)]
    assert drawn == {"number": values}
    assert 0.1 < begin_alike(values) < 0.4  # of two in five that are near some other, half
    years = {str(year) for year in range(1000, 2100)}
    free = {str(year) for year in range(1600, 1650)}
    for seed in range(20):
        assert (
            value_among(rng_of(seed), "year", drawn={"year": ["1600"]}, avoid=years - free) in free
        )


def test_a_training_batch_has_such_neighbours_and_sets_to_judge_by_have_none():
    plan = Plan(num_tokens=2048, num_needles=28, num_questions=8, families=("magic_number",))
    rows = [needle_batch(rng_of(seed), TEXTS, batch=2, plan=plan) for seed in range(4)]
    trained = [needle.answer for batch in rows for row in batch for needle in row.needles]
    judged = [n.answer for n in draw_set(rng_of(5), num=200, families=("magic_number",)).needles]
    assert begin_alike(trained) > 0.1 > begin_alike(judged)


def test_keys_hardly_ever_repeat():
    rng = rng_of(15)
    keys = {draw_key(rng, kind) for kind in ("name", "person", "id") for _ in range(2000)}
    assert len(keys) > 5985  # of a million kinds each, two are expected to fall together


def test_the_same_seed_makes_the_same_rows():
    def rows(seed):
        yield from needle_batch(
            rng_of(seed), TEXTS, batch=2, plan=Plan(num_tokens=1024, num_needles=12)
        )
        yield label_map_sequence(rng_of(seed), num_tokens=300)
        yield dictionary_sequence(rng_of(seed), num_tokens=300)

    for one, same, other in zip(rows(1), rows(1), rows(2), strict=True):
        assert np.array_equal(one.ids, same.ids)
        assert np.array_equal(one.weights, same.weights)
        assert (one.answers, one.asked, one.needles) == (same.answers, same.asked, same.needles)
        assert not np.array_equal(one.ids, other.ids)


def test_what_cannot_be_made_is_said():
    with pytest.raises(ValueError, match=r"^16 needles and 8 .* a quarter of 200"):
        needle_sequence(rng_of(0), TEXTS, plan=Plan(num_tokens=200))
    with pytest.raises(ValueError, match=r"num_questions must be in \[0, 16\], got 17"):
        needle_sequence(rng_of(0), TEXTS, plan=Plan(num_tokens=2048, num_questions=17))
    with pytest.raises(ValueError, match="'train' has no family museum: choose among magic_number"):
        needle_sequence(rng_of(0), TEXTS, plan=Plan(num_tokens=2048, families=("museum",)))
    with pytest.raises(ValueError, match="families trade can ask for several"):
        draw_set(rng_of(0), num=2, kind="multi_value", families=["trade"])
    with pytest.raises(ValueError, match="split must be one of train test"):
        draw_needle(rng_of(0), split="val")
    with pytest.raises(ValueError, match="kind one of single"):
        draw_set(rng_of(0), num=2, kind="many")
    with pytest.raises(ValueError, match="used up"):
        draw_set(rng_of(0), num=400, kind="multi_value", families=["meaning"])
    with pytest.raises(ValueError, match="takes 2 to 2 labels, got 3"):
        label_map_sequence(rng_of(0), num_tokens=100, rule="parity", num_labels=3)


def test_a_label_map_keeps_its_map_and_weighs_only_what_can_be_known():
    words = {word: name for name, table in CATEGORIES.items() for word in table}
    assert len(words) == sum(map(len, CATEGORIES.values()))  # classes share no word
    for rule, class_of in (
        ("category", words.get),
        ("parity", lambda number: int(number) % 2),
        ("item", lambda item: item),
    ):
        row = label_map_sequence(rng_of(16), num_tokens=1500, rule=rule)
        labels, seen = {}, set()
        for (start, stop), question in zip(row.answers, row.asked, strict=True):
            kind = class_of(question.keys[0])
            assert labels.setdefault(kind, question.answer) == question.answer
            weights = row.weights[start : stop + 1]
            assert (weights == (5 if kind in seen else 0)).all()
            seen.add(kind)
        assert (row.weights == 5).sum() + (row.weights == 0).sum() == 1500
        assert (row.ids[row.answers[-1][1] + 1 :] == PAD).all()
        assert len(row.asked) > 3 * len(labels)


def test_a_dictionary_answers_its_questions_from_entries_before_them():
    kinds = set()
    for seed in range(6):
        row = dictionary_sequence(rng_of(seed), num_tokens=1200)
        text = TOKENIZER.decode(row.ids)
        for question in row.asked:
            kinds.add(question.family)
            before = text[: text.index(f"<reserved0> {question.text}<reserved1>")]
            entries = re.sub(r"<reserved0>.*?<eos>", "", before, flags=re.DOTALL).splitlines()
            pairs = zip(question.keys[0].split(), question.answer.split(), strict=True)
            if question.family == "absent":
                assert question.keys[0] not in without_questions(row)
                continue
            for word, meaning in pairs:
                assert any(
                    {word, meaning} <= set(re.findall(r"\w+", entry)) for entry in entries
                ), (word, meaning)
    assert kinds == {"forward", "backward", "phrase", "absent"}
