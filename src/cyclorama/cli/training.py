"""From a recipe's name to a run: config, record, data, training, weights.

Engine clips are rendered once, beside the run's folder, under a name that says which clips they
are, so that the autoencoder's and the generator's runs share them. While a run goes on it leaves
sheets of what the averaged weights can do, and, when asked, curves for TensorBoard.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

SHEET_CLIPS = 4
# What a resumed run may change: how long it goes on, and how often it says so.
MAY_DIFFER = tuple(
    f"loop.{name}" for name in ("num_steps", "log_every", "checkpoint_every_s", "hook_every")
)


def run_recipe(
    recipe: str,
    *,
    data: str,
    directory: Path,
    settings: list[str],
    compiled: bool = True,
    curves: bool = False,
) -> Path:
    """Run or resume a recipe and return the path of its weights."""
    from cyclorama.cli import show
    from cyclorama.config import override
    from cyclorama.recipes import autoencoder, maker, probe, reader
    from cyclorama.recipes.data import open_data
    from cyclorama.record import start_record

    # Name -> config, run, and what makes its sheets. Only the first two compile their steps.
    recipes: dict[str, tuple[Any, Callable[..., Path], Callable[..., Any] | None]] = {
        "autoencoder": (
            autoencoder.AutoencoderRun,
            partial(autoencoder.run, compiled=compiled),
            rebuilt_sheets,
        ),
        "maker": (maker.MakerRun, partial(maker.run, compiled=compiled), made_sheets),
        "probe": (probe.ProbeRun, probe.run, None),
        "reader": (reader.ReaderRun, reader.run, None),
    }
    if recipe not in recipes:
        raise ValueError(f"no recipe {recipe!r}: there are {', '.join(recipes)}")
    make_config, run, sheets = recipes[recipe]
    config = override(make_config(), settings)
    start_record(
        directory,
        config,
        name=recipe,
        seeds={"loop": config.loop.seed},
        device="cpu",
        extra={"data": data},
        may_differ=MAY_DIFFER,
    )
    if recipe == "reader":
        source: Any = reader.open_reading(data, report=show.say)
    else:
        clips = directory.parent / f"worlds-{config.data.digest()}"
        source = open_data(data, config.data, directory=clips, report=show.say)
    report = drawing_curves(directory, show.say) if curves else show.say
    hook = sheets(config, source, directory=directory) if sheets else None
    return run(config, source, directory=directory, report=report, hook=hook)


def rebuilt_sheets(config: Any, source: Any, *, directory: Path) -> Callable[[Any, int], None]:
    """Return a hook that shows the first clips above what the autoencoder makes of them."""
    from cyclorama.evaluation.autoencoder import through_autoencoder
    from cyclorama.media.image import write_contact_sheet

    def write_sheet(model: Any, step: int) -> None:
        rebuild = through_autoencoder(model)
        clips, captions = [], []
        for index in range(min(SHEET_CLIPS, len(source))):
            frames = source[index].frames
            clips += [frames, rebuild(frames[None])[0]]
            captions += ["as it is", "through the latents"]
        write_contact_sheet(directory / f"sheet-{step:07d}.png", clips, captions=captions)

    return write_sheet


def made_sheets(config: Any, source: Any, *, directory: Path) -> Callable[[Any, int], None]:
    """Return a hook that makes clips from the captions of the first ones."""
    from cyclorama.inference.video import Maker, VideoRequest, generate
    from cyclorama.media.image import write_contact_sheet
    from cyclorama.weights.catalogue import find_weights
    from cyclorama.weights.files import load_weights

    autoencoder: Any = load_weights(find_weights(config.autoencoder), kind="autoencoder").model
    samples = [source[index] for index in range(min(SHEET_CLIPS, len(source)))]
    requests = [
        VideoRequest(
            prompt=_words_of(sample),
            width=sample.shape.width,
            height=sample.shape.height,
            num_frames=sample.shape.num_frames,
            rate_fps=sample.rate_fps,
        )
        for sample in samples
        if _words_of(sample)  # footage may come without words
    ]

    def write_sheet(model: Any, step: int) -> None:
        maker = Maker(dit=model, autoencoder=autoencoder, checksum="")
        clips = [generate(request, maker)[0] for request in requests]
        if clips:
            captions = [request.prompt for request in requests]
            write_contact_sheet(directory / f"sheet-{step:07d}.png", clips, captions=captions)

    return write_sheet


def _words_of(sample: Any) -> str:
    """Return the first caption of a sample that says something, or nothing."""
    return next((text for text in sample.captions.values() if text.strip()), "")


def drawing_curves(directory: Path, report: Callable[[str], None]) -> Callable[[str], None]:
    """Return ``report`` that also hands every new row of the metrics to TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("curves need TensorBoard: pip install 'cyclorama[logs]'") from error
    from cyclorama.record import METRICS_NAME, read_jsonl

    writer = SummaryWriter(str(directory))
    path = directory / METRICS_NAME
    num_drawn = len(read_jsonl(path)) if path.exists() else 0

    def report_and_draw(text: str) -> None:
        nonlocal num_drawn
        report(text)
        rows = read_jsonl(path)[num_drawn:] if path.exists() else []
        num_drawn += len(rows)
        for row in rows:
            for name, value in row.items():
                if name != "step":
                    writer.add_scalar(name, value, row["step"])
        writer.flush()

    return report_and_draw
