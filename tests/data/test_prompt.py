"""A prompt reads the same in training and in use."""

import pytest

from cyclorama.data.prompt import MAX_PROMPT_TOKENS, normalise_prompt, prompt_ids, words_of


@pytest.mark.parametrize(
    "text", ["A red ball rolls.", "a  red ball\n rolls", "a RED ball rolls...", " a red ball rolls"]
)
def test_case_space_and_the_last_stop_do_not_matter(text):
    assert normalise_prompt(text) == "a red ball rolls"
    assert prompt_ids(text) == prompt_ids("a red ball rolls")


def test_words_and_their_order_do():
    assert prompt_ids("a red ball and a blue cube") != prompt_ids("a blue ball and a red cube")


def test_no_prompt_has_no_tokens_and_a_long_one_is_cut():
    assert prompt_ids("") == []
    assert len(prompt_ids("word " * 300)) == MAX_PROMPT_TOKENS


def test_words_without_the_punctuation_around_them():
    assert words_of('A red ball, "rolls" (left); then stops.') == [
        "a",
        "red",
        "ball",
        "rolls",
        "left",
        "then",
        "stops",
    ]
    assert words_of("two-coloured -- it's!") == ["two-coloured", "--", "it's"]
    assert words_of(" ... ") == []
