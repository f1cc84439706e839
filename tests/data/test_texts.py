"""Texts: the tape holds what the files say, windows stay inside a text, streams repeat it."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.data import texts as module
from cyclorama.data.texts import encode_long, generated_texts, open_texts, prose, texts_of
from cyclorama.data.tokenizer import load_tokenizer

STORY = "\n\n".join(islice(prose(3), 40))


def test_files_stand_behind_each_other_and_decode_to_themselves(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text(STORY[:2000], encoding="utf-8")
    two.write_text("a short one, with \xe4\u4e2d", encoding="utf-8")
    texts = open_texts([one, two])
    assert texts.ids.dtype == np.uint16
    assert len(texts) == texts.starts[-1]
    read = [
        load_tokenizer().decode(texts.ids[slice(*texts.starts[i : i + 2])].tolist()) for i in (0, 1)
    ]
    assert read == [STORY[:2000], "a short one, with \xe4\u4e2d"]


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet="ab. \n1'", max_size=300), st.integers(1, 40))
def test_a_long_text_is_encoded_as_in_one_piece(text, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_CHARACTERS", chunk)
        assert encode_long(text).tolist() == load_tokenizer().encode(text)


def test_a_cached_file_is_not_tokenised_again(tmp_path, monkeypatch):
    path = tmp_path / "book.txt"
    path.write_text(STORY[:500], encoding="utf-8")
    first = open_texts([path], cache=tmp_path / "kept")
    assert len(list((tmp_path / "kept").glob("*.npy"))) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module, "encode_long", lambda text: pytest.fail("tokenised again"))
        again = open_texts([path], cache=tmp_path / "kept")
    assert np.array_equal(first.ids, again.ids)
    path.write_text(STORY[:400], encoding="utf-8")
    assert len(open_texts([path], cache=tmp_path / "kept")) < len(first)


def test_what_cannot_be_read_is_said(tmp_path):
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="no UTF-8 at byte 3"):
        open_texts([latin])
    with pytest.raises(ValueError, match="no text file at"):
        open_texts([tmp_path / "absent.txt"])
    with pytest.raises(ValueError, match="generated_texts"):
        open_texts([])
    with pytest.raises(ValueError, match="empty"):
        texts_of(["", ""])


@given(st.integers(0, 1000), st.integers(1, 30))
def test_a_window_lies_inside_one_text(seed, num_tokens):
    texts = texts_of(["1" * 7, "2" * 30, "3" * 12])
    window = texts.window(np.random.default_rng(seed), num_tokens)
    assert len(window) == num_tokens
    assert len(set(window.tolist())) == 1
    window[:] = 0  # a copy: what a caller writes does not touch the text
    assert texts.ids.all()


def test_every_window_is_drawn_and_one_longer_than_all_texts_repeats_them():
    texts = texts_of(["abc 1", "2345"])
    rng = np.random.default_rng(0)
    seen = {tuple(texts.window(rng, 3).tolist()) for _ in range(200)}
    inside = {
        tuple(texts.ids[i : i + 3].tolist())
        for start, stop in zip(texts.starts[:-1], texts.starts[1:], strict=True)
        for i in range(start, stop - 2)
    }
    assert seen == inside
    assert len(texts.window(rng, 50)) == 50


def test_ten_million_tokens_repeat_the_text():
    texts = generated_texts(2000)
    stream = texts.stream(10_000_000, start=7)
    assert stream.shape == (10_000_000,)
    assert stream.dtype == np.uint16
    places = np.random.default_rng(0).integers(10_000_000, size=1000)
    assert np.array_equal(stream[places], texts.ids[(places + 7) % len(texts)])


def test_prose_is_endless_varied_and_the_same_for_a_seed():
    again = "\n\n".join(islice(prose(3), 40))
    assert again == STORY
    other = "\n\n".join(islice(prose(4), 40))
    assert other != STORY
    sentences = STORY.replace("\n\n", " ").split(". ")
    assert len(set(sentences)) > 0.95 * len(sentences)
    assert "{" not in STORY
    assert set('0123456789",.') < set(STORY)
    assert len(generated_texts(3000, seed=1)) >= 3000
