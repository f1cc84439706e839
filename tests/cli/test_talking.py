"""``caption``, ``transcribe``, ``chat``, and ``ask`` about media, with small weights made here."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cyclorama.cli.app import app
from cyclorama.data.sample import Sample
from cyclorama.data.store import append_samples, create_store, open_store
from cyclorama.inference.describe import caption_clips
from cyclorama.inference.text import load_reader
from cyclorama.media.audio import write_wav
from cyclorama.media.video import write_video
from cyclorama.models.lm import LM, LMS
from cyclorama.shapes import SOUND_RATE_HZ
from cyclorama.weights.files import save_weights


def run(*arguments, **more):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory, shaken):
    """Write weights that read everything, weights that read text, a film, a sound, a text."""
    root = tmp_path_factory.mktemp("talking")
    for name, reads in (("both", ("pictures", "sound")), ("text", ())):
        torch.manual_seed(0)
        update = {"reads": reads, "stem_hidden": 64, "vocabulary": 8192}
        model = shaken(LM(LMS["tiny"].model_copy(update=update)))
        save_weights(root / f"{name}.safetensors", model, kind="reader", facts={})
    draw = np.random.default_rng(0)
    write_video(root / "film.mp4", draw.integers(0, 256, (16, 48, 64, 3), np.uint8), rate_fps=8)
    samples = draw.normal(size=2 * SOUND_RATE_HZ) * 0.05
    write_wav(root / "sound.wav", samples, rate_hz=SOUND_RATE_HZ)
    (root / "jack.txt").write_text("Jack and Jill ran down the hill.\n")
    return root


@pytest.fixture(autouse=True)
def there(place, monkeypatch):
    monkeypatch.chdir(place)


def test_a_caption_is_printed_and_several_under_their_names():
    common = ("--weights", "both.safetensors", "--tokens", 4)
    one = run("caption", "film.mp4", *common)
    assert one.exit_code == 0, one.output
    assert one.stdout.strip()
    two = run("caption", "film.mp4", "film.mp4", *common)
    line = f"film.mp4\n  {one.stdout}"
    assert two.stdout == line + line


def test_a_transcript_has_instants():
    done = run("transcribe", "sound.wav", "--weights", "both.safetensors")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("00:00:00 ")


def test_a_film_and_a_sound_and_a_text_are_asked_together():
    files = ("film.mp4", "jack.txt", "sound.wav")
    common = ("--weights", "both.safetensors")
    done = run("ask", *files, "What moves?", "--fps", 2, "--tokens", 4, *common)
    assert done.exit_code == 0, done.output
    assert "film.mp4: 4 frames at 2 fps and 64x48" in done.stderr
    assert "sound.wav: 2 seconds of sound" in done.stderr
    assert "tokens of 3 files: " in done.stderr
    kept = run("read", *files, "-o", "all.memory", "--fps", 2, "--dtype", "bfloat16", *common)
    assert kept.exit_code == 0, kept.output
    again = run("ask", "all.memory", "What moves?", "--tokens", 4, *common)
    assert again.stdout == done.stdout


def test_a_chat_answers_line_by_line_and_remembers():
    common = ("--weights", "both.safetensors", "--tokens", 4)
    done = run("chat", "jack.txt", *common, input="Who ran?\nWho ran?\n\nnever asked\n")
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    alone = run("ask", "jack.txt", "Who ran?", *common)
    assert alone.stdout == f"{first}\n"
    assert isinstance(second, str)
    bare = run("chat", *common, input="Who?\n")
    assert bare.exit_code == 0, bare.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["caption", "film.mp4"], "film.mp4 is a film: these weights read text and no pictures"),
        (["transcribe", "sound.wav"], "sound.wav is to be heard: these weights read text and no"),
        (["ask", "film.mp4", "Why?"], "film.mp4 is a film: these weights read text and no"),
        (["chat", "sound.wav"], "sound.wav is a sound: these weights read text and no sound"),
        (["caption", "film.mp4", "--style", "long"], "no style of captions 'long'"),
        (["caption", "film.mp4", "--fps", "0"], "rate_fps must be in (0, 60]"),
    ],
)
def test_weights_that_read_text_say_so_in_one_line(arguments, message):
    done = run(*arguments, "--weights", "text.safetensors")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_store_gets_captions_where_it_has_none():
    pytest.importorskip("lance")
    draw = np.random.default_rng(1)
    create_store("films.lance")
    samples = [
        Sample(name, draw.integers(0, 256, (5, 32, 32, 3), np.uint8), 8.0, captions=words)
        for name, words in (("a", {}), ("b", {"short": "a user's own words"}), ("c", {}))
    ]
    append_samples("films.lance", samples)
    done = run("caption", "films.lance", "--style", "short", "--weights", "both.safetensors")
    assert done.exit_code == 0, done.output
    assert done.stdout == "films.lance has a column caption_short\n"
    store = open_store("films.lance")
    told = {sample.id: sample.captions.get("short") for sample in map(store.__getitem__, range(3))}
    assert told["b"] == "a user's own words"
    reader = load_reader("both.safetensors")
    for number, name in enumerate(store.ids):
        if name != "b":
            frames = store[number].frames
            assert [told[name]] == caption_clips(reader, [(frames, 8.0)], style="short")
    for options, fault in (
        (["--style", "long"], "no style of captions 'long'"),
        (["--style", "dense", "--weights", "text.safetensors"], "these weights read text and no"),
    ):
        refused = run("caption", "films.lance", "--weights", "both.safetensors", *options)
        assert refused.exit_code == 2
        assert fault in refused.stderr
    again = run("caption", "films.lance", "--style", "short", "--weights", "both.safetensors")
    assert again.exit_code == 2
    assert "has a column 'caption_short' already" in again.stderr
