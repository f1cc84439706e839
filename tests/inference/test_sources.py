"""The place of an answer: the line it stands on, in the file it stands in, or none."""

from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.inference.messages import file_stream
from cyclorama.inference.sources import place_of

LINES = [f"The {word} of the house is {number}." for number, word in enumerate("abcdef", 10)]


def ids_of(paths):
    passages = list(file_stream(paths).passages())
    return np.concatenate([passage.ids for passage in passages])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "one.py").write_text("import os\n\nPORT = 8080\n")
    (tmp_path / "src" / "two.txt").write_text("\n".join(LINES) + "\n")
    (tmp_path / "src" / "very.txt").write_text("nothing\nThe gate is 8080 too.\n")
    return tmp_path / "src"


@pytest.mark.parametrize(("number", "line"), list(enumerate(LINES, start=1)))
def test_the_line_of_a_lone_file(folder, number, line):
    ids = ids_of([folder / "two.txt"])
    answer = line.split()[-1].strip(".")
    place = place_of(ids, question="What is it?", answer=answer)
    assert (place.name, place.line, str(place)) == ("", number, f"line {number}")


def test_the_file_among_several_and_the_question_decides_between_equals(folder):
    ids = ids_of([folder])
    assert str(place_of(ids, question="Which e is it?", answer="14")) == "src/two.txt:5"
    assert str(place_of(ids, question="What is PORT?", answer="8080")) == "src/one.py:3"
    assert str(place_of(ids, question="Where is the gate?", answer="8080")) == "src/very.txt:2"


def test_words_at_a_file_s_beginning_are_found(folder):
    assert str(place_of(ids_of([folder]), question="?", answer="import os")) == "src/one.py:1"
    assert str(place_of(ids_of([folder / "one.py"]), question="?", answer="import")) == "line 1"


@pytest.mark.parametrize(
    "answer", ["not there", "", "  ", "The a of the house is 10. " * 30, "0", "not found"]
)
def test_what_does_not_stand_there_has_no_place(folder, answer):
    assert place_of(ids_of([folder]), question="What?", answer=answer) is None


def test_an_answer_longer_than_the_stream_has_no_place():
    ids = np.array(load_tokenizer().encode("The gate is"), np.uint16)
    assert place_of(ids, question="What?", answer="The gate is 8080 too") is None


def test_what_was_not_found_has_no_place_even_where_these_words_stand():
    ids = np.array(load_tokenizer().encode("Error: not found.\n"), np.uint16)
    assert place_of(ids, question="What?", answer="Not found") is None
    assert place_of(ids, question="What?", answer="Error") is not None


@pytest.mark.parametrize(
    ("number", "stands"), [("48", False), ("14823", True), ("148", False), ("23", False)]
)
def test_a_number_does_not_stand_in_a_longer_one(number, stands):
    ids = np.array(load_tokenizer().encode("There were 14823 geese."), np.uint16)
    assert (place_of(ids, question="How many?", answer=number) is not None) == stands


def test_stamps_of_a_film_are_no_text():
    special, encode = load_tokenizer().special, load_tokenizer().encode
    film = [special("<video>"), *encode("1 fps 00:00:00 00:00:07"), special("</video>")]
    ids = np.array([*encode("One.\nTwo.\n"), *film, *encode("\nIt was 00:00:07 then.")], np.uint16)
    assert place_of(ids, question="When?", answer="00:00:07").line == 4
    assert (
        place_of(ids[: -len(encode("\nIt was 00:00:07 then."))], question="?", answer="00:00:07")
        is None
    )


def test_the_place_is_the_answer_s_wherever_it_is_put():
    rng, tokenizer = np.random.default_rng(0), load_tokenizer()
    for _ in range(20):
        lines = [f"{rng.integers(10**6)} sheep" for _ in range(50)]
        number = int(rng.integers(50))
        lines[number] += f" and the tower of Zilmer has {2 * 10**7 + number} steps"
        ids = np.array(tokenizer.encode("\n".join(lines)), np.uint16)
        place = place_of(ids, question="How high is Zilmer?", answer=str(2 * 10**7 + number))
        assert place.line == number + 1
