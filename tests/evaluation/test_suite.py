"""Both evaluations at tiny size, on the real engine: same seed, same record."""

import csv
import json

import pytest
import torch

pytest.importorskip("mujoco", reason="needs the extra worlds")

from cyclorama.evaluation import suite
from cyclorama.evaluation.faithfulness import ATTRIBUTES
from cyclorama.media.image import read_image
from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.models.dit import DITS, DiT
from cyclorama.models.probe import PROBES, Probe
from cyclorama.weights.files import save_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with tiny, untrained weights of each kind."""
    place = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    autoencoder = Autoencoder(AUTOENCODERS["tiny"])
    checksum = save_weights(
        place / "autoencoder.safetensors", autoencoder, kind="autoencoder", facts={}
    )
    save_weights(
        place / "maker.safetensors",
        DiT(DITS["tiny"]),
        kind="maker",
        facts={"autoencoder": checksum},
    )
    save_weights(place / "probe.safetensors", Probe(PROBES["tiny"]), kind="probe", facts={})
    return place


@pytest.fixture(autouse=True)
def few_clips_for_components(monkeypatch):
    monkeypatch.setattr(suite, "NUM_FOR_COMPONENTS", 3)


def record(path):
    """Return a record without the facts of machine and moment."""
    row = json.loads(path.read_text())
    return {key: value for key, value in row.items() if not key.startswith("environment.")}


def test_autoencoder(folder, tmp_path, capsys):
    weights = str(folder / "autoencoder.safetensors")
    paths = [
        suite.evaluate_autoencoder(tmp_path / name, num=3, seed=1, split="val_id", weights=weights)
        for name in ("one", "two")
    ]
    one, two = map(record, paths)
    assert one == two
    assert {"psnr_db", "psnr_db_over_pca", "ssim", "centroid_error_px"} <= set(one)
    assert one["psnr_db"] < one["pca_psnr_db"]  # nobody has trained it
    assert one["psnr_db_over_pca"] == pytest.approx(one["psnr_db"] - one["pca_psnr_db"])
    with (tmp_path / "one" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["psnr_db"]) for row in rows) / 3 == pytest.approx(one["psnr_db"])
    assert read_image(tmp_path / "one" / "picture.png").std() > 0
    assert "PSNR" in capsys.readouterr().out
    other = record(suite.evaluate_autoencoder(tmp_path / "three", num=3, seed=2, weights=weights))
    assert other["psnr_db"] != one["psnr_db"]


def test_maker(folder, tmp_path, capsys):
    files = {name: str(folder / f"{name}.safetensors") for name in ("autoencoder", "probe")}
    made = record(
        suite.evaluate_maker(
            tmp_path / "one", num=2, weights=str(folder / "maker.safetensors"), **files
        )
    )
    assert {"all_attributes_exact", "single_attribute", "probe_ceiling"} <= set(made)
    for name in ATTRIBUTES:
        assert {name, f"{name}_low", f"{name}_high", f"{name}_ceiling"} <= set(made)
        assert made[name] is None or 0 <= made[f"{name}_low"] <= made[name] <= 1
    assert made["probe_ceiling"] == made["all_attributes_exact_ceiling"]
    assert read_image(tmp_path / "one" / "picture.png").std() > 0
    assert "ceiling" in capsys.readouterr().out
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red ball rolls left\n\ntwo blue cubes\na green cone\n")
    asked = suite.evaluate_maker(
        tmp_path / "two",
        num=2,
        weights=str(folder / "maker.safetensors"),
        prompts=prompts,
        **files,
    )
    assert record(asked)["num"] == 2
    with (tmp_path / "two" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["asked_objects"] for row in rows] == ["red ball", "blue cube"]
    assert [row["asked_count"] for row in rows] == ["1", "2"]


def test_a_bad_prompt_is_named_by_its_number(folder, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red ball\na lion\n")
    with pytest.raises(ValueError, match=r"prompt 2: .*a lion"):
        suite.evaluate_maker(
            tmp_path / "out",
            num=2,
            prompts=prompts,
            weights=str(folder / "maker.safetensors"),
            autoencoder=str(folder / "autoencoder.safetensors"),
            probe=str(folder / "probe.safetensors"),
        )


def test_impossible_numbers_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="num >= 1"):
        suite.evaluate_autoencoder(tmp_path, num=0, weights=str(folder / "autoencoder.safetensors"))
