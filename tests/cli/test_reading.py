"""``read`` and ``ask``: a memory on disk answers as its files do; what cannot be is one line."""

import re

import pytest
import torch
from typer.testing import CliRunner

from cyclorama.cli.app import app
from cyclorama.models.lm import LM, LMS
from cyclorama.weights.files import save_weights

QUESTION = "Who ran down the hill?"


def run(*arguments):
    """Run a command in this process and return what came of it."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def small_reader(path, shaken, *, seed=0):
    torch.manual_seed(seed)
    model = shaken(LM(LMS["tiny"].model_copy(update={"vocabulary": 8192})))
    save_weights(path, model, kind="reader", facts={})
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory, shaken):
    """Write weights, a text and a folder, and read the folder into a memory."""
    root = tmp_path_factory.mktemp("reading")
    small_reader(root / "small.safetensors", shaken)
    (root / "texts").mkdir()
    (root / "texts" / "jack.txt").write_text("Jack and Jill ran down the hill.\n" * 20)
    (root / "texts" / "fox.txt").write_text("The quick brown fox.\n")
    (root / "texts" / "picture.png").write_bytes(b"\x89PNG\0")
    done = run(
        "read", root / "texts", "-o", root / "texts.memory", "--weights", root / "small.safetensors"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{root / 'texts.memory'}\n"
    assert "tokens of 2 files" in done.stderr
    assert "left out 1 that these weights cannot read" in done.stderr
    return root


def common(place):
    return ["--weights", place / "small.safetensors", "--tokens", 6]


def test_a_memory_answers_as_often_as_asked(place):
    first = run("ask", place / "texts.memory", QUESTION, *common(place))
    assert first.exit_code == 0, first.output
    assert first.stdout.strip()
    again = run("ask", place / "texts.memory", "--question", QUESTION, *common(place))
    assert again.stdout == first.stdout


def test_quotations_are_words_of_the_files(place):
    def answer(*options):
        done = run("ask", place / "texts.memory", QUESTION, "--tokens", 30, *options)
        assert done.exit_code == 0, done.output
        return done.stdout.strip().lower()

    weights = ["--weights", place / "small.safetensors"]
    free, quoted = answer(*weights), answer("--quote", *weights)
    told = "jack and jill ran down the hill. the quick brown fox. file: texts/jack.txt not found"
    words = set(re.findall("[a-z]+", told))
    assert not set(re.findall("[a-z]+", free)) <= words
    assert set(re.findall("[a-z]+", quoted)) <= words


def test_a_memory_answers_as_its_files(place, tmp_path):
    path = tmp_path / "exact.memory"
    done = run("read", place / "texts", "-o", path, "--dtype", "bfloat16", *common(place)[:2])
    assert done.exit_code == 0, done.output
    kept = run("ask", path, QUESTION, *common(place))
    direct = run("ask", place / "texts", QUESTION, *common(place))
    assert kept.exit_code == direct.exit_code == 0, direct.output
    assert kept.stdout == direct.stdout
    assert "tokens of 2 files" in direct.stderr


def test_several_questions_are_answered_each_under_itself(place):
    other = "What is the fox?"
    both = run(
        "ask", place / "texts.memory", "--question", QUESTION, "--question", other, *common(place)
    )
    assert both.exit_code == 0, both.output
    lines = both.stdout.splitlines()
    assert lines[0] == QUESTION
    assert other in lines
    assert lines[1].startswith("  ")


def test_seeds_draw_answers(place):
    drawn = [
        run("ask", place / "texts.memory", QUESTION, *common(place), "--temperature", 9, *more)
        for more in (["--seed", 1], ["--seed", 1], ["--seed", 2])
    ]
    assert drawn[0].stdout == drawn[1].stdout != drawn[2].stdout


def test_a_memory_of_other_weights_is_refused(place, tmp_path, shaken):
    other = small_reader(tmp_path / "other.safetensors", shaken, seed=1)
    done = run("ask", place / "texts.memory", QUESTION, "--weights", other)
    assert done.exit_code == 2
    assert "was read with other weights" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "texts.memory"], "nothing is asked"),
        (["ask", "texts", "texts.memory"], "the last argument is the question, but"),
        (["ask", "no.txt", "Why?"], "there is no file"),
        (["ask", "no.memory", "Why?"], "is no memory of a reading"),
        (["ask", "texts.memory", "texts", "Why?"], "a memory is asked alone"),
        (["ask", "texts/picture.png", "Why?"], "is no UTF-8 text, and no picture, film or sound"),
        (["ask", "texts.memory", "Why?", "--tokens", "0"], "--tokens must be at least 1"),
        (["ask", "texts.memory", "Why?", "--temperature", "-1"], "temperature must be 0"),
        (["ask", "no.txt", "why " * 2000], "there is no file"),
        (["read", "texts", "-o", "texts"], "a memory's name ends in .memory"),
        (["read", "texts", "-o", "t.memory", "--dtype", "int4"], "give one of bfloat16, int8"),
        (["read", "no.txt", "-o", "t.memory"], "there is no file"),
    ],
)
def test_what_cannot_be_is_one_line(place, monkeypatch, arguments, message):
    monkeypatch.chdir(place)
    done = run(*arguments, "--weights", "small.safetensors")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (place / "t.memory").exists()


@pytest.mark.parametrize("command", [["ask", "texts", "Why?"], ["read", "texts", "-o", "t.memory"]])
def test_weights_that_are_not_there_are_named(place, monkeypatch, command):
    monkeypatch.chdir(place)
    done = run(*command, "--weights", "nothing")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: no weights 'nothing': give a file, or a bundled name (")
