"""The command line: foreseen errors are one line, help is quick, quick commands do their work."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cyclorama import record
from cyclorama.cli import show
from cyclorama.cli.app import app
from cyclorama.cli.clips import DEMO_PROMPTS
from cyclorama.cli.reading import DEMO_SEED, NUM_FACTS
from cyclorama.data.needles import draw_set
from cyclorama.data.store import open_store
from cyclorama.data.tars import open_tars
from cyclorama.media.image import read_image
from cyclorama.media.video import probe_video, read_video, write_video
from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.models.dit import DITS, DiT
from cyclorama.models.lm import LM, LMS
from cyclorama.models.probe import PROBES, Probe
from cyclorama.weights.files import save_weights


def run(*arguments: str):
    """Run a command in this process and return what came of it."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_foreseen_error_is_one_line_and_exit_two():
    done = run("train", "nonsense")
    assert done.exit_code == 2
    recipes = "autoencoder, maker, probe, reader"
    assert done.stderr == f"error: no recipe 'nonsense': there are {recipes}\n"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_traceback_shows_where(how, monkeypatch):
    if how == "variable":
        monkeypatch.setenv("CYCLORAMA_TRACEBACK", "1")
    done = run(*(["--traceback"] if how == "option" else []), "train", "nonsense")
    assert isinstance(done.exception, ValueError)
    assert "nonsense" in str(done.exception)


def test_a_fault_of_the_program_is_never_hidden(monkeypatch):
    from cyclorama.weights import catalogue

    monkeypatch.setattr(catalogue, "BUNDLED", None)
    assert isinstance(run("weights").exception, AttributeError)


def test_the_process_exits_with_two_and_no_traceback():
    command = [sys.executable, "-m", "cyclorama.cli.app", "generate", "a ball", "--size", "big"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: --size 'big': write width x height in pixels, e.g. 96x64\n"


def test_version():
    from importlib.metadata import version

    assert run("--version").stdout.strip() == version("cyclorama")


def test_info_tells_a_film_and_what_it_was_made_with(tmp_path):
    path = tmp_path / "film.webp"
    frames = np.zeros((5, 16, 24, 3), np.uint8)
    frames[..., 0] = np.arange(5, dtype=np.uint8)[:, None, None] * 50
    write_video(path, frames, rate_fps=8, metadata={"prompt": "a red dusk", "seed": 7})
    done = run("info", path)
    assert done.exit_code == 0
    assert "24x16" in done.stdout
    assert "a red dusk" in done.stdout


def test_info_tells_a_weight_file(tmp_path):
    path = tmp_path / "tiny.safetensors"
    checksum = save_weights(
        path, Autoencoder(AUTOENCODERS["tiny"]), kind="autoencoder", facts={"recipe": "none"}
    )
    done = run("info", path)
    assert checksum in done.stdout
    assert "recipe      none" in done.stdout


def test_info_of_nothing_is_an_error():
    done = run("info", "no-such-film.mp4")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no such file" in done.stderr


def test_half_blocks_show_two_pixels_a_letter():
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[0, 0] = (255, 0, 0)
    frames[0, 1] = (0, 0, 255)
    text = show.half_blocks(frames, columns=4)
    assert text.plain == "\N{UPPER HALF BLOCK}" * 4 + "\n" + "\N{UPPER HALF BLOCK}" * 4 + "\n"
    assert text.spans[0].style == "rgb(255,0,0) on rgb(0,0,255)"


def test_render_writes_films_with_sidecars_and_a_sheet(tmp_path):
    pytest.importorskip("mujoco")
    out, look = tmp_path / "clips", tmp_path / "look.png"
    done = run("render", 2, "--to", out, "--look", look, "--frames", 5, "--workers", 0)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == [
        "000000.json",
        "000000.mp4",
        "000001.json",
        "000001.mp4",
    ]
    facts = json.loads((out / "000001.json").read_text())
    assert facts["truth"]["count"] == len(facts["truth"]["objects"])
    assert facts["captions"]["short"]
    clip = read_video(out / "000001.mp4")
    assert clip.frames.shape == (5, 64, 64, 3)
    assert read_image(look).shape[1] > 64
    again = run("render", 2, "--to", out, "--workers", 0)
    assert again.exit_code == 2
    assert "holds films already" in again.stderr


def test_render_into_a_store_and_into_tars_is_the_same(tmp_path):
    pytest.importorskip("mujoco")
    pytest.importorskip("lance")
    store, tars = tmp_path / "clips.lance", tmp_path / "tars"
    common = ["--size", "32x32", "--frames", 5, "--workers", 0, "--split", "val_id"]
    assert run("render", 2, "--to", store, *common).exit_code == 0
    assert run("render", 2, "--to", tars, "--tars", *common).exit_code == 0
    stored = {sample.id: sample for sample in open_store(store)}
    packed = {sample.id: sample for sample in open_tars(sorted(tars.glob("*.tar")))}
    assert len(stored) == 2
    assert stored.keys() == packed.keys()
    for name, sample in stored.items():
        assert sample.captions == packed[name].captions
        np.testing.assert_array_equal(sample.frames, packed[name].frames)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train both recipes for a few steps at tiny size through the command line."""
    pytest.importorskip("mujoco")
    place = tmp_path_factory.mktemp("runs")
    for recipe, more in [
        ("autoencoder", [*TINY_AUTOENCODER, "--curves"]),
        ("maker", [*TINY_MAKER, "--set", f"autoencoder={place / 'autoencoder'}"]),
    ]:
        done = run("train", recipe, "--no-compile", "--out", place / recipe, *TINY_RUN, *more)
        assert done.exit_code == 0, done.output
        assert done.stdout.strip() == str(place / recipe / f"{recipe}.safetensors")
    return place


def settings(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


TINY_RUN = settings(
    "data.num_clips=6",
    "data.num_workers=0",
    'data.sizes={"5x32x32":1.0}',
    "loop.num_steps=2",
    "loop.log_every=1",
)
TINY_AUTOENCODER = settings(
    "budget_pixels=10240",
    "model.channels=8",
    "model.encoder_width=32",
    "model.encoder_depth=1",
    "model.decoder_width=32",
    "model.decoder_depth=1",
    "model.head_size=16",
)
TINY_MAKER = settings(
    "model.width=64",
    "model.depth=1",
    "model.head_size=32",
    "model.text_width=32",
    "model.text_depth=1",
)


@pytest.mark.parametrize("recipe", ["autoencoder", "maker"])
def test_train_leaves_record_metrics_and_a_sheet(runs, recipe):
    folder = runs / recipe
    row = json.loads((folder / "record.json").read_text())
    assert (row["name"], row["data"], row["config.loop.num_steps"]) == (recipe, "worlds", 2)
    assert [row["step"] for row in record.read_jsonl(folder / "metrics.jsonl")] == [1, 2]
    assert read_image(folder / "sheet-0000002.png").size
    assert any(folder.glob("events.out.tfevents.*")) == (recipe == "autoencoder")


def test_train_goes_on_longer_but_not_otherwise(runs):
    common = ["--no-compile", "--out", runs / "autoencoder", *TINY_RUN, *TINY_AUTOENCODER]
    other = run("train", "autoencoder", *common, *settings("loop.seed=1"))
    assert other.exit_code == 2
    assert "loop.seed 0 not 1" in other.stderr
    longer = run("train", "autoencoder", *common, *settings("loop.num_steps=3"))
    assert longer.exit_code == 0
    steps = [row["step"] for row in record.read_jsonl(runs / "autoencoder" / "metrics.jsonl")]
    assert steps == [1, 2, 3]


@pytest.fixture
def tiny_weights(tmp_path):
    """Write weights of both kinds at tiny size, as training would, and return the options."""
    torch.manual_seed(0)
    seen = tmp_path / "seen.safetensors"
    checksum = save_weights(seen, Autoencoder(AUTOENCODERS["tiny"]), kind="autoencoder", facts={})
    made = tmp_path / "made.safetensors"
    facts = {"autoencoder": checksum, "words": "a red ball rolls"}
    save_weights(made, DiT(DITS["tiny"]), kind="maker", facts=facts)
    return ["--weights", made, "--autoencoder", seen]


def test_generate_writes_variants_that_can_be_made_again(tiny_weights, tmp_path):
    common = ["generate", "A red ball yodels.", *tiny_weights, "--size", "48x32", "--frames", 5]
    common += ["--steps", 2]
    both = run(*common, "--seed", 4, "--num", 2, "-o", tmp_path / "clip.webp", "--preview")
    assert both.exit_code == 0, both.output
    assert both.stdout.split() == [str(tmp_path / "clip-4.webp"), str(tmp_path / "clip-5.webp")]
    assert "words that no training caption held: yodels" in both.stderr
    assert "\N{UPPER HALF BLOCK}" in both.stderr
    alone = run(*common, "--seed", 5, "-o", tmp_path / "alone.webp")
    assert alone.exit_code == 0
    assert (tmp_path / "alone.webp").read_bytes() == (tmp_path / "clip-5.webp").read_bytes()
    about = probe_video(tmp_path / "alone.webp")
    assert (about.width, about.height) == (48, 32)
    assert (about.metadata["prompt"], about.metadata["seed"]) == ("A red ball yodels.", 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "50x32"], "the nearest is 48x32 with 17 frames"),
        (["--frames", "4"], "the nearest is 64x64 with 5 frames"),
        (["--seconds", "1", "--frames", "9"], "leave one out"),
        (["-o", "clip.avi"], "must end in .mp4"),
        (["-o", "clip.png"], "add --frames 1"),
        (["--weights", "nothing"], "no weights 'nothing'"),
    ],
)
def test_generate_refuses_what_cannot_be(tiny_weights, options, message):
    done = run("generate", "a red ball", *tiny_weights, *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")


def test_demo_makes_its_clips_and_a_sheet_and_asks_a_book(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setattr("cyclorama.cli.reading.DEMO_TOKENS", 2048)
    lm = LM(LMS["tiny"].model_copy(update={"vocabulary": 8192}))
    save_weights(tmp_path / "reads.safetensors", lm, kind="reader", facts={})
    reads = ["--reader", tmp_path / "reads.safetensors"]
    done = run("demo", "--out", tmp_path / "demo", *tiny_weights, *reads)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    paths = [Path(line) for line in lines[: len(DEMO_PROMPTS) + 1]]
    assert [path.suffix for path in paths] == [".mp4"] * len(DEMO_PROMPTS) + [".png"]
    book = Path(lines[-1]).read_text()
    questions = [line for line in lines[len(paths) : -1] if line.endswith("?")]
    assert len(questions) == NUM_FACTS and book.count(" ") > 1000
    facts = draw_set(np.random.default_rng(DEMO_SEED), num=NUM_FACTS, split="test").needles
    for fact, question in zip(facts, questions, strict=True):
        assert fact.statement in book and fact.question == question
    for path, prompt in zip(paths[:-1], DEMO_PROMPTS, strict=True):
        about = probe_video(path)
        assert (about.num_frames, about.metadata["prompt"]) == (17, prompt)


def test_ingest_tells_what_it_refused_and_resumes(tmp_path):
    pytest.importorskip("lance")
    films = tmp_path / "films"
    films.mkdir()
    texture = np.random.default_rng(0).integers(60, 200, (8, 13, 3), np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    panned = np.stack([texture[:, 2 * t : 2 * t + 64] for t in range(17)])
    write_video(films / "pan.mp4", panned, rate_fps=8)
    write_video(films / "still.mp4", np.full((17, 64, 64, 3), 90, np.uint8), rate_fps=8)
    (films / "pan.txt").write_text("a wall of dots")
    (films / "broken.mp4").write_bytes(b"no film at all")
    store = tmp_path / "films.lance"
    first = run("ingest", films, "--to", store, "--workers", 0, *settings("fit.max_frames=9"))
    assert first.exit_code == 0, first.output
    assert "refused broken.mp4: " in first.stderr
    assert "refused still.mp4: 2 clips flat" in first.stderr, first.stderr
    assert "3 films" in first.stderr
    again = run("ingest", films, "--to", store, "--workers", 0, *settings("fit.max_frames=9"))
    assert again.stderr.splitlines()[1:] == first.stderr.splitlines()[1:]
    captions = [sample.captions["short"] for sample in open_store(store)]
    assert captions
    assert captions == ["a wall of dots"] * len(captions)


def test_ingest_into_another_name_is_an_error(tmp_path):
    assert "a store's name ends in .lance" in run("ingest", tmp_path, "--to", "clips").stderr


def test_evaluate_refuses_what_has_no_effect(tmp_path):
    for option in ("--prompts", "--autoencoder", "--probe"):
        done = run("evaluate", "autoencoder", "--out", tmp_path, option, "p.txt")
        assert f"{option}: for cyclorama evaluate maker, not autoencoder" in done.stderr
    assert "give autoencoder, maker, reader" in run("evaluate", "tea", "--out", tmp_path).stderr


def test_evaluate_takes_a_judge_of_ones_own(tiny_weights, tmp_path):
    pytest.importorskip("mujoco", reason="pip install 'cyclorama[worlds]'")
    torch.manual_seed(1)
    judge = tmp_path / "judge.safetensors"
    checksum = save_weights(judge, Probe(PROBES["tiny"]), kind="probe", facts={})
    common = ["evaluate", "maker", *tiny_weights, "--num", 1, "--out", tmp_path / "out"]
    done = run(*common, "--probe", judge)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "record.json").read_text())["probe_sha256"] == checksum
    assert "holds autoencoder, needed: probe" in run(*common, "--probe", tiny_weights[-1]).stderr
    assert "no weights" in run(*common, "--probe", "lion").stderr


def test_render_to_nowhere_is_an_error():
    assert "nowhere to put the clips" in run("render", 1).stderr
