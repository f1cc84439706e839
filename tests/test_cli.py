"""The command line: foreseen errors are one line, help is quick, quick commands do their work."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from cyclorama.cli import show
from cyclorama.cli.app import app
from cyclorama.data.store import open_store
from cyclorama.data.tars import open_tars
from cyclorama.media.image import read_image
from cyclorama.media.video import read_video, write_video
from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.weights.files import save_weights


def run(*arguments: str):
    """Run a command in this process and return what came of it."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_foreseen_error_is_one_line_and_exit_two():
    done = run("train", "nonsense")
    assert done.exit_code == 2
    assert done.stderr == "error: no recipe 'nonsense': there are autoencoder, maker\n"


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


def test_render_to_nowhere_is_an_error():
    assert "nowhere to put the clips" in run("render", 1).stderr
