"""The default training steps of autoencoder and generator: how near they come to the machine.

Both models train through `training.loop.train` as their recipes do: default sizes, loss, batch,
optimizer and bfloat16 copy, once eager and once compiled. The clips are noise, since a step costs
the same whatever they show. Between the runs plain matrix products tell what the machine can do,
so that each rate stands beside the peak of the same minutes. A profile of the last steps says
where the rest goes.

Run: python benchmarks/training_step.py [--tiny] [--threads 2] [--steps 12]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from machine import Watch, machine, matrix_peak_tflops
from page import commit, opening, publish
from profile_tables import profile_lines
from torch import nn
from torch.autograd.profiler import record_function
from torch.utils.flop_counter import FlopCounterMode

from cyclorama.data.latents import LatentCache, build_latent_cache
from cyclorama.data.loader import ClipBatch, ShapeBatches
from cyclorama.data.prompt import prompt_ids
from cyclorama.data.sample import Sample, checked_index
from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.models.dit import DITS, DiT
from cyclorama.recipes import autoencoder as autoencoder_recipe
from cyclorama.recipes import maker as maker_recipe
from cyclorama.recipes.data import DataConfig
from cyclorama.shapes import Compression, VideoShape, latent_shape
from cyclorama.training.autoencoding import autoencoding_loss
from cyclorama.training.denoising import DenoisingConfig, NoisyRow, RowBatches, denoising_loss
from cyclorama.training.loop import Batches, LoopConfig, Loss, train

CAPTIONS = (
    {
        "short": "an orange ball rolls to the left on a dark gray floor",
        "dense": "On a dark gray floor in bright light there is a medium orange metal ball. The "
        "orange ball rolls to the left. The camera does not move.",
    },
    {
        "short": "an orange cone falls to the floor and bounces",
        "dense": "On a beige floor in bright light there is a medium orange metal cone. The orange "
        "cone falls. After that the orange cone hits the floor. Next the orange cone "
        "bounces. The camera does not move.",
    },
    {
        "short": "a red ball rolls away from the camera while an orange cone and a yellow cylinder "
        "do not move",
        "dense": "On a beige floor in bright light there are a medium red rubber ball, a large "
        "orange metal cone and a medium yellow rubber cylinder. The red ball rolls away "
        "from the camera. The orange cone and the yellow cylinder stand still. The camera "
        "does not move.",
    },
)
CLIP = VideoShape(17, 64, 64)
WARM_STEPS = 3  # compiled graphs are made in the first, their variants in the next
PROFILED_STEPS = 3
MAKER_CLIPS = 512


@cache
def noise(shape: VideoShape) -> tuple[np.ndarray, np.ndarray]:
    """Return frames and object ids of one noise clip of a size."""
    rng, size = np.random.default_rng(0), (shape.num_frames, shape.height, shape.width)
    return (
        rng.integers(0, 256, (*size, 3), dtype=np.uint8),
        rng.integers(0, 3, size, dtype=np.uint8),
    )


@dataclass(frozen=True)
class NoiseClips:
    """A source of noise clips of given sizes, in turn, with captions of the engine's kind."""

    shapes: Sequence[VideoShape]
    length: int

    def __len__(self) -> int:
        """Return the number of clips."""
        return self.length

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of a clip."""
        return self.shapes[checked_index(index, self.length) % len(self.shapes)]

    def __getitem__(self, index: int) -> Sample:
        """Return a clip; all of one size show the same noise."""
        frames, object_ids = noise(self.shape_of(index))
        captions = CAPTIONS[index % len(CAPTIONS)]
        return Sample(str(index), frames, 8.0, captions=captions, weight_map=object_ids)


@dataclass(frozen=True)
class Job:
    """One model with its recipe's loss, batches, loop and way to compile."""

    name: str
    make: Callable[[], nn.Module]
    loss: Loss
    batches: Batches
    loop: LoopConfig
    compile_model: Callable[[nn.Module], None]
    flops: Callable[[int], float]  # of the step: 6 x parameters in blocks x tokens
    num_clips: Callable[[int], int]


@dataclass
class Measured:
    """What one run of a job showed, step by step after the warm ones."""

    profile: torch.profiler.profile
    others_share: float = 0.0
    seconds: list[float] = field(default_factory=list)
    clips_per_s: list[float] = field(default_factory=list)
    tflops: list[float] = field(default_factory=list)


def parameters_in(modules: nn.Module) -> int:
    return sum(p.numel() for p in modules.parameters())


def autoencoder_job(*, tiny: bool) -> Job:
    run = autoencoder_recipe.AutoencoderRun(model=AUTOENCODERS["tiny" if tiny else "nano"])
    source = NoiseClips([VideoShape(5, 32, 32)] if tiny else default_shapes(), 480)
    budget_pixels = 24 * 5 * 32 * 32 if tiny else run.budget_pixels
    batches = ShapeBatches(source, budget_pixels, run.loop.seed, max_frames=run.max_frames)
    model = Autoencoder(run.model)
    in_blocks = parameters_in(model.encoder) + parameters_in(model.decoder)

    def flops(step: int) -> float:
        items = batches.items_of(step)
        shape = source.shape_of(int(items[0]))
        shape = VideoShape(min(shape.num_frames, run.max_frames), shape.height, shape.width)
        latent = latent_shape(shape, run.model.compression)
        return 6.0 * in_blocks * len(items) * latent.num_frames * latent.height * latent.width

    return Job(
        name="autoencoder",
        make=partial(Autoencoder, run.model),
        loss=partial(autoencoding_loss, config=run.loss),
        batches=batches,
        loop=run.loop,
        compile_model=autoencoder_recipe.compile_blocks,
        flops=flops,
        num_clips=lambda step: len(batches.items_of(step)),
    )


def noise_cache(
    directory: Path, shapes: Sequence[VideoShape], *, compression: Compression, length: int
) -> LatentCache:
    """Write a cache of random latents, float16, with captions."""

    def encode(frames: np.ndarray) -> np.ndarray:
        latent = latent_shape(VideoShape(*frames.shape[1:4]), compression)
        size = (len(frames), latent.num_frames, latent.height, latent.width, compression.channels)
        return np.random.default_rng(0).standard_normal(size)

    return build_latent_cache(
        directory, NoiseClips(shapes, length), encode=encode, name="noise", report=lambda line: None
    )


def default_shapes(length: int = 20) -> list[VideoShape]:
    """Return a list of sizes in the shares of the recipes' default data."""
    return [shape for shape, share in DataConfig().shapes() for _ in range(round(share * length))]


def row_flops(model: DiT, batch: NoisyRow) -> float:
    """Return 6 x parameters in blocks x tokens; the text encoder's blocks see text alone."""
    row = batch.row
    return 6.0 * (
        parameters_in(model.blocks) * len(row.place)
        + parameters_in(model.text_blocks) * len(row.text_ids)
    )


def maker_job(directory: Path, *, tiny: bool) -> Job:
    run = maker_recipe.MakerRun()
    size = DITS["tiny"] if tiny else run.model
    compression = Compression(8, 4, size.latent_channels)
    cache = noise_cache(
        directory,
        [CLIP] if tiny else default_shapes(),
        compression=compression,
        length=24 if tiny else MAKER_CLIPS,
    )
    loss = DenoisingConfig(budget_tokens=512) if tiny else run.loss
    batches = RowBatches(
        cache, compression, size.patch, size.text_multiple, prompt_ids, loss, run.loop.seed
    )
    model = DiT(size)
    return Job(
        name="generator",
        make=partial(DiT, size),
        loss=denoising_loss,
        batches=batches,
        loop=run.loop,
        compile_model=maker_recipe.compile_blocks,
        flops=lambda step: row_flops(model, batches(step)),
        num_clips=lambda step: batches(step).row.num_segments,
    )


def count_flops(job: Job) -> float:
    """Return the operations of every matrix product of the first step, the optimizer's too."""
    with tempfile.TemporaryDirectory() as folder, FlopCounterMode(display=False) as counter:
        run_job(job, Path(folder), num_steps=1, compiled=False)
    return float(counter.get_total_flops())


def run_job(
    job: Job,
    directory: Path,
    *,
    num_steps: int,
    compiled: bool,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Train as the recipe does; batch and forward pass are marked for the profiler."""

    def batches(step: int) -> ClipBatch | NoisyRow:
        with record_function("bench: batch"):
            return job.batches(step)

    def loss(model: nn.Module, batch: ClipBatch | NoisyRow, *, generator: torch.Generator):
        with record_function("bench: forward"):
            return job.loss(model, batch, generator=generator)

    torch.manual_seed(0)
    train(
        job.make(),
        loss,
        batches=batches,
        directory=directory,
        report=report,
        config=job.loop.model_copy(
            update={"num_steps": num_steps, "log_every": 1, "checkpoint_every_s": 1e9}
        ),
        compile_model=job.compile_model if compiled else None,
    )


def measure(job: Job, *, num_steps: int, compiled: bool) -> Measured:
    """Time ``num_steps`` whole steps after the warm ones, then profile a few more."""
    found = Measured(torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]))
    seen: list[float] = []
    watch = Watch()

    def report(line: str) -> None:
        del line
        seen.append(time.perf_counter())
        if len(seen) == WARM_STEPS:
            watch.start()
        if len(seen) == WARM_STEPS + num_steps:
            found.others_share = watch.others_share()
            found.profile.start()
        if len(seen) == WARM_STEPS + num_steps + PROFILED_STEPS:
            found.profile.stop()

    with tempfile.TemporaryDirectory() as folder:
        run_job(
            job,
            Path(folder),
            num_steps=WARM_STEPS + num_steps + PROFILED_STEPS,
            compiled=compiled,
            report=report,
        )
    for step in range(WARM_STEPS, WARM_STEPS + num_steps):
        taken = seen[step] - seen[step - 1]
        found.seconds.append(taken)
        found.clips_per_s.append(job.num_clips(step) / taken)
        found.tflops.append(job.flops(step) / taken / 1e12)
    return found


def measured_table(
    jobs: Sequence[Job], *, num_steps: int
) -> tuple[list[str], list[str], list[float]]:
    """Return the table of rates, the profiles, and the peaks measured between the runs."""
    peaks, rows, profiles = [matrix_peak_tflops()], [], []
    for job in jobs:
        counted = count_flops(job) / job.flops(0)  # all matrix products by those of the formula
        for compiled in (False, True):
            found = measure(job, num_steps=num_steps, compiled=compiled)
            peaks.append(matrix_peak_tflops())
            way = "compiled" if compiled else "eager"
            profiles += profile_lines(f"{job.name}, {way}", found.profile, num_steps=PROFILED_STEPS)
            rate = statistics.median(found.tflops)
            rows.append(
                f"| {job.name} | {way} | {statistics.median(found.clips_per_s):.1f} | "
                f"{1e3 * statistics.median(found.seconds):.0f} | {rate:.3f} | "
                f"{max(found.tflops):.3f} | {100 * rate / max(peaks[-2:]):.0f} % | "
                f"{rate * counted:.3f} | {100 * found.others_share:.0f} % |"
            )
            print(rows[-1], f"peak {peaks[-1]:.3f}", flush=True)
    return (
        [
            "| step | | clips/s | ms a step | model TFLOP/s | best step | share of peak | "
            "all products, TFLOP/s | other work |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|",
            *rows,
        ],
        profiles,
        peaks,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each run")
    parser.add_argument("--tiny", action="store_true", help="a quick try; writes no file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # Compiled loops then show in the profile by name; without a profiler it costs nothing.
    torch._inductor.config.cpp.enable_kernel_profile = True
    peak_fp32 = matrix_peak_tflops(torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            autoencoder_job(tiny=arguments.tiny),
            maker_job(Path(folder) / "latents", tiny=arguments.tiny),
        ]
        table, profiles, peaks = measured_table(jobs, num_steps=arguments.steps)
    publish(
        [
            *opening("The training step", __doc__),
            "Model TFLOP/s is 6 x parameters in blocks x tokens that pass them, divided by the time of",
            "a whole step (batch, forward, backward, clipping, optimizer, average): the median of",
            f"{arguments.steps} steps. Attention's own products, the maps into and out of the blocks",
            "and Muon's are not in the formula; the column of all products counts them too. Other work",
            "is the share of the machine's processor time that other processes took meanwhile. The",
            "time of `torch.compile` is not included.",
            "",
            f"* command: `python benchmarks/training_step.py --threads {arguments.threads} "
            f"--steps {arguments.steps}`",
            f"* commit: {commit()}; {machine(arguments.threads)}",
            f"* peak of square matrix products in this run: bfloat16 {max(peaks):.2f} TFLOP/s "
            f"(lowest of {len(peaks)} looks {min(peaks):.2f}), float32 {peak_fp32:.2f}",
            "",
            *table,
            "",
            "## What stands in the way",
            "",
            "Shares of processor time of the main thread in the profiled steps.",
            "",
            *profiles,
        ],
        None if arguments.tiny else Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
