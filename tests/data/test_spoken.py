"""The shelf of utterances: what is said is what stands on the card, and another split differs."""

import json

import numpy as np
import pytest

from cyclorama.data.spoken import (
    DIGITS,
    Utterances,
    build_utterances,
    spoken_digits,
    spoken_sentence,
    utter,
)
from cyclorama.shapes import SOUND_RATE_HZ


def test_sentences_are_words_alone():
    said = {spoken_sentence(np.random.default_rng(seed)) for seed in range(20)}
    assert len(said) > 15
    for text in said:
        assert 3 <= len(text.split()) <= 12
        assert all(letter.islower() or letter in " '" for letter in text)
    assert spoken_sentence(np.random.default_rng(3)) == spoken_sentence(np.random.default_rng(3))
    assert set(spoken_digits(np.random.default_rng(0)).split()) <= set(DIGITS)


def test_utterances_are_drawn_with_different_words_and_none_too_long():
    texts = ("one", "two", "one", "three", "four")
    lengths = np.array([1, 2, 1, 9, 3]) * SOUND_RATE_HZ
    starts = np.cumsum([0, *lengths])
    samples = np.repeat(np.arange(5), lengths).astype(np.int16)
    shelf = Utterances(texts, starts, samples)
    for seed in range(9):
        drawn = shelf.draw(np.random.default_rng(seed), 3, longest_s=5)
        assert {text for text, _ in drawn} == {"one", "two", "four"}
        for text, sound in drawn:
            assert (sound == np.float32(texts.index(text)) / 32767).all() or text == "one"
    with pytest.raises(ValueError, match="3 different utterances of up to 5 s, needed 4"):
        shelf.draw(np.random.default_rng(0), 4, longest_s=5)


def test_utterances_drawn_together_begin_alike():
    texts = tuple(spoken_digits(np.random.default_rng(seed)) for seed in range(4000))
    starts = np.arange(len(texts) + 1)
    shelf = Utterances(texts, starts, np.zeros(len(texts), np.int16))
    drawn = [text for text, _ in shelf.draw(np.random.default_rng(0), 40, longest_s=1)]
    assert len(set(drawn)) == 40

    def share(said):
        begin = [text.split()[:2] for text in said]
        return np.mean([begin.count(words) > 1 for words in begin])

    assert share(drawn) > 0.6
    assert share(texts[:40]) < 0.4


def test_a_shelf_is_made_once_and_kept(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra speech")
    seen = []
    made = build_utterances(
        tmp_path / "shelf", kind="digits", num=5, progress=lambda *at: seen.append(at)
    )
    assert seen == [(5, 5)]
    assert len(made) == 5
    for index in range(5):
        text, samples = made[index]
        assert set(text.split()) <= set(DIGITS)
        assert samples.dtype == np.float32
        assert 0.04 < np.abs(samples).max() <= 1
        assert 0.2 < len(samples) / SOUND_RATE_HZ <= 8
    before = (tmp_path / "shelf" / "samples.i16").stat().st_mtime_ns
    (tmp_path / "shelf.part").mkdir()  # what a kill leaves
    again = build_utterances(tmp_path / "shelf", kind="digits", num=5)
    assert (tmp_path / "shelf" / "samples.i16").stat().st_mtime_ns == before
    np.testing.assert_array_equal(made[3][1], again[3][1])
    with pytest.raises(ValueError, match="holds other utterances than"):
        build_utterances(tmp_path / "shelf", kind="digits", num=6)
    other = build_utterances(tmp_path / "other", kind="digits", num=5, split="test")
    assert other.texts != made.texts
    card = json.loads((tmp_path / "other" / "utterances.json").read_text())
    assert card["texts"] == list(other.texts)


def test_what_cannot_be_said_is_refused():
    with pytest.raises(ValueError, match="no utterances of kind 'song': there are digits, sent"):
        utter(np.random.default_rng(0), "song")
