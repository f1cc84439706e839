"""Needles stand where they were put, in their order, and only an exact answer is right."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclorama.data.needles import draw_set
from cyclorama.data.texts import generated_texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation.needle import Trial, plant, try_haystack
from cyclorama.inference.text import Reader
from cyclorama.models.lm import LM, LMS


@pytest.fixture(scope="module")
def haystack():
    return generated_texts(4_000).stream(4_000)


def test_statements_are_put_in_whole_at_ends_of_sentences(haystack):
    tokenizer = load_tokenizer()
    statements = [tokenizer.encode(f" Fact number {n} stands here.") for n in range(3)]
    ids = plant(haystack, statements, depths=(0.1, 0.5, 0.9))
    assert len(ids) == len(haystack) + sum(map(len, statements))
    text = tokenizer.decode(ids.tolist())
    places = [text.index(f" Fact number {n} stands here.") for n in range(3)]
    assert places == sorted(places)
    for place, depth in zip(places, (0.1, 0.5, 0.9), strict=True):
        assert abs(place / len(text) - depth) < 0.03
        assert text[place - 1] in ".!?\"'\n"
    for n in range(3):
        text = text.replace(f" Fact number {n} stands here.", "")
    assert text == tokenizer.decode(haystack.tolist())


def test_depths_out_of_order_and_at_the_ends(haystack):
    statements = [[7, 7], [8, 8, 8], [9]]
    ids = plant(haystack[:100], statements, depths=(1.0, 0.0, 0.0))
    assert (ids[-70:] == 7).sum() >= 2  # the last seam, or the last end of a sentence
    assert len(ids) == 106
    found = [int(i) for i in ids if i in (8, 9)]
    assert found[-4:] == [8, 8, 8, 9]


def test_only_the_exact_answer_is_right():
    trial = Trial(100, 0, 0.5, "single", "number", "What?", "7351924", " 7351924 ")
    assert trial.right
    assert not replace(trial, found="735192").right
    assert not replace(trial, found="7351924 and more").right
    assert replace(trial, answer="Pear", found="pear").right


def test_a_reader_that_knows_nothing_is_wrong_everywhere(haystack):
    torch.manual_seed(0)
    reader = Reader(LM(LMS["tiny"].model_copy(update={"vocabulary": 8192})).eval(), "none")
    needles = draw_set(np.random.default_rng(0), num=4, split="test").needles
    trials, cost, reading = try_haystack(reader, haystack, needles=needles, number=3)
    assert [trial.depth for trial in trials] == [0.125, 0.375, 0.625, 0.875]
    assert [trial.answer for trial in trials] == [needle.answer for needle in needles]
    assert not any(trial.right for trial in trials)
    assert cost.num_tokens == reading.memory.num_cards == len(reading.ids) > len(haystack)
    assert {trial.haystack for trial in trials} == {3}


def test_questions_of_a_set_stand_at_their_first_fact(haystack):
    torch.manual_seed(0)
    reader = Reader(LM(LMS["tiny"].model_copy(update={"vocabulary": 8192})).eval(), "none")
    plural = draw_set(np.random.default_rng(1), num=3, kind="multi_query", split="test")
    absent = draw_set(np.random.default_rng(2), num=1, kind="absent", split="test")
    trials, _, _ = try_haystack(
        reader,
        haystack,
        needles=(*plural.needles, *absent.needles),
        questions=(*plural.questions, *absent.questions),
    )
    assert [trial.depth for trial in trials] == [0.125, 0.125, 0.375, 0.625, None]
    early, _, _ = try_haystack(reader, haystack, needles=plural.needles, offset=0.0)
    assert [trial.depth for trial in early] == [0, 1 / 3, 2 / 3]
    assert [trial.kind for trial in trials] == ["multi_query"] * 4 + ["absent"]
    assert trials[0].answer == ", ".join(trial.answer for trial in trials[1:4])
