"""Ingest: the clips of good shots, a reason for all else, and the same after a kill."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.fit import ClipFit
from cyclorama.data.shots import Shot
from cyclorama.media.video import write_video
from cyclorama.shapes import VideoShape

pytest.importorskip("lance", reason="needs pip install 'cyclorama[data]'")
from cyclorama.data.cutting import CutConfig, clip_lengths, cut_file
from cyclorama.data.ingest import ingest
from cyclorama.data.store import append_samples, open_store, read_columns

CONFIG = CutConfig(
    fit=ClipFit(short_side=32, max_frames=9), shots="builtin", codec="lossless", min_frames=5
)
DATA = Path(
    os.environ.get("CYCLORAMA_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")
)


def film(seed: int, num_frames: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """Return squares that move over a picture of blobs."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    back = np.full((height, width, 3), rng.uniform(80, 160, 3))
    for _ in range(12):
        y, x, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(5, 15)
        back += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / r**2)[..., None] * (
            rng.uniform(-80, 80, 3)
        )
    frames = np.repeat(np.clip(back, 0, 255).astype(np.uint8)[None], num_frames, 0)
    for _ in range(3):
        colour, y = rng.integers(0, 256, 3), int(rng.integers(0, height - 12))
        x, speed = rng.uniform(0, width), rng.choice([-3, -2, 2, 3])
        for t in range(num_frames):
            left = int(x + speed * t) % (width - 12)
            frames[t, y : y + 12, left : left + 12] = colour
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with good films and one of each defect."""
    place = tmp_path_factory.mktemp("films")
    (place / "sub").mkdir()

    def write(name: str, frames: np.ndarray) -> None:
        write_video(place / name, frames, rate_fps=8.0)

    write("a_two_shots.mp4", np.concatenate([film(1, 20), film(2, 14)]))
    (place / "a_two_shots.txt").write_text("squares move")
    write("b_letterbox.mp4", np.pad(film(3, 18), ((0, 0), (16, 16), (0, 0), (0, 0))))
    write("c_dark.mp4", film(4, 9) // 16)
    write("d_still.mp4", film(5, 9)[:1].repeat(9, 0))
    write("e_tiny.mp4", film(6, 9, height=16, width=16))
    write("f_short.mp4", film(7, 3))
    write("g_copy_small.mp4", film(1, 20)[:, ::1, ::-1])  # shot 1 of a, in a mirror
    data = (place / "b_letterbox.mp4").read_bytes()
    (place / "h_torn.mp4").write_bytes(data[: len(data) * 2 // 3])
    (place / "i_garbage.mkv").write_bytes(b"this is no video " * 50)
    (place / "j_same.mp4").write_bytes((place / "c_dark.mp4").read_bytes())
    (place / "k_notes.pdf").write_bytes(b"%PDF")
    write("sub/z.webp", film(8, 10))
    return place


def contents(store: Path) -> dict[str, bytes]:
    source = open_store(store)
    return {s.id: s.frames.tobytes() for s in (source[n] for n in range(len(source)))}


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store made without any disturbance."""
    store = tmp_path_factory.mktemp("whole") / "x.lance"
    told: list[tuple[int, int, str]] = []
    result = ingest(folder, store, config=CONFIG, num_workers=0, progress=lambda *a: told.append(a))
    assert result.num_clips == len(open_store(store)) == 7
    assert (result.num_files, result.shots) == (11, "builtin")
    assert [t[0] for t in told] == list(range(1, 11)) and {t[1] for t in told} == {10}
    return store


def test_every_file_has_clips_or_a_reason(done: Path) -> None:
    report = [json.loads(x) for x in Path(f"{done}.report.jsonl").read_text().splitlines()]
    reasons = {(x["file"], x["reason"].split(":")[0].split(" (")[0]) for x in report}
    twin = next(x for x in report if x["file"].startswith("g_"))
    assert twin["reason"].startswith("twin of ")
    assert {r for r in reasons if not r[0].startswith("g_")} == {
        ("c_dark.mp4", "dark"),
        ("d_still.mp4", "static"),
        ("e_tiny.mp4", "small"),
        ("f_short.mp4", "short"),
        ("h_torn.mp4", "is truncated"),
        ("i_garbage.mkv", "is not a media file of a known format, or its beginning is damaged"),
        ("j_same.mp4", "same content as c_dark.mp4"),
        ("k_notes.pdf", "not a video"),
    }
    clips = read_columns(done, ["id", "captions", "origin", "num_frames"])
    assert clips["captions"].count('{"short": "squares move"}') == 4
    # 20 frames are 9 + 9 (2 are left), 14 are 9 + 5; 18 are 9 + 9; 10 are 9.
    assert sorted(clips["num_frames"]) == [5, 9, 9, 9, 9, 9, 9]
    assert len(set(clips["origin"])) == 3


def test_damaged_files_have_a_reason_and_the_run_goes_on(
    folder: Path, done: Path, tmp_path: Path
) -> None:
    good = (folder / "b_letterbox.mp4").read_bytes()
    noise = np.random.default_rng(0).bytes
    middle = len(good) // 2
    damaged = {
        "a_noise.mp4": noise(20_000),
        "b_noise.mkv": noise(20_000),
        "c_empty.mp4": b"",
        "d_begins_well.mp4": good[:64] + noise(20_000),
        "e_half.mp4": good[:middle],
        "f_torn_late.mp4": good[:-200],
        "g_hole.mp4": good[: middle - 500] + noise(1_000) + good[middle + 500 :],
    }
    films = tmp_path / "films"
    films.mkdir()
    for name, data in damaged.items():
        (films / name).write_bytes(data)
    (films / "z_good.mp4").write_bytes(good)
    store = tmp_path / "x.lance"
    result = ingest(films, store, config=CONFIG, num_workers=0)
    report = Path(f"{store}.report.jsonl").read_text().splitlines()
    reasons = {line["file"]: line["reason"] for line in map(json.loads, report)}
    assert set(reasons) == set(damaged)
    assert all(len(reason) > 10 for reason in reasons.values())
    assert "truncated" in reasons["e_half.mp4"] and "truncated" in reasons["f_torn_late.mp4"]
    assert result.num_clips == len(open_store(store)) == 2
    assert contents(store).items() <= contents(done).items()  # those of the good film


def test_clips_show_what_the_film_shows_and_no_bars(folder: Path) -> None:
    cut = cut_file(folder / "b_letterbox.mp4", CONFIG, name="b", key="k")
    assert [row["id"] for row in cut.rows] == ["k-000000000", "k-000001125"]
    assert {(row["height"], row["width"]) for row in cut.rows} == {(32, 48)}
    assert all(row["bar_share"] == 0 for row in cut.rows)
    cut = cut_file(folder / "sub" / "z.webp", CONFIG, name="z", key="k")
    assert [(r["num_frames"], r["height"], r["width"]) for r in cut.rows] == [(9, 32, 48)]


def test_shots_are_cut_into_full_clips_and_a_rest() -> None:
    fit = ClipFit(max_frames=17, rate_fps=8.0)
    table = {17: [17], 16: [13], 34: [17, 17], 39: [17, 17, 5], 38: [17, 17], 4: [], 5: [5]}
    for num_frames, lengths in table.items():
        shot = Shot(1.0, 1.0 + num_frames / 8)
        assert clip_lengths(shot, fit, min_frames=5) == lengths
    assert clip_lengths(Shot(0, 0.1), ClipFit(max_frames=1), min_frames=5) == [1]


def test_workers_and_a_second_run_change_nothing(folder: Path, done: Path, tmp_path: Path) -> None:
    ingest(folder, tmp_path / "x.lance", config=CONFIG, num_workers=2)
    assert contents(tmp_path / "x.lance") == contents(done)
    report = Path(f"{done}.report.jsonl").read_text()
    assert Path(f"{tmp_path}/x.lance.report.jsonl").read_text() == report
    version = open_store(tmp_path / "x.lance").version
    again = ingest(folder, tmp_path / "x.lance", config=CONFIG, num_workers=0)
    assert open_store(tmp_path / "x.lance").version == version and again.num_clips == 7


def test_helpers_that_die_change_nothing(folder: Path, done: Path, tmp_path: Path) -> None:
    def kill_helpers(num_done: int, total: int, name: str) -> None:
        for helper in multiprocessing.active_children() if num_done in (1, 3) else []:
            helper.kill()

    store = tmp_path / "x.lance"
    ingest(folder, store, config=CONFIG, num_workers=1, progress=kill_helpers)
    assert contents(store) == contents(done)


@pytest.mark.parametrize("num_files", [1, 4])
def test_killed_and_resumed_equals_undisturbed(
    folder: Path, done: Path, tmp_path: Path, num_files: int
) -> None:
    store = tmp_path / "x.lance"
    script = """
import os, signal, sys
from cyclorama.data.cutting import CutConfig
from cyclorama.data import ingest as module
append, count = module.append_rows, int(sys.argv[4])
def append_then_die(path, rows):
    global count
    append(path, rows)
    count -= 1
    if count == 0: os.kill(os.getpid(), signal.SIGKILL)
if count == 1: module.append_rows = append_then_die  # rows are in, the ledger's line is not
def progress(done, total, name):
    if count > 1 and done == count: os.kill(os.getpid(), signal.SIGKILL)
config = CutConfig.from_json(sys.argv[3])
module.ingest(sys.argv[1], sys.argv[2], config=config, num_workers=0, progress=progress)
"""
    arguments = [str(folder), str(store), CONFIG.to_json(), str(num_files)]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert 0 < len(open_store(store)) < 7
    result = ingest(folder, store, config=CONFIG, num_workers=0)
    assert result.num_clips == 7 and contents(store) == contents(done)
    report = Path(f"{done}.report.jsonl").read_text()
    assert Path(f"{store}.report.jsonl").read_text() == report


def test_killed_at_any_moment(folder: Path, done: Path, tmp_path: Path) -> None:
    store = tmp_path / "x.lance"
    context = multiprocessing.get_context("spawn")
    arguments = {"config": CONFIG, "num_workers": 0}
    for delay_s in (0.0, 0.05, 0.15):
        process = context.Process(target=ingest, args=(folder, store), kwargs=arguments)
        process.start()
        while process.is_alive() and not store.exists():
            time.sleep(0.005)
        time.sleep(delay_s)
        process.kill()
        process.join()
    ingest(folder, store, config=CONFIG, num_workers=0)
    assert contents(store) == contents(done)


def test_rows_of_other_making_stay(folder: Path, done: Path, tmp_path: Path) -> None:
    store = tmp_path / "x.lance"
    ingest(folder / "sub", store, config=CONFIG, num_workers=0)
    held = set(read_columns(store, ["id"])["id"])
    foreign = next(sample for sample in open_store(done) if sample.id not in held)
    append_samples(store, [foreign])  # samples are in the order of hashes
    ingest(folder / "sub", store, config=CONFIG, num_workers=0)
    assert len(open_store(store)) == 2


def test_an_empty_or_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        ingest(tmp_path / "absent", tmp_path / "x.lance")
    with pytest.raises(ValueError, match="no videos"):
        ingest(tmp_path, tmp_path / "x.lance")
    assert not (tmp_path / "x.lance").exists()


@pytest.mark.skipif(
    not (DATA / "video").is_dir(), reason="real films are absent: set CYCLORAMA_TEST_DATA"
)
def test_real_footage(tmp_path: Path) -> None:
    for name in ("bikes.mp4", "gestures/bird.mkv"):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / name).symlink_to(DATA / "video" / name)
    config = CutConfig(fit=ClipFit(short_side=48, max_frames=9), shots="builtin")
    result = ingest(tmp_path / "films", tmp_path / "x.lance", config=config, num_workers=0)
    source = open_store(tmp_path / "x.lance")
    # bikes has cuts at 1.20, 3.04, 5.48 and 7.48 s: shots of 10, 15, 20, 16 and 21 frames.
    assert len(source) == result.num_clips >= 9
    shapes = {source.shape_of(n) for n in range(len(source))}
    assert VideoShape(9, 48, 112) in shapes and VideoShape(9, 48, 64) in shapes
    for n in range(len(source)):
        frames = source[n].frames.astype(float)
        assert np.abs(np.diff(frames, axis=0)).mean((1, 2, 3)).max() < 40  # no cut inside
