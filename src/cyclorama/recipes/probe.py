"""The bundled probe: ``cyclorama train probe --data worlds --out runs/probe``.

Pass a part of the clips through the bundled (or a given) autoencoder once, with a little noise on
the latents as a generator would leave it, then train the probe on clips and passed clips alike.
Hardware, hours and result of the bundled file stand on its card, ``weights/probe.md``.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cyclorama.config import Config
from cyclorama.data.loader import ShapeBatches
from cyclorama.data.sample import Source
from cyclorama.models.autoencoder import Autoencoder
from cyclorama.models.probe import PROBES, Probe, ProbeConfig
from cyclorama.recipes.data import DataConfig
from cyclorama.shapes import VideoShape
from cyclorama.training.autoencoding import to_model_range
from cyclorama.training.judging import Corrupt, JudgingBatches, JudgingConfig, judging_loss
from cyclorama.training.loop import Hook, LoopConfig, train
from cyclorama.training.optimizer import OptimizerConfig
from cyclorama.weights.catalogue import find_weights
from cyclorama.weights.files import facts_as_text, load_weights, save_weights


class ProbeRun(Config):
    """Everything that decides the result."""

    model: ProbeConfig = PROBES["stage"]
    loss: JudgingConfig = JudgingConfig()
    data: DataConfig = DataConfig()
    autoencoder: str = "autoencoder"  # a bundled name or a path; "" to see pristine clips only
    num_rebuilt: int = 3000  # the first clips of the source, passed through the autoencoder
    latent_noise: float = 0.3  # at most, on latents of the generator's scale
    budget_pixels: int = 16 * 17 * 64 * 64
    loop: LoopConfig = LoopConfig(
        num_steps=2400, optimizer=OptimizerConfig(lr=3e-3), average_decay=0.995
    )


def run(
    config: ProbeRun,
    source: Source,
    *,
    directory: Path,
    report: Callable[[str], None] = print,
    hook: Hook | None = None,
) -> Path:
    """Train the probe on ``source`` and return the path of its weights."""
    corrupt, checksum = None, "none"
    if config.autoencoder:
        opened = load_weights(find_weights(config.autoencoder), kind="autoencoder")
        checksum = opened.checksum
        corrupt = build_rebuilt_clips(
            directory / "rebuilt",
            source,
            model=opened.model,
            num_clips=config.num_rebuilt,
            latent_noise=config.latent_noise,
            name=f"{checksum} {config.data.digest()}",
            report=report,
        )
    torch.manual_seed(config.loop.seed)
    batches = JudgingBatches(
        ShapeBatches(source, config.budget_pixels, config.loop.seed),
        config.model,
        config.loss,
        corrupt,
    )
    trained = train(
        Probe(config.model),
        partial(judging_loss, config=config.loss),
        batches=batches,
        config=config.loop,
        directory=directory,
        hook=hook,
        report=report,
    )
    path = directory / "probe.safetensors"
    save_weights(
        path,
        trained,
        kind="probe",
        facts=facts_as_text(
            {
                "recipe": "probe",
                "run": config.model_dump(mode="json"),
                "autoencoder": checksum,
            }
        ),
    )
    return path


def build_rebuilt_clips(
    directory: Path,
    source: Source,
    *,
    model: Autoencoder,
    num_clips: int,
    latent_noise: float,
    name: str,
    report: Callable[[str], None] = print,
) -> Corrupt:
    """Pass the first clips of a source through an autoencoder, keep them on disk, and look up.

    Clip ``i`` gets noise from seed ``i``, of a level up to ``latent_noise``. A folder that holds
    clips of the same ``name`` and settings is opened at once; others are a ValueError.
    """
    num_clips = min(num_clips, len(source))
    by_shape: dict[VideoShape, list[int]] = defaultdict(list)
    for index in range(num_clips):
        by_shape[source.shape_of(index)].append(index)
    card = json.dumps({"name": name, "num_clips": num_clips, "latent_noise": latent_noise})
    _check_card(directory / "card.json", card)
    worker = copy.deepcopy(model).bfloat16().eval()
    place: dict[int, tuple[np.ndarray, int]] = {}
    for shape, indices in by_shape.items():
        path = directory / f"{shape}.npy"
        if not path.exists():
            report(f"passing {len(indices)} clips of {shape} through the autoencoder")
            _write_rebuilt(path, source, indices=indices, model=worker, noise=latent_noise)
        clips = np.load(path, mmap_mode="r")
        place |= {index: (clips, row) for row, index in enumerate(indices)}

    def rebuilt(index: int) -> np.ndarray | None:
        clips, row = place.get(index, (None, 0))
        return None if clips is None else np.asarray(clips[row])

    return rebuilt


@torch.no_grad()
def _write_rebuilt(
    path: Path, source: Source, *, indices: list[int], model: Autoencoder, noise: float
) -> None:
    shape = source.shape_of(indices[0])
    size = (len(indices), shape.num_frames, shape.height, shape.width, 3)
    aside = path.with_suffix(".partial")
    clips = np.lib.format.open_memmap(aside, "w+", np.uint8, size)
    for row, index in enumerate(indices):
        generator = torch.Generator().manual_seed(index)
        frames = torch.from_numpy(np.array(source[index].frames))[None]
        latents = model.normalise(model.encode(to_model_range(frames, torch.bfloat16)))
        level = noise * torch.rand((), generator=generator)
        drawn = torch.randn(latents.shape, generator=generator) * level
        video = model.decode(model.denormalise(latents + drawn.to(latents.dtype)))
        pixels = ((video[0].float().clamp(-1, 1) + 1) * 127.5).round()
        clips[row] = pixels.to(torch.uint8).numpy()
    clips.flush()
    aside.replace(path)


def _check_card(path: Path, card: str) -> None:
    """Write the settings, or hold them against those that lie there."""
    if path.exists():
        if path.read_text() != card:
            raise ValueError(
                f"{path.parent} holds clips of other settings ({path.read_text()}, not {card}): "
                "choose another --out directory"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    aside.write_text(card)
    aside.replace(path)
