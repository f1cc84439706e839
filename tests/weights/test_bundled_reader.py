"""The bundled reader reads: a long book, clips it has not seen, voices it has not heard."""

from pathlib import Path

import numpy as np
import pytest

from cyclorama.cli import reading
from cyclorama.data.asked_clips import asked_clips
from cyclorama.data.media_rows import card
from cyclorama.data.needles import draw_set
from cyclorama.data.passages import image_passage, joined_passage, stamp, video_passages
from cyclorama.data.spoken import utter
from cyclorama.evaluation.marks import word_errors, words_of
from cyclorama.inference.describe import caption_clips, transcribe_samples
from cyclorama.inference.messages import answer_all
from cyclorama.inference.text import load_reader, read_stream
from cyclorama.worlds.looks import COLOURS

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def reader():
    return load_reader()


def asked(reader, passages, questions):
    passage = joined_passage(passages)
    shown = read_stream(reader, [passage], num_tokens=len(passage.ids))
    return answer_all(reader, shown, questions=questions)


def test_the_demo_finds_its_facts_and_the_readme_asks_one(tmp_path, monkeypatch, capsys):
    facts = draw_set(
        np.random.default_rng(reading.DEMO_SEED), num=reading.NUM_FACTS, split="test"
    ).needles
    assert any(fact.question in README.read_text() for fact in facts)
    monkeypatch.setattr(reading, "DEMO_TOKENS", 8_192)
    book = reading.make_reading_demo("reader", tmp_path)
    told = capsys.readouterr()
    lines = told.out.splitlines()
    found = [lines[lines.index(fact.question) + 1].strip() for fact in facts]
    assert sum(a == fact.answer for a, fact in zip(found, facts, strict=True)) >= 3
    assert told.err.count(f"({book}, line ") >= 3


def test_cards_are_read_and_found_by_their_instant(reader):
    rng = np.random.default_rng(0)
    numbers, colours = rng.integers(1000, 10_000, 8), ("red", "blue", "green", "black") * 2
    frames = [card(str(n), c) for n, c in zip(numbers, colours, strict=True)]
    found = [
        asked(reader, [image_passage(frame)], ["What number is shown?"])[0] for frame in frames
    ]
    assert sum(a == str(n) for a, n in zip(found, numbers, strict=True)) >= 7
    film = np.full((40, 64, 64, 3), 120, np.uint8)
    film[::5] = frames
    questions = [f"What number is shown at {stamp(5 * n)}?" for n in range(8)]
    found = asked(reader, [*video_passages([film], rate_fps=1.0)], questions)
    assert sum(a == str(n) for a, n in zip(found, numbers, strict=True)) >= 7


def test_clips_are_told(reader):
    pytest.importorskip("mujoco", reason="pip install 'cyclorama[worlds]'")
    source = asked_clips("stage", "val_id", num_clips=6)
    clips = [source[number] for number in range(6)]
    told = caption_clips(reader, [(c.frames, c.rate_fps) for c in clips], style="dense")
    pairs = [
        (set(words_of(t)), set(words_of(c.captions["dense"])))
        for t, c in zip(told, clips, strict=True)
    ]
    assert sum(found & set(COLOURS) == true & set(COLOURS) for found, true in pairs) >= 5


def test_digits_of_unheard_voices_are_written_down(reader):
    pytest.importorskip("espeakng_loader", reason="pip install 'cyclorama[speech]'")
    rng = np.random.default_rng(0)
    said = [utter(rng, "digits", split="test") for _ in range(12)]
    wrong = sum(word_errors(transcribe_samples(reader, s), text) for text, s in said)
    assert wrong <= 0.2 * sum(len(words_of(text)) for text, _ in said)
