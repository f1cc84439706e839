"""One training step of the generator beside diffusers' Wan transformer, in turns, in one run.

Both sides have the same width, depth and heads, the same parameters in their blocks, the same
clips with the same noise, bfloat16 weights with float32 masters, and AdamW. Ours gets the clips as
a packed row; the peer gets them as a batch padded to the longest clip, since its attention takes
no mask. Ours runs its text encoder and attends to text and video jointly; the peer is handed
finished text states and looks at them by cross-attention. One time a clip is what Wan is usually
trained with; one time a token is what Wan 2.2 added and what ours always does.

Run: python benchmarks/dit_peer.py [--tiny] [--threads 2] [--rounds 6]
"""

import argparse
import copy
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import Watch, machine, matrix_peak_tflops
from page import command, commit, needed, opening, publish
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from training_step import CLIP, noise_cache, parameters_in

from cyclorama.data.prompt import prompt_ids
from cyclorama.diffusion.flow import TIME_FLOOR
from cyclorama.models.dit import DITS, DiT, DiTConfig
from cyclorama.nn.patch import unpatchify
from cyclorama.recipes.maker import compile_blocks
from cyclorama.shapes import Compression, TokenGrid, latent_shape, token_grid
from cyclorama.training.denoising import DenoisingConfig, NoisyRow, RowBatches, denoising_loss
from cyclorama.training.loop import step_generator
from cyclorama.training.optimizer import OptimizerConfig, make_optimizers

NUM_ROWS = 4  # distinct rows, taken in turn
NUM_CLIPS = 256
MIXES = {
    "whole clips": DenoisingConfig(caption_shares={"short": 1.0}, image_share=0, cut_share=0),
    "default mix of lengths": DenoisingConfig(),
}


@dataclass(frozen=True)
class PaddedBatch:
    """The clips of a row as a batch padded to the longest: latents (B, C, T, H, W)."""

    noisy: Tensor
    target: Tensor  # velocity
    weight: Tensor  # (B, 1, T, 1, 1): zero on padding
    times_BL: Tensor  # per token, zero on padding
    text: Tensor  # (B, longest text, width of our text encoder), random


@dataclass(frozen=True)
class Side:
    """One way of making a step, and what a row costs it."""

    name: str
    step: Callable[[int], None]
    flops: Callable[[int], float]
    clips: Callable[[int], int]


def padded_batch(batch: NoisyRow, config: DiTConfig) -> PaddedBatch:
    """Return a row's clips, noise and times in the peer's form."""
    patch = config.patch
    runs = [length for count, length in batch.row.runs for _ in range(count)]
    texts = [length for count, length in batch.row.text_runs for _ in range(count)]
    lengths = [whole - text for whole, text in zip(runs, texts, strict=True)]
    frame = token_grid(latent_shape(CLIP, Compression(8, 4, 1)), patch)
    per_frame = frame.height * frame.width
    longest = max(lengths) // per_frame

    def pad(tokens: Tensor) -> Tensor:
        grid = TokenGrid(len(tokens) // per_frame, frame.height, frame.width)
        clip = unpatchify(tokens, grid, patch=patch).permute(3, 0, 1, 2)
        return nn.functional.pad(clip, (0, 0, 0, 0, 0, longest - clip.shape[1]))

    noisy = torch.stack([pad(x) for x in batch.noisy_LvP.split(lengths)])
    clean = torch.stack([pad(x) for x in batch.clean_LvP.split(lengths)])
    times_BL = torch.stack(
        [
            nn.functional.pad(t, (0, longest * per_frame - len(t)))
            for t in batch.times_Lv.split(lengths)
        ]
    )
    time = times_BL.reshape(len(lengths), 1, longest, frame.height, frame.width)
    time = time.repeat_interleave(patch, dim=3).repeat_interleave(patch, dim=4)
    weight = (time > 0).float()
    target = (noisy - clean) / time.clamp(min=TIME_FLOOR)
    text = torch.randn(len(lengths), max(texts), config.text_width)
    return PaddedBatch(noisy, target, weight, times_BL, text)


def wan_like(config: DiTConfig) -> nn.Module:
    """Return Wan's transformer of our width, depth, heads and parameters in the blocks."""
    from diffusers import WanTransformer3DModel

    width, depth = config.width, config.depth
    ours = parameters_in(DiT(config).blocks) // depth
    # Its two attentions have eight square matrices; the feed-forward layer takes what is left.
    hidden = max(32, round((ours - 8 * width**2) / (2 * width) / 32) * 32)
    return WanTransformer3DModel(
        patch_size=(1, config.patch, config.patch),
        num_attention_heads=width // config.head_size,
        attention_head_dim=config.head_size,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        text_dim=config.text_width,
        ffn_dim=hidden,
        num_layers=depth,
    )


def wan_loss(model: nn.Module, batch: PaddedBatch, *, per_token: bool) -> Tensor:
    """Return the mean velocity error over what is no padding."""
    dtype = next(model.parameters()).dtype
    times = batch.times_BL if per_token else batch.times_BL.amax(dim=1)
    (foreseen,) = model(
        batch.noisy.to(dtype), 1000 * times, batch.text.to(dtype), return_dict=False
    )
    error = (foreseen.float() - batch.target).square() * batch.weight
    return error.sum() / batch.weight.sum().clamp(min=1) / batch.noisy.shape[1]


def stepper(
    model: nn.Module,
    loss: Callable[[nn.Module, int], Tensor],
    *,
    compile_model: Callable[[nn.Module], Any] | None,
) -> Callable[[int], None]:
    """Return a function that makes one step: bfloat16 copy, float32 masters, clipping, AdamW."""
    optimizers = make_optimizers(model, OptimizerConfig(muon=False, lr=1e-4))
    worker = copy.deepcopy(model).to(torch.bfloat16)
    if compile_model is not None:
        compile_model(worker)
    masters, copies = list(model.parameters()), list(worker.parameters())

    def step(number: int) -> None:
        with torch.no_grad():
            torch._foreach_copy_([p.data for p in copies], [p.data for p in masters])
        loss(worker, number).backward()
        for master, compute in zip(masters, copies, strict=True):
            master.grad = None if compute.grad is None else compute.grad.float()
            compute.grad = None
        torch.nn.utils.clip_grad_norm_(masters, 1.0)
        for optimizer in optimizers:
            optimizer.step()

    return step


def compile_wan(model: nn.Module) -> None:
    """Compile the repeated block once for any batch, as diffusers advises."""
    model.compile_repeated_blocks(dynamic=True)


def our_flops(model: DiT, row: NoisyRow) -> float:
    """Return 6 x parameters x tokens; the text encoder's blocks see text alone."""
    return 6.0 * (
        parameters_in(model.blocks) * len(row.row.place)
        + parameters_in(model.text_blocks) * len(row.row.text_ids)
    )


def wan_flops(model: nn.Module, row: NoisyRow) -> float:
    """Return 6 x parameters x tokens without padding; text meets two matrices a block alone."""
    of_text = sum(
        parameters_in(block.attn2.to_k) + parameters_in(block.attn2.to_v) for block in model.blocks
    )
    of_video = parameters_in(model.blocks) - of_text
    return 6.0 * (of_video * len(row.times_Lv) + of_text * len(row.row.text_ids))


def make_sides(config: DiTConfig, rows: Sequence[NoisyRow]) -> list[Side]:
    """Return ours and the peer, with a time a clip and a time a token, eager and compiled."""
    padded = [padded_batch(row, config) for row in rows]
    ours, wan = DiT(config), wan_like(config)

    def our_loss(model: nn.Module, number: int) -> Tensor:
        row = rows[number % len(rows)]
        return denoising_loss(model, row, generator=step_generator(0, number))[0]

    def peer_loss(per_token: bool) -> Callable[[nn.Module, int], Tensor]:
        return lambda model, number: wan_loss(
            model, padded[number % len(rows)], per_token=per_token
        )

    ways = [
        ("ours", ours, our_loss, compile_blocks, our_flops),
        ("Wan, a time a clip", wan, peer_loss(False), compile_wan, wan_flops),
        ("Wan, a time a token", wan, peer_loss(True), compile_wan, wan_flops),
    ]
    return [
        Side(
            f"{name}, {'compiled' if compiled else 'eager'}",
            stepper(copy.deepcopy(model), loss, compile_model=compiler if compiled else None),
            lambda number, model=model, flops=flops: flops(model, rows[number % len(rows)]),
            lambda number: rows[number % len(rows)].row.num_segments,
        )
        for compiled in (False, True)
        for name, model, loss, compiler, flops in ways
    ]


def measure(sides: Sequence[Side], *, num_rounds: int) -> list[str]:
    """Return a table: every side makes one step a round, so that all see the same machine."""
    for side in sides:
        for number in range(NUM_ROWS):
            side.step(number)
        print("warm:", side.name, flush=True)
    seconds: list[list[float]] = [[] for _ in sides]
    peaks, watch = [], Watch()
    for number in range(num_rounds):
        peaks.append(matrix_peak_tflops(seconds=0.5))
        for side, taken in zip(sides, seconds, strict=True):
            begun = time.perf_counter()
            side.step(number)
            taken.append(time.perf_counter() - begun)
    others = watch.others_share()
    rates = [
        [side.clips(n) / t for n, t in enumerate(taken)]
        for side, taken in zip(sides, seconds, strict=True)
    ]
    half = len(sides) // 2
    table = [
        "| step | clips/s | best | model TFLOP/s | share of peak | GFLOP a clip | "
        "ours is faster by |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for index, (side, rate, taken) in enumerate(zip(sides, rates, seconds, strict=True)):
        tflops = statistics.median(side.flops(n) / t / 1e12 for n, t in enumerate(taken))
        # Compared step by step: the same row in the same round.
        ours = rates[0 if index < half else half]
        ratio = statistics.median(a / b for a, b in zip(ours, rate, strict=True))
        table.append(
            f"| {side.name} | {statistics.median(rate):.1f} | {max(rate):.1f} | {tflops:.3f} | "
            f"{100 * tflops / max(peaks):.0f} % | {counted_gflops(sides[index % half]):.2f} | "
            f"{ratio:.2f} |"
        )
    return [
        *table,
        "",
        f"Peak of bfloat16 matrix products between the rounds: "
        f"{max(peaks):.2f} TFLOP/s (lowest {min(peaks):.2f}). Other processes took "
        f"{100 * others:.0f} % of the machine's processor time meanwhile.",
        "",
    ]


def fused_forward_flops(q: torch.Size, k: torch.Size, *rest: Any, **named: Any) -> int:
    """Return the operations of fused attention's two products; torch counts them on GPUs alone."""
    del rest, named
    return 4 * math.prod(q) * k[-2]


def fused_backward_flops(
    out: torch.Size, q: torch.Size, k: torch.Size, *rest: Any, **named: Any
) -> int:
    """Return those of its backward pass: four products (a fifth, done again, is not counted)."""
    del out
    return 2 * fused_forward_flops(q, k, *rest, **named)


FUSED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: fused_forward_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: fused_backward_flops,
}


def counted_gflops(eager: Side) -> float:
    """Return the operations of all matrix products a clip, padding and attention included."""
    with FlopCounterMode(display=False, custom_mapping=FUSED) as counter:
        eager.step(0)
    return counter.get_total_flops() / eager.clips(0) / 1e9


def parameter_line(config: DiTConfig) -> str:
    ours, wan = DiT(config), wan_like(config)
    return (
        f"* ours: {parameters_in(ours.blocks) / 1e6:.2f} M parameters in {config.depth} blocks of "
        f"width {config.width} ({parameters_in(ours) / 1e6:.1f} M with the text encoder); "
        f"WanTransformer3DModel: {parameters_in(wan.blocks) / 1e6:.2f} M in {config.depth} blocks "
        f"of width {config.width}, ffn_dim {wan.config.ffn_dim} "
        f"({parameters_in(wan) / 1e6:.1f} M, no text encoder)"
    )


def measured_tables(config: DiTConfig, *, num_rounds: int, budget_tokens: int) -> list[str]:
    """Return the tables of both mixes of clips."""
    lines = []
    compression = Compression(8, 4, config.latent_channels)
    for name, shares in MIXES.items():
        mix = shares.model_copy(update={"budget_tokens": budget_tokens})
        with tempfile.TemporaryDirectory() as folder:
            cache = noise_cache(
                Path(folder) / "latents", [CLIP], compression=compression, length=NUM_CLIPS
            )
            batches = RowBatches(
                cache, compression, config.patch, config.text_multiple, prompt_ids, mix, 0
            )
            rows = [batches(step) for step in range(NUM_ROWS)]
        real = sum(len(row.times_Lv) for row in rows)
        padded = sum(padded_batch(row, config).times_BL.numel() for row in rows)
        text = sum(len(row.row.text_ids) for row in rows)
        lines += [
            f"## {name[0].upper()}{name[1:]}",
            "",
            f"{sum(row.row.num_segments for row in rows) / NUM_ROWS:.0f} clips a row, "
            f"{real / NUM_ROWS:.0f} spacetime and {text / NUM_ROWS:.0f} text tokens; "
            f"{100 * (1 - real / padded):.0f} % of the peer's spacetime tokens are padding.",
            "",
            *measure(make_sides(config, rows), num_rounds=num_rounds),
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--tiny", action="store_true", help="a quick try; writes no file")
    arguments = parser.parse_args()
    diffusers = needed("diffusers")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = DITS["tiny" if arguments.tiny else "nano"]
    tables = measured_tables(
        config, num_rounds=arguments.rounds, budget_tokens=512 if arguments.tiny else 4096
    )
    publish(
        [
            *opening("The generator's training step beside a peer", __doc__),
            "Model TFLOP/s is 6 x parameters x tokens that pass them (blocks and text blocks; for the",
            "peer text passes the cross-attention's keys and values alone; padding does not count),",
            "divided by the time of a step: forward, loss, backward, clipping, AdamW; the median of",
            f"{arguments.rounds} rounds in turns. `torch.compile` compiles the blocks of both sides;",
            "its own time is not included. GFLOP a clip counts every matrix product of a step, padding",
            "and attention included. The ratio is of clips/s, eager with eager and compiled with",
            "compiled. Weights are untrained: this is about speed alone.",
            "",
            f"* command: `{command()}`",
            f"* commit: {commit()}; {machine(arguments.threads)}, diffusers {diffusers.__version__}",
            parameter_line(config),
            "",
            *tables,
        ],
        None if arguments.tiny else Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
