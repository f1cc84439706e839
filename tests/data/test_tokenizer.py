"""The tokenizer: exact round trips, marks that text cannot forge, the same training twice."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.data.tokenizer import (
    BOS,
    EOS,
    NUM_ENTRIES,
    PAD,
    SPECIAL_TOKENS,
    load_tokenizer,
    mix_texts,
    train_tokenizer,
)

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
PIECES = st.sampled_from([*SPECIAL_TOKENS[:9], " ", "\n", "12", "ball", "it's", "<", "\u0000"])


@settings(max_examples=400, deadline=None)
@given(st.one_of(ANY_TEXT, st.lists(PIECES, max_size=12).map("".join)))
def test_any_text_comes_back(text: str) -> None:
    tokenizer = load_tokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(len(SPECIAL_TOKENS) <= i < NUM_ENTRIES for i in ids)


def test_the_shipped_encoding_has_8192_entries_and_marks_first() -> None:
    tokenizer = load_tokenizer()
    assert len(tokenizer) == tokenizer.vocabulary_size == NUM_ENTRIES == 8192
    assert [tokenizer.special(name) for name in SPECIAL_TOKENS] == list(range(32))
    assert tokenizer.decode([PAD, BOS, EOS, 3, 4]) == "<pad><bos><eos><image></image>"
    assert len({tokenizer.token(i) for i in range(32)}) == 32


def test_digits_stand_alone() -> None:
    tokenizer = load_tokenizer()
    digits = [tokenizer.encode(d)[0] for d in "0123456789"]
    assert tokenizer.encode("9081726354") == [digits[int(d)] for d in "9081726354"]
    assert tokenizer.encode(" 42")[1:] == [digits[4], digits[2]]
    glued = [t for t in map(tokenizer.token, range(32, NUM_ENTRIES)) if len(t) > 1]
    assert not [t for t in glued if any(c.isdigit() for c in t)]


def test_bad_input_is_named() -> None:
    tokenizer = load_tokenizer()
    with pytest.raises(ValueError, match="character 2"):
        tokenizer.encode("ab\ud800")
    with pytest.raises(ValueError, match=r"\[0, 8192\).*8192"):
        tokenizer.decode([5, 8192])
    with pytest.raises(ValueError, match="<smell>"):
        tokenizer.special("<smell>")


def test_training_is_deterministic_and_fills_its_entries(tmp_path) -> None:
    texts = [f"the {a} {b} rolls at {i} m/s\n" for i, (a, b) in enumerate(
        (a, b) for a in ("red", "green", "violet") for b in ("ball", "cube", "cone")
    )] * 3  # fmt: skip
    first = train_tokenizer(texts, num_entries=320)
    second = train_tokenizer(iter(texts), num_entries=320)
    assert len(first) == 320 and first.to_json() == second.to_json()
    first.save(tmp_path / "t.json")
    again = load_tokenizer(tmp_path / "t.json")
    copy = pickle.loads(pickle.dumps(again))
    for tokenizer in (again, copy):
        assert tokenizer.encode("the red <pad> cube") == first.encode("the red <pad> cube")
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"]
    with pytest.raises(ValueError, match="add more text"):
        train_tokenizer(texts, num_entries=4000)


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "x.json").write_text('{"model": {"vocab": {"<pad>": 7}}}')
    with pytest.raises(ValueError, match="retrain"):
        load_tokenizer(tmp_path / "x.json")
    (tmp_path / "y.json").write_text("[]")
    with pytest.raises(ValueError, match="no tokenizer"):
        load_tokenizer(tmp_path / "y.json")
    with pytest.raises(ValueError, match="train_tokenizer"):
        load_tokenizer(tmp_path / "absent.json")


def test_the_mix_is_half_and_half() -> None:
    mixed = list(mix_texts(["ab\ncd\n"], iter(["WXYZ"] * 10)))
    assert mixed == ["ab\n", "cd\n", "WXYZ", "wxyz"]
    with pytest.raises(ValueError, match="2 bytes short"):
        list(mix_texts(["ab\ncd\n"], ["WXYZ"]))
