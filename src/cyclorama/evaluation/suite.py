"""The evaluations, each from weights to a table, a picture, a CSV and a record.

``evaluate_autoencoder`` and ``evaluate_maker`` write into a folder: ``record.json`` (flat keys,
listed in docs/evaluation.md), ``clips.csv`` (one line a clip, so that every figure can be
recomputed), and ``picture.png``. The same seed gives the same clips. Both take their scenes from
the physics engine (extra ``worlds``).
"""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cyclorama.data.sample import Sample
from cyclorama.data.worlds_live import WorldsClips, worlds_clips
from cyclorama.evaluation.autoencoder import (
    ClipLoss,
    lose,
    summarise,
    through_autoencoder,
    through_components,
)
from cyclorama.evaluation.faithfulness import (
    ATTRIBUTES,
    Case,
    Judged,
    judge,
    make_clips,
    shares,
)
from cyclorama.evaluation.picture import Panel, draw_panels
from cyclorama.evaluation.prompts import parse_prompt
from cyclorama.inference.video import VideoRequest, load_maker
from cyclorama.models.probe import ProbeConfig, judge_clips
from cyclorama.record import environment, write_json
from cyclorama.shapes import VideoShape
from cyclorama.weights.catalogue import find_weights
from cyclorama.weights.files import load_weights
from cyclorama.worlds.engine import load_mujoco

DOMAIN = "stage"
SHAPE = VideoShape(17, 64, 64)  # what all published figures are measured on
NUM_FOR_COMPONENTS = 256
NUM_PANELS = 12
Row = Mapping[str, Any]


def evaluate_autoencoder(
    out: Path,
    *,
    num: int = 200,
    seed: int = 0,
    split: str = "val_id",
    weights: str = "autoencoder",
) -> Path:
    """Measure an autoencoder on ``num`` engine clips of a split; return the record's path.

    ValueError for weights or splits that do not exist, ModuleNotFoundError naming the extra
    ``worlds`` where it is absent.
    """
    load_mujoco()
    opened = load_weights(find_weights(weights), kind="autoencoder")
    samples = _samples(split, num, seed=seed)
    train = _samples("train", NUM_FOR_COMPONENTS, seed=0)
    rebuild = through_autoencoder(opened.model)
    by_components = through_components(train, opened.model.compression)
    losses: list[ClipLoss] = []
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for sample in samples:
        clip = sample.frames[None]
        rebuilt = rebuild(clip)[0]
        losses.append(lose(sample, rebuilt, by_components=by_components(clip)[0]))
        pairs.append((sample.frames, rebuilt))
    summary = summarise(losses)
    _print_figures(
        f"autoencoder, {num} clips of {split}",
        {
            f"PSNR, dB (principal components: {summary['pca_psnr_db']:.2f})": summary["psnr_db"],
            "above principal components, dB": summary["psnr_db_over_pca"],
            "SSIM": summary["ssim"],
            f"movers' centroid error, px ({summary['num_movers']} movers)": summary[
                "centroid_error_px"
            ],
            "lost sight of, share of movers' frames": summary["lost_share"],
        },
    )
    order = np.argsort([loss.psnr_db for loss in losses], kind="stable")
    half = NUM_PANELS // 2
    shown = list(dict.fromkeys([*range(min(half, num)), *(int(n) for n in order[:half])]))
    panels = [Panel(pairs[n], _loss_text(losses[n])) for n in shown]
    title = f"original above, rebuilt below: the first {min(half, num)} clips, then the worst"
    draw_panels(panels, out / "picture.png", title=title)
    _write_csv(out / "clips.csv", [_loss_row(loss) for loss in losses])
    return _write_record(
        out,
        summary,
        name="autoencoder",
        num=num,
        seed=seed,
        split=split,
        checksums={"weights_sha256": opened.checksum},
    )


def evaluate_maker(
    out: Path,
    *,
    num: int = 200,
    seed: int = 0,
    split: str = "val_id",
    weights: str = "maker",
    prompts: Path | None = None,
    autoencoder: str = "autoencoder",
    probe: str = "probe",
) -> Path:
    """Measure how faithful a generator is to prompts; return the record's path.

    Prompts are the short captions of ``num`` recipes of a split, or the lines of a file (then
    its first ``num``). Errors as in `evaluate_autoencoder`; a line that names no object is a
    ValueError with its number.
    """
    load_mujoco()
    maker = load_maker(weights, autoencoder)
    judging = load_weights(find_weights(probe), kind="probe")
    model = judging.model

    def verdicts_of(clips: np.ndarray) -> list:
        return judge_clips(model, clips)

    samples = _samples(split, num, seed=seed)
    config: ProbeConfig = model.config
    engine = _cases([s.captions["short"] for s in samples], config, seed=seed)
    cases = engine
    if prompts is not None:
        cases = _cases(_lines(prompts)[:num], config, seed=seed)
    request = VideoRequest(
        prompt="", width=SHAPE.width, height=SHAPE.height, num_frames=SHAPE.num_frames
    )
    clips = list(make_clips(cases, maker, request=request))
    judged = judge(cases, clips, probe=verdicts_of)
    ceiling = judge(engine, [s.frames for s in samples], probe=verdicts_of)
    found, best = shares(judged), shares(ceiling)
    _print_shares(
        f"maker, {len(cases)} prompts of {prompts.name if prompts else split}", found, ceiling=best
    )
    draw_panels(
        [_panel(one, clip) for one, clip in list(zip(judged, clips, strict=True))[:NUM_PANELS]],
        out / "picture.png",
        title="prompt, and what the probe sees (green: all objects right)",
    )
    _write_csv(out / "clips.csv", [_judged_row(one) for one in judged])
    summary: dict[str, Any] = {"probe_ceiling": best["all_attributes_exact"][0]}
    for name in ATTRIBUTES:
        summary[name], summary[f"{name}_low"], summary[f"{name}_high"] = found[name]
        summary[f"{name}_ceiling"] = best[name][0]
    checksums = {
        "weights_sha256": maker.checksum,
        "probe_sha256": judging.checksum,
        "prompts": prompts.name if prompts else None,
    }
    drawn = {"num": len(cases), "seed": seed, "split": split}
    return _write_record(out, summary, name="maker", checksums=checksums, **drawn)


def _samples(split: str, num: int, *, seed: int) -> list[Sample]:
    """Return clips of a split, rendered now; another seed gives clips further along."""
    if num < 1 or seed < 0:
        raise ValueError(f"need num >= 1 and seed >= 0, got num {num}, seed {seed}")
    clips: WorldsClips = worlds_clips(
        DOMAIN, split, num_clips=(seed + 1) * num, shapes=[(SHAPE, 1.0)]
    )
    return [clips[seed * num + number] for number in range(num)]


def _cases(prompts: Sequence[str], config: ProbeConfig, *, seed: int) -> list[Case]:
    """Read prompts into cases; each clip has a noise seed of its own."""
    cases = []
    for number, prompt in enumerate(prompts):
        try:
            asked = parse_prompt(prompt, config)
        except ValueError as error:
            raise ValueError(f"prompt {number + 1}: {error}") from None
        cases.append(Case(prompt, asked, seed * 1_000_003 + number))
    return cases


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise ValueError(f"there is no file of prompts {path}: write one prompt a line")
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{path} holds no prompt: write one prompt a line")
    return lines


def _print_figures(title: str, figures: Mapping[str, float | int]) -> None:
    table = Table(title=title)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3f}")
    Console().print(table)


def _print_shares(
    title: str,
    found: Mapping[str, tuple[float, float, float]],
    *,
    ceiling: Mapping[str, tuple[float, float, float]],
) -> None:
    table = Table(title=title)
    for heading in ("attribute", "generated", "95 % interval", "engine clips (ceiling)"):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for name in ATTRIBUTES:
        share, low, high = found[name]
        table.add_row(
            name,
            _percent(share),
            f"{_percent(low)} to {_percent(high)}",
            _percent(ceiling[name][0]),
        )
    Console().print(table)


def _percent(share: float) -> str:
    return "not asked" if math.isnan(share) else f"{100 * share:.1f} %"


def _loss_text(loss: ClipLoss) -> str:
    errors = ", ".join(f"{mover.error_px:.2f}" for mover in loss.movers) or "no movers"
    return f"{loss.psnr_db:.1f} dB, centroid errors in px: {errors}\n{loss.caption}"


def _loss_row(loss: ClipLoss) -> Row:
    return {
        "id": loss.id,
        "caption": loss.caption,
        "psnr_db": loss.psnr_db,
        "pca_psnr_db": loss.pca_psnr_db,
        "ssim": loss.ssim,
        "num_movers": len(loss.movers),
        "centroid_errors_px": " ".join(f"{mover.error_px:.4f}" for mover in loss.movers),
        "num_lost": sum(mover.num_lost for mover in loss.movers),
    }


def _panel(one: Judged, clip: np.ndarray) -> Panel:
    is_exact = one.marks["all_attributes_exact"][0] == 1
    return Panel((clip,), f"{one.case.prompt}\nseen: {one.verdict.text}", is_exact)


def _judged_row(one: Judged) -> Row:
    asked, verdict = one.case.asked, one.verdict
    return {
        "prompt": one.case.prompt,
        "seed": one.case.seed,
        "asked_objects": _named(asked.objects),
        "seen_objects": _named(verdict.objects),
        "asked_count": asked.count,
        "seen_count": verdict.count,
        "asked_family": asked.family,
        "seen_family": verdict.family,
        "asked_camera": asked.camera,
        "seen_camera": verdict.camera,
        "doubt": f"{verdict.doubt:.4f}",
        **{f"{name}_right": one.marks[name][0] for name in ATTRIBUTES},
        **{f"{name}_asked": one.marks[name][1] for name in ATTRIBUTES},
    }


def _named(objects: frozenset[tuple[str, str]]) -> str:
    return "; ".join(sorted(" ".join(pair) for pair in objects))


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    aside.replace(path)


def _write_record(
    out: Path, summary: Row, *, name: str, num: int, seed: int, split: str, checksums: Row
) -> Path:
    """Write the record; figures that could not be measured (NaN) become null."""
    figures = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in summary.items()
    }
    path = out / "record.json"
    write_json(
        path,
        {
            **figures,
            "name": f"evaluate {name}",
            "num": num,
            "seed": seed,
            "split": split,
            "domain": DOMAIN,
            "size": str(SHAPE),
            **checksums,
            "environment": environment(),
        },
    )
    return path
