"""Other names in a book, asides in a fact: what changes, and that nothing else does."""

import re

import numpy as np
import pytest

from cyclorama.data.disguise import ASIDES, draw_windows, renamed, with_asides
from cyclorama.data.needle_families import TEMPLATES
from cyclorama.data.texts import texts_of
from cyclorama.data.tokenizer import load_tokenizer

PAGE = (
    "Then the old Bartleby, who knew Mrs. Winkle, wrote to Mr. Stubbins in May. Bartleby waited "
    "for Captain Ahab; nobody came, and Winkle, on Monday, went home with Ahab's coat."
)
NAMES = {"Bartleby", "Winkle", "Stubbins", "Ahab"}


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_every_name_inside_a_sentence_is_another_and_the_rest_stays(seed):
    names: dict[str, str] = {}
    page = renamed(rng_of(seed), PAGE, names=names)
    assert set(names) == NAMES
    expected = PAGE
    for old, new in names.items():
        expected = re.sub(rf"\b{old}\b", new.replace(" ", "_"), expected)
    assert page == expected.replace("_", " ")
    assert "Captain" in page and "Monday" in page and "Mrs. " in page and page.startswith("Then")


def test_names_once_given_are_kept_to():
    names = {"Ahab": "Tovak"}
    assert renamed(rng_of(0), "they saw Ahab and Ahab", names=names) == "they saw Tovak and Tovak"
    later = renamed(rng_of(1), "Ahab met Perl, then Perl met Ahab.", names=names)
    assert later == f"Tovak met {names['Perl']}, then {names['Perl']} met Tovak."


def test_pieces_have_their_length_and_their_own_words_unless_renamed():
    texts = texts_of([PAGE * 50])
    plain = draw_windows(rng_of(3), texts, num=4, num_tokens=300)
    rng = rng_of(3)
    for window in plain:
        np.testing.assert_array_equal(window, texts.window(rng, 300))
    other = draw_windows(rng_of(3), texts, num=4, num_tokens=300, renamed_share=1.0)
    assert [len(window) for window in other] == [300] * 4
    spoken = [load_tokenizer().decode(window) for window in other]
    assert not any(name in page for name in NAMES for page in spoken)
    # One book: whoever waited for the captain is the same person on every page.
    waited = {name for page in spoken for name in re.findall(r"(\w+) waited for Captain", page)}
    assert len(waited) == 1


def test_an_aside_can_be_taken_out_again():
    rng, changed = rng_of(4), 0
    for family in TEMPLATES["train"]:
        told = with_asides(rng, family, share=1.0)
        assert told.questions == family.questions and told.plurals == family.plurals
        for before, after in zip(family.statements, told.statements, strict=True):
            if after != before:
                changed += 1
                aside = next(a for a in sorted(ASIDES, key=len, reverse=True) if f", {a}" in after)
                assert before in {
                    after.replace(f", {aside}", "", 1),
                    after.replace(f", {aside},", "", 1),
                }
    assert changed > 1000


def test_without_a_share_nothing_is_said_beside():
    for family in TEMPLATES["train"][:50]:
        assert with_asides(rng_of(5), family, share=0.0) == family


def test_asides_are_short_and_have_no_holes_or_commas():
    assert len(ASIDES) == len(set(ASIDES)) >= 300
    for aside in ASIDES:
        assert 2 <= len(aside.split()) <= 12 and aside == aside.strip()
        assert not set(aside) & set("{},;")
