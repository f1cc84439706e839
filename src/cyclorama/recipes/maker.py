"""The bundled generator: ``cyclorama train maker --data worlds --out runs/maker``.

Encode every clip once with the bundled (or a given) autoencoder, then train the diffusion
transformer on packed rows of their latents. Hardware, hours and result of the bundled file stand
on its card, ``weights/maker.md``.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from cyclorama.config import Config
from cyclorama.data.latents import build_latent_cache
from cyclorama.data.mirror import MirroredSource
from cyclorama.data.prompt import prompt_ids
from cyclorama.data.sample import Source
from cyclorama.models.dit import DITS, DiT, DiTConfig
from cyclorama.recipes.autoencoder import encode_uint8
from cyclorama.recipes.data import DataConfig
from cyclorama.training.denoising import DenoisingConfig, RowBatches, denoising_loss
from cyclorama.training.loop import Hook, LoopConfig, train
from cyclorama.training.optimizer import OptimizerConfig
from cyclorama.weights.catalogue import find_weights
from cyclorama.weights.files import (
    facts_as_text,
    load_weights,
    save_weights,
    start_from_weights,
)


class MakerRun(Config):
    """Everything that decides the result."""

    model: DiTConfig = DITS["nano"]
    start: str = ""  # a bundled name or a path to go on from; empty: from nothing
    loss: DenoisingConfig = DenoisingConfig(budget_tokens=6144)
    data: DataConfig = DataConfig(domain="practice", num_clips=10_000)
    autoencoder: str = "autoencoder"  # a bundled name or a path
    mirror: bool = False  # each clip also mirrored; for engine clips, where nothing is written
    loop: LoopConfig = LoopConfig(
        num_steps=6000, optimizer=OptimizerConfig(lr=2e-3, warmup_steps=100), average_decay=0.997
    )


def run(
    config: MakerRun,
    source: Source,
    *,
    directory: Path,
    report: Callable[[str], None] = print,
    hook: Hook | None = None,
    compiled: bool = True,
) -> Path:
    """Train the generator on ``source`` and return the path of its weights.

    Without ``compiled`` nothing waits for a compiler, and each step takes longer.
    """
    autoencoder = load_weights(find_weights(config.autoencoder), kind="autoencoder")
    if config.mirror:
        source = MirroredSource(source)
    model_config = config.model.model_copy(
        update={"latent_channels": autoencoder.model.config.channels}
    )
    cache = build_latent_cache(
        directory / "latents",
        source,
        encode=encode_uint8(autoencoder.model),
        name=f"{autoencoder.checksum[:16]} {config.data.digest()} {len(source)}",
        report=report,
    )
    torch.manual_seed(config.loop.seed)
    batches = RowBatches(
        cache,
        autoencoder.model.compression,
        model_config.patch,
        model_config.text_multiple,
        prompt_ids,
        config.loss,
        config.loop.seed,
    )
    model = DiT(model_config)
    if config.start and (unlike := start_from_weights(model, config.start, kind="maker")):
        report(f"goes on from {config.start}; {unlike}")
    trained = train(
        model,
        denoising_loss,
        batches=batches,
        config=config.loop,
        directory=directory,
        hook=hook,
        compile_model=compile_blocks if compiled else None,
        report=report,
    )
    path = directory / "maker.safetensors"
    facts = {
        "recipe": "maker",
        "run": config.model_dump(mode="json"),
        "autoencoder": autoencoder.checksum,
        "words": " ".join(batches.words()),
    }
    save_weights(path, trained, kind="maker", facts=facts_as_text(facts))
    return path


def compile_blocks(model: nn.Module) -> None:
    """Compile the parts of every block that take rows of any length."""
    detail_blocks = model.detail.blocks if model.config.detail_depth else ()
    for block in (*model.blocks, *detail_blocks):
        for name in block.COMPILED:
            setattr(block, name, torch.compile(getattr(block, name), dynamic=True))
