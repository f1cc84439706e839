"""Cuts are found where they were planted, by both ways, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from cyclorama.data.shots import Shot, cuts_of_changes, find_shots, resolve_method
from cyclorama.media.errors import MediaError
from cyclorama.media.video import write_video

RATE_FPS = 10.0
WAYS = [
    "builtin",
    pytest.param(
        "scenedetect",
        marks=pytest.mark.skipif(
            resolve_method("auto") != "scenedetect", reason="needs pip install 'cyclorama[curate]'"
        ),
    ),
]


def panning(seed: int, num_frames: int, *, speed_px: int = 2) -> np.ndarray:
    """Return frames of a window that slides over a picture of soft blobs."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :320]
    picture = np.zeros((48, 320, 3))
    for _ in range(40):
        y, x, r = rng.uniform(0, 48), rng.uniform(0, 320), rng.uniform(4, 20)
        picture += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / r**2)[..., None] * (
            rng.uniform(-120, 120, 3)
        )
    picture = np.clip(picture + rng.uniform(60, 200), 0, 255).astype(np.uint8)
    return np.stack([picture[:, t * speed_px : t * speed_px + 80] for t in range(num_frames)])


@pytest.mark.parametrize("way", WAYS)
def test_planted_cuts_are_found_to_the_frame(tmp_path: Path, way: str) -> None:
    lengths = [20, 13, 31, 9, 25]
    film = np.concatenate([panning(seed, n) for seed, n in enumerate(lengths)])
    write_video(tmp_path / "film.mp4", film, rate_fps=RATE_FPS)
    edges = np.cumsum([0, *lengths]) / RATE_FPS
    shots = find_shots(tmp_path / "film.mp4", method=way)
    assert [s.start_s for s in shots] == pytest.approx(edges[:-1].tolist(), abs=1e-3)
    assert [s.end_s for s in shots] == pytest.approx(edges[1:].tolist(), abs=1e-3)
    # A cut sooner than the shortest shot is no cut.
    merged = find_shots(tmp_path / "film.mp4", method=way, min_shot_s=1.0)
    assert len(merged) == 4
    assert find_shots(tmp_path / "film.mp4", method="none") == [Shot(0.0, shots[-1].end_s)]


@pytest.mark.parametrize("way", WAYS)
def test_a_fast_pan_is_no_cut(tmp_path: Path, way: str) -> None:
    write_video(tmp_path / "pan.mp4", panning(7, 30, speed_px=8), rate_fps=RATE_FPS)
    assert len(find_shots(tmp_path / "pan.mp4", method=way)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_truncated_film_is_an_error(tmp_path: Path, way: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3)).astype(np.uint8)
    write_video(tmp_path / "film.mp4", noise, rate_fps=RATE_FPS)
    data = (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "film.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="truncated"):
        find_shots(tmp_path / "film.mp4", method=way)


def test_changes_stand_out_only_against_their_neighbours() -> None:
    changes = np.full(50, 3.0)
    changes[[10, 30]] = [40.0, 9.0]  # the second is below what any cut changes
    changes[20:25] = 40.0  # a whip pan
    assert cuts_of_changes(changes).tolist() == [10]
    assert cuts_of_changes(np.array([50.0])).tolist() == []
    assert cuts_of_changes(np.array([])).tolist() == []


def test_auto_says_which_way_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_method("auto") in ("scenedetect", "builtin")
    assert [resolve_method(way) for way in ("builtin", "none")] == ["builtin", "none"]
    with pytest.raises(ValueError, match="auto, scenedetect, builtin, none"):
        resolve_method("magic")
    monkeypatch.setattr("cyclorama.data.shots.find_spec", lambda name: None)
    assert resolve_method("auto") == "builtin"
    with pytest.raises(ImportError, match=r"cyclorama\[curate\]"):
        resolve_method("scenedetect")
