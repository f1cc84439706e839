"""The bundled autoencoder: ``cyclorama train autoencoder --data worlds --out runs/autoencoder``.

Start from principal components of the bricks of the first clips, then train the transformer on
top of them. Hardware, hours and result of the bundled file stand on its card,
``weights/autoencoder.md``.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cyclorama.config import Config
from cyclorama.data.loader import ShapeBatches
from cyclorama.data.sample import Source
from cyclorama.models.autoencoder import (
    AUTOENCODERS,
    Autoencoder,
    AutoencoderConfig,
    cut_bricks,
    principal_components,
)
from cyclorama.recipes.data import DataConfig
from cyclorama.training.autoencoding import AutoencodingConfig, autoencoding_loss, to_model_range
from cyclorama.training.loop import Hook, LoopConfig, train
from cyclorama.training.optimizer import OptimizerConfig
from cyclorama.weights.files import facts_as_text, save_weights, start_from_weights

NUM_CLIPS_FOR_COMPONENTS = 256


class AutoencoderRun(Config):
    """Everything that decides the result."""

    model: AutoencoderConfig = AUTOENCODERS["nano"]
    start: str = ""  # a bundled name or a path to go on from; empty: principal components
    loss: AutoencodingConfig = AutoencodingConfig()
    data: DataConfig = DataConfig()
    budget_pixels: int = 24 * 17 * 64 * 64
    max_frames: int = 17  # attention reaches one latent frame back: length needs no training
    loop: LoopConfig = LoopConfig(
        num_steps=1050, optimizer=OptimizerConfig(lr=3e-3, decay_share=0.19), average_decay=0.97
    )


def run(
    config: AutoencoderRun,
    source: Source,
    *,
    directory: Path,
    report: Callable[[str], None] = print,
    hook: Hook | None = None,
    compiled: bool = True,
) -> Path:
    """Train the autoencoder on ``source`` and return the path of its weights.

    Without ``compiled`` nothing waits for a compiler, and each step takes longer.
    """
    torch.manual_seed(config.loop.seed)
    model = Autoencoder(config.model)
    if config.start:
        if unlike := start_from_weights(model, config.start, kind="autoencoder"):
            report(f"goes on from {config.start}; {unlike}")
    else:
        start_from_clips(model, source)
    batches = ShapeBatches(
        source, config.budget_pixels, config.loop.seed, max_frames=config.max_frames
    )
    trained = train(
        model,
        partial(autoencoding_loss, config=config.loss),
        batches=batches,
        config=config.loop,
        directory=directory,
        hook=hook,
        compile_model=compile_blocks if compiled else None,
        report=report,
    )
    measure_latents(trained, source)
    path = directory / "autoencoder.safetensors"
    save_weights(
        path,
        trained,
        kind="autoencoder",
        facts=facts_as_text(
            {
                "recipe": "autoencoder",
                "run": config.model_dump(mode="json"),
            }
        ),
    )
    return path


def compile_blocks(model: nn.Module) -> None:
    """Compile every block for any size of clip, once.

    A graph of the whole model for each size is a little faster a step, but costs a minute or two
    of compiling for every size (docs/lab-log.md, "four graphs where one would do").
    """
    for block in [*model.encoder, *model.decoder]:
        block.compile(dynamic=True)


@torch.no_grad()
def start_from_clips(model: Autoencoder, source: Source) -> None:
    """Set the linear path to the principal components of the first clips' bricks."""
    bricks: dict[str, list[torch.Tensor]] = {"first": [], "rest": []}
    for index in range(min(NUM_CLIPS_FOR_COMPONENTS, len(source))):
        video = to_model_range(torch.from_numpy(source[index].frames.copy()), torch.float32)
        for part, flat in cut_bricks(video[None], model.compression, begins=True).items():
            bricks[part].append(flat.flatten(0, 2))
    for part, found in bricks.items():
        if found:
            mean, basis = principal_components(torch.cat(found), model.config.channels)
            model.start_from_components(part, mean=mean, basis=basis)


@torch.no_grad()
def measure_latents(model: Autoencoder, source: Source, *, num_clips: int = 256) -> None:
    """Measure the generator's scale: per channel, the square root of the spread.

    Dividing by the full spread would give channels that hold little the weight of those that hold
    the picture; not dividing at all leaves a span of a hundred. The square root keeps the
    spectrum falling; a common factor then makes the mean square one.
    """
    parts: tuple[list, list] = ([], [])
    for index in range(min(num_clips, len(source))):
        video = to_model_range(torch.from_numpy(source[index].frames.copy()), torch.float32)
        latents = model.encode(video[None])[0]
        parts[0].append(latents[:1].flatten(0, 2))
        if len(latents) > 1:
            parts[1].append(latents[1:].flatten(0, 2))
    for row, found in enumerate(parts):
        values = torch.cat(found if found else parts[0])
        spread = values.std(dim=0).clamp(min=1e-3)
        common = spread.mean().sqrt()  # so that the mean of (spread / scale)^2 is one
        model.latent_mean[row] = values.mean(dim=0)
        model.latent_scale[row] = spread.sqrt() * common


def encode_uint8(model: Autoencoder) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from uint8 clips to latents on the generator's scale.

    It runs in bfloat16, three times as fast; what that rounds off is a tenth of the noise which
    the decoder was trained to bear.
    """
    worker = copy.deepcopy(model).eval().bfloat16()

    @torch.no_grad()
    def encode(frames: np.ndarray) -> np.ndarray:
        video = to_model_range(torch.from_numpy(np.array(frames)), torch.bfloat16)
        return model.normalise(worker.encode(video).float()).numpy()

    return encode
