"""The one training loop.

A run is: float32 master weights, a loss function, and batches that are a pure function of the
step's number. Every random draw of a step (noise, tasks, dropout) comes from a generator seeded by
(seed, step), so a resumed run equals an uninterrupted one bit for bit, on one machine and with the
same number of threads, and no generator state has to be saved.

Forward and backward run on a copy of the model in the compute dtype (bfloat16 by default); its
gradients update the float32 masters. A checkpoint holds masters, average, optimizer state and the
step; it is written aside and renamed, and the one before it is kept. A loss or a gradient that is
not finite stops the run with a message before anything is changed; the last good checkpoint stays.
"""

import copy
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.record import append_jsonl
from cyclorama.training.allocator import keep_freed_memory
from cyclorama.training.average import start_average, update_average
from cyclorama.training.optimizer import OptimizerConfig, learning_rate_factor, make_optimizers

Metrics = dict[str, float]
Loss = Callable[..., tuple[Tensor, Metrics]]  # (model, batch, *, generator)
Batches = Callable[[int], Any]  # step -> batch, a pure function
Hook = Callable[[nn.Module, int], None]  # the averaged model, and the step


class LoopConfig(Config):
    """How long, how fast, and what is kept."""

    num_steps: int = 1000
    seed: int = 0
    accumulate: int = 1
    optimizer: OptimizerConfig = OptimizerConfig()
    average_decay: float = 0.999
    dtype: str = "bfloat16"
    log_every: int = 20
    checkpoint_every_s: float = 240.0
    hook_every: int = 1000


@dataclass
class State:
    """Everything that a resumed run needs."""

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    average: dict[str, Tensor]
    step: int = 0
    losses: list[float] = field(default_factory=list)


class DivergedError(RuntimeError):
    """The loss or its gradient is no longer finite."""


class BrokenCheckpointError(RuntimeError):
    """A checkpoint cannot be read."""


def step_generator(seed: int, step: int, *, part: int = 0) -> torch.Generator:
    """Return the generator of one step (and one accumulated part of it)."""
    mixed = (seed * 1_000_003 + step) * 1_009 + part
    return torch.Generator().manual_seed(mixed % (2**63))


def train(
    model: nn.Module,
    loss: Loss,
    *,
    batches: Batches,
    config: LoopConfig,
    directory: Path,
    hook: Hook | None = None,
    compile_model: Callable[[nn.Module], None] | None = None,
    report: Callable[[str], None] = print,
) -> nn.Module:
    """Train ``model`` (float32 masters, in place) and return it with its averaged weights.

    Resumes from ``directory`` when it holds a checkpoint. ``compile_model`` may compile parts of
    the compute copy in place. Raises DivergedError when the loss or its gradient is not finite,
    ValueError when the checkpoint belongs to other settings, and BrokenCheckpointError when it
    cannot be read.
    """
    keep_freed_memory()
    directory.mkdir(parents=True, exist_ok=True)
    state = State(model, make_optimizers(model, config.optimizer), start_average(model))
    load_checkpoint(directory, state, config=config)
    worker = copy.deepcopy(model).to(getattr(torch, config.dtype))
    if compile_model is not None:
        compile_model(worker)
    started, saved, first_step = time.monotonic(), time.monotonic(), state.step
    while state.step < config.num_steps:
        metrics = _step(state, worker, loss, batches, config)
        state.step += 1
        last = state.step == config.num_steps
        if state.step % config.log_every == 0 or last:
            rate = (state.step - first_step) / (time.monotonic() - started)
            _log(directory, state.step, metrics, rate, config, report)
        if time.monotonic() - saved > config.checkpoint_every_s or last:
            save_checkpoint(directory, state, config=config)
            saved = time.monotonic()
        if hook is not None and (state.step % config.hook_every == 0 or last):
            hook(averaged(model, state.average), state.step)
    return averaged(model, state.average)


def _step(
    state: State, worker: nn.Module, loss: Loss, batches: Batches, config: LoopConfig
) -> Metrics:
    """Make one optimizer step; nothing is changed when the loss is not finite."""
    masters = list(state.model.parameters())
    copies = list(worker.parameters())
    with torch.no_grad():
        torch._foreach_copy_([p.data for p in copies], [p.data for p in masters])
    told: dict[str, list[float]] = {}  # a metric may be told by some parts only
    for part in range(config.accumulate):
        generator = step_generator(config.seed, state.step, part=part)
        batch = batches(state.step * config.accumulate + part)
        value, metrics = loss(worker, batch, generator=generator)
        _check_finite("loss", value, step=state.step)
        value.backward()
        for name, number in {"loss": value.item(), **metrics}.items():
            told.setdefault(name, []).append(float(number))
    for master, compute in zip(masters, copies, strict=True):
        if compute.grad is not None:  # a stem that this step did not use is not moved by it
            master.grad = compute.grad.float() / config.accumulate
            compute.grad = None
    norm = torch.nn.utils.clip_grad_norm_(masters, config.optimizer.clip_norm)
    _check_finite("gradient norm", norm, step=state.step)
    factor = learning_rate_factor(state.step, config.num_steps, config=config.optimizer)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = config.optimizer.lr * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    for master, compute in zip(state.model.buffers(), worker.buffers(), strict=True):
        if not master.is_floating_point():  # what a model counts while it works: experts' votes
            master.copy_(compute)
    update_average(state.average, state.model, decay=config.average_decay, num_updates=state.step)
    means = {name: sum(numbers) / len(numbers) for name, numbers in told.items()}
    return {**means, "gradient_norm": norm.item(), "lr": config.optimizer.lr * factor}


def _check_finite(what: str, value: Tensor, *, step: int) -> None:
    if not torch.isfinite(value):
        raise DivergedError(
            f"{what} is {value.item()} at step {step}: the last good checkpoint is kept; lower "
            "the learning rate (--set loop.optimizer.lr=...) and start the command again"
        )


def _log(
    directory: Path,
    step: int,
    metrics: Metrics,
    rate: float,
    config: LoopConfig,
    report: Callable[[str], None],
) -> None:
    append_jsonl(directory / "metrics.jsonl", {"step": step, "steps_per_s": rate, **metrics})
    left_min = (config.num_steps - step) / max(rate, 1e-9) / 60
    shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    report(f"step {step}/{config.num_steps}  {shown}  {rate:.2f} steps/s  {left_min:.0f} min left")


def averaged(model: nn.Module, average: dict[str, Tensor]) -> nn.Module:
    """Return a copy of the model with the averaged weights, in evaluation mode."""
    result = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in result.named_parameters():
            p.copy_(average[name])
    return result.eval()


def checkpoint_paths(directory: Path) -> list[Path]:
    """Return the checkpoints in ``directory``, newest first."""
    return sorted(directory.glob("checkpoint-*.pt"), reverse=True)


def save_checkpoint(directory: Path, state: State, *, config: LoopConfig) -> None:
    """Write a checkpoint aside, rename it, and keep the one before."""
    payload = {
        "config": config.to_json(),
        "step": state.step,
        "model": state.model.state_dict(),
        "average": state.average,
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
    }
    path = directory / f"checkpoint-{state.step:09d}.pt"
    aside = path.with_suffix(".partial")
    torch.save(payload, aside)
    aside.replace(path)
    for old in checkpoint_paths(directory)[2:]:
        old.unlink()


def load_checkpoint(directory: Path, state: State, *, config: LoopConfig) -> None:
    """Restore the newest checkpoint, if there is one; what a kill left half written is removed."""
    for partial in directory.glob("checkpoint-*.partial"):
        partial.unlink()
    if not (paths := checkpoint_paths(directory)):
        return
    payload = _read_checkpoint(paths[0])
    before = LoopConfig.from_json(payload["config"])
    if before.seed != config.seed or before.optimizer.muon != config.optimizer.muon:
        raise ValueError(
            f"{paths[0]} was made with another seed or optimizer (seed {before.seed}, muon "
            f"{before.optimizer.muon}): use the same settings or another --out directory"
        )
    mine = {name: value.shape for name, value in state.model.state_dict().items()}
    if mine != {name: value.shape for name, value in payload["model"].items()}:
        raise ValueError(
            f"{paths[0]} holds a model of other sizes: use the same settings or another --out "
            "directory"
        )
    state.model.load_state_dict(payload["model"])
    for name, value in payload["average"].items():
        state.average[name].copy_(value)
    for optimizer, saved in zip(state.optimizers, payload["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    state.step = payload["step"]


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        raise BrokenCheckpointError(
            f"{path} cannot be read ({error}): remove it, and the run goes on from the one before"
        ) from error
