"""The loop: resumed = uninterrupted bit for bit, also after kill -9; a bad loss spoils nothing."""

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cyclorama.record import read_jsonl
from cyclorama.training.loop import (
    BrokenCheckpointError,
    DivergedError,
    LoopConfig,
    checkpoint_paths,
    step_generator,
    train,
)
from cyclorama.training.optimizer import OptimizerConfig

OPTIMIZER = OptimizerConfig(lr=0.01, warmup_steps=3)
CONFIG = LoopConfig(num_steps=12, optimizer=OPTIMIZER, checkpoint_every_s=0.0, log_every=1)


class Net(torch.nn.Module):
    """Two layers in numbered blocks, so that Muon and AdamW both have work."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))

    def forward(self, x):
        return self.blocks[1](torch.tanh(self.blocks[0](x)))


def fresh():
    torch.manual_seed(0)
    return Net()


def batches(step):
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(step))


def loss(model, batch, *, generator):
    """Predict the rolled batch from a noisy one; the noise is the step's own."""
    dtype = next(model.parameters()).dtype
    noisy = batch + 0.1 * torch.randn(batch.shape, generator=generator)
    error = model(noisy.to(dtype)).float() - batch.roll(1, dims=1)
    return error.square().mean(), {"largest": error.abs().max().item()}


def run(directory, *, config=CONFIG, model=None, **kwargs):
    model = model or fresh()
    kwargs = {"batches": batches, "report": lambda line: None, **kwargs}
    trained = train(model, kwargs.pop("loss", loss), config=config, directory=directory, **kwargs)
    return model, trained


def assert_same(one, other):
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def stop_at(number):
    def stopping(step):
        if step == number:
            raise KeyboardInterrupt
        return batches(step)

    return stopping


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_resumed_is_uninterrupted(tmp_path, dtype):
    config = CONFIG.model_copy(update={"dtype": dtype})
    model, trained = run(tmp_path / "whole", config=config)
    for number in (5, 9):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", config=config, batches=stop_at(number))
    resumed, resumed_trained = run(tmp_path / "cut", config=config)
    assert_same(model, resumed)
    assert_same(trained, resumed_trained)
    again, _ = run(tmp_path / "cut", config=config, batches=stop_at(12))  # nothing is left to do
    assert_same(model, again)


SCRIPT = '''
"""Train a tiny autoencoder; the first argument is the folder."""
import sys, time
from functools import partial
from pathlib import Path
import numpy as np, torch
from cyclorama.data.loader import ClipBatch
from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.training.autoencoding import AutoencodingConfig, autoencoding_loss
from cyclorama.training.loop import LoopConfig, train

def main(directory, pause_s=0.0):
    torch.set_num_threads(1)
    torch.manual_seed(0)

    def batches(step):
        time.sleep(pause_s)
        draw = np.random.default_rng(step)
        frames = draw.integers(0, 255, (2, 5, 16, 16, 3), dtype=np.uint8)
        return ClipBatch(frames, np.zeros(frames.shape[:4], np.uint8), np.arange(2))

    model = Autoencoder(AUTOENCODERS["tiny"])
    config = LoopConfig(num_steps=40, checkpoint_every_s=0.0, log_every=1)
    loss, said = partial(autoencoding_loss, config=AutoencodingConfig()), []
    train(model, loss, batches=batches, config=config, directory=directory, report=said.append)
    return model.state_dict()

if __name__ == "__main__":
    main(Path(sys.argv[1]), pause_s=0.02)
'''


def test_killed_at_a_random_step_it_resumes_to_the_same_bits(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    main = runpy.run_path(str(script))["main"]
    whole = main(tmp_path / "whole")

    last_step = random.SystemRandom().randint(1, 30)
    directory, log = tmp_path / "killed", tmp_path / "killed" / "metrics.jsonl"
    sources = str(Path(__file__).parents[2] / "src")
    paths = os.pathsep.join([sources, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with subprocess.Popen(
        [sys.executable, str(script), str(directory)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
    ) as child:
        while child.poll() is None and (not log.exists() or len(read_jsonl(log)) < last_step):
            time.sleep(0.003)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL, f"it was to be killed after step {last_step}"
    resumed = main(directory)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), f"{name}, killed after step {last_step}"


def spoilt(at, value):
    def sometimes(model, batch, *, generator):
        total, metrics = loss(model, batch, generator=generator)
        return (total * value if torch.equal(batch, batches(at)) else total), metrics

    return sometimes


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, value):
    model = fresh()
    with pytest.raises(DivergedError, match=f"loss is {value} at step 7.*lr"):
        run(tmp_path, model=model, loss=spoilt(7, value))
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert checkpoint_paths(tmp_path)[0].name == "checkpoint-000000007.pt"
    expected, _ = run(tmp_path / "whole")
    resumed, _ = run(tmp_path)  # with the cause gone, nothing of it is left
    assert_same(expected, resumed)


def test_a_gradient_that_is_not_finite_stops_the_run_too(tmp_path):
    def infinite_slope(model, batch, *, generator):
        total, metrics = loss(model, batch, generator=generator)
        root = (total - total).sqrt()  # zero, with a slope that is not a number
        return (total + root if torch.equal(batch, batches(4)) else total), metrics

    model = fresh()
    with pytest.raises(DivergedError, match="gradient norm is nan at step 4"):
        run(tmp_path, model=model, loss=infinite_slope)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert checkpoint_paths(tmp_path)[0].name == "checkpoint-000000004.pt"


def test_two_parts_are_one_big_batch(tmp_path):
    def linear(model, batch, *, generator):
        first = float(batch[0, 0])
        once = {"told once": first} if first == float(batches(7)[0, 0]) else {}
        return model(batch).mean(), {"first": first, **once}

    config = CONFIG.model_copy(update={"dtype": "float32", "num_steps": 4})
    whole, _ = run(
        tmp_path / "one",
        config=config,
        loss=linear,
        batches=lambda step: torch.cat([batches(2 * step), batches(2 * step + 1)]),
    )
    parts, _ = run(
        tmp_path / "two", config=config.model_copy(update={"accumulate": 2}), loss=linear
    )
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    rows = [read_jsonl(tmp_path / name / "metrics.jsonl")[-1] for name in ("one", "two")]
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], abs=1e-5)
    firsts = [float(batches(step)[0, 0]) for step in (6, 7)]
    assert rows[1]["first"] == pytest.approx(sum(firsts) / 2)
    assert rows[1]["told once"] == pytest.approx(firsts[1])  # by the one part that tells it


def test_what_a_step_does_not_use_is_not_moved_by_it(tmp_path):
    """Else momentum and weight decay would go on turning a stem on steps that do not show it."""
    seen = []

    def first_the_first(model, batch, *, generator):
        seen.append(model.blocks[0].weight.detach().clone())
        return model.blocks[min(1, len(seen) - 1)].weight.square().sum(), {}

    run(tmp_path, config=CONFIG.model_copy(update={"dtype": "float32"}), loss=first_the_first)
    assert not torch.equal(seen[0], seen[1])
    assert all(torch.equal(seen[1], later) for later in seen[2:])


def test_small_updates_are_not_lost_to_bfloat16(tmp_path):
    def pull(model, batch, *, generator):
        return model.blocks[0].bias.sum(), {}

    model = fresh()
    torch.nn.init.ones_(model.blocks[0].bias)
    optimizer = OptimizerConfig(lr=1e-4, warmup_steps=0, decay_share=0.0)
    run(
        tmp_path,
        model=model,
        loss=pull,
        config=CONFIG.model_copy(update={"optimizer": optimizer, "num_steps": 20}),
    )
    # A step of 1e-4 from one is below bfloat16's resolution of 1 / 128.
    torch.testing.assert_close(model.blocks[0].bias, torch.full((4,), 1 - 20e-4), rtol=0, atol=1e-5)


def test_what_a_run_leaves_behind(tmp_path):
    seen, said = [], []
    config = CONFIG.model_copy(update={"log_every": 5, "hook_every": 6})

    def hook(model, step):
        assert not model.training
        seen.append((step, [p.detach().clone() for p in model.parameters()]))

    model, trained = run(tmp_path, config=config, hook=hook, report=said.append)
    assert [step for step, _ in seen] == [6, 12]
    assert all(torch.equal(a, b) for a, b in zip(seen[-1][1], trained.parameters(), strict=True))
    assert not torch.equal(next(model.parameters()), next(trained.parameters()))
    assert [path.name for path in checkpoint_paths(tmp_path)] == [
        "checkpoint-000000012.pt",
        "checkpoint-000000011.pt",
    ]
    rows = read_jsonl(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [5, 10, 12]
    assert len(said) == 3
    assert set(rows[0]) == {"step", "steps_per_s", "loss", "largest", "gradient_norm", "lr"}
    assert said[0].startswith("step 5/12  loss ")
    assert rows[0]["loss"] > 0


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="another seed or optimizer"):
        run(tmp_path, config=CONFIG.model_copy(update={"seed": 1}))
    wide = torch.nn.Sequential(torch.nn.Linear(5, 5))
    with pytest.raises(ValueError, match="model of other sizes"):
        run(tmp_path, model=wide)


def test_a_broken_checkpoint_says_so_and_the_one_before_is_there(tmp_path):
    expected, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", batches=stop_at(8))
    newest, before = checkpoint_paths(tmp_path / "cut")
    newest.write_bytes(newest.read_bytes()[:500])
    left = newest.with_name("checkpoint-000000009.partial")
    left.write_bytes(b"half")
    with pytest.raises(BrokenCheckpointError, match="remove it"):
        run(tmp_path / "cut")
    newest.unlink()
    assert before.name == "checkpoint-000000007.pt"
    resumed, _ = run(tmp_path / "cut")
    assert_same(expected, resumed)
    assert not left.exists()


def test_each_step_and_part_has_its_own_randomness():
    def draw(seed, step, **part):
        return torch.randint(2**62, (), generator=step_generator(seed, step, **part)).item()

    places = [(seed, step, part) for seed in (0, 1) for step in range(20) for part in range(3)]
    drawn = {draw(seed, step, part=part) for seed, step, part in places}
    assert len(drawn) == len(places)
    assert draw(3, 4) == draw(3, 4, part=0)


def test_compiling_is_handed_the_compute_copy(tmp_path):
    handed = []
    model, _ = run(tmp_path, compile_model=handed.append)
    assert len(handed) == 1
    assert handed[0] is not model
    assert next(handed[0].parameters()).dtype == torch.bfloat16
    assert next(model.parameters()).dtype == torch.float32
