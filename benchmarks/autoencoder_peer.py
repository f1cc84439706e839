"""The autoencoder beside two of diffusers': encode, decode, and a training pass, in one run.

All three turn 17x64x64 clips into 5x8x8 latents of 32 channels and back, with about the same
number of parameters, in bfloat16, untrained. `AutoencoderKLWan` (causal convolutions, frames in
chunks of four) and `AutoencoderKLLTXVideo` (cuts patches first, as ours does) are shrunk to our
size; the Wan model keeps its depth, the LTX model loses one level of four, since at a patch of two
three levels reach our compression. The sides take turns, so that all see the same machine.

Run: python benchmarks/autoencoder_peer.py [--tiny] [--threads 2] [--rounds 3] [--batch 24]
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from machine import Watch, machine, matrix_peak_tflops
from page import command, commit, needed, opening, publish
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from training_step import CLIP, parameters_in

from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder, AutoencoderConfig
from cyclorama.recipes.autoencoder import compile_blocks
from cyclorama.shapes import VideoShape, latent_shape

Way = Callable[[], object]
NAMES = ("encode", "decode", "training pass")
WIDTHS = range(4, 65, 4)  # base widths that a peer may have


@dataclass
class Side:
    """One model on one clip batch: its three ways of being used, and their times."""

    name: str
    model: nn.Module
    ways: dict[str, Way]
    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in NAMES})
    gflops: dict[str, float] = field(default_factory=dict)  # a clip, counted by torch


def wan_like(width: int, config: AutoencoderConfig) -> nn.Module:
    """Return Wan's autoencoder of a base width (96 in the published one)."""
    from diffusers import AutoencoderKLWan

    zeros, ones = [0.0] * config.channels, [1.0] * config.channels
    return AutoencoderKLWan(
        base_dim=width, z_dim=config.channels, latents_mean=zeros, latents_std=ones
    )


def ltx_like(width: int, config: AutoencoderConfig) -> nn.Module:
    """Return LTX-Video's autoencoder of a base width (128 in the published one)."""
    from diffusers import AutoencoderKLLTXVideo

    widths, scaled = (width, 2 * width, 4 * width), (True, True, False)
    return AutoencoderKLLTXVideo(
        latent_channels=config.channels,
        block_out_channels=widths,
        decoder_block_out_channels=widths,
        down_block_types=("LTXVideoDownBlock3D",) * 3,
        layers_per_block=(4, 3, 3, 4),
        decoder_layers_per_block=(4, 3, 3, 4),
        spatio_temporal_scaling=scaled,
        decoder_spatio_temporal_scaling=scaled,
        decoder_inject_noise=(False,) * 4,
        downsample_type=("conv",) * 3,
        upsample_residual=(False,) * 3,
        upsample_factor=(1,) * 3,
        patch_size=2,
    )


def shrunk(
    make: Callable[[int, AutoencoderConfig], nn.Module], config: AutoencoderConfig
) -> tuple[int, nn.Module]:
    """Return the base width whose model has the number of parameters nearest to ours."""
    target = parameters_in(Autoencoder(config))

    def distance(width: int) -> int:
        with torch.device("meta"):
            return abs(parameters_in(make(width, config)) - target)

    width = min(WIDTHS, key=distance)
    return width, make(width, config)


def our_side(name: str, model: Autoencoder, video: Tensor) -> Side:
    """Use our model; ``video`` is (B, T, H, W, 3)."""
    with torch.no_grad():
        latents = model.encode(video)

    def training_pass() -> None:
        (model.decode(model.encode(video)) - video).square().mean().backward()

    return Side(
        name,
        model,
        {
            "encode": torch.no_grad()(lambda: model.encode(video)),
            "decode": torch.no_grad()(lambda: model.decode(latents)),
            "training pass": training_pass,
        },
    )


def peer_side(name: str, model: nn.Module, video: Tensor) -> Side:
    """Use a model of diffusers; ``video`` is (B, 3, T, H, W), latents are the posterior's mode."""

    def encode(pixels: Tensor) -> Tensor:
        return model.encode(pixels).latent_dist.mode()

    with torch.no_grad():
        latents = encode(video)
    expected = latent_shape(VideoShape(*video.shape[2:]), AUTOENCODERS["nano"].compression)
    if latents.shape[2:] != (expected.num_frames, expected.height, expected.width):
        raise ValueError(
            f"{name} makes latents of {tuple(latents.shape)}, ours are {expected}: "
            "the two cannot be compared"
        )

    def training_pass() -> None:
        (model.decode(encode(video)).sample - video).square().mean().backward()

    return Side(
        name,
        model,
        {
            "encode": torch.no_grad()(lambda: encode(video)),
            "decode": torch.no_grad()(lambda: model.decode(latents).sample),
            "training pass": training_pass,
        },
    )


def compile_peer(model: nn.Module) -> None:
    """Compile encoder and decoder; a training pass and a plain one are graphs of their own."""
    model.encoder = torch.compile(model.encoder, dynamic=False)
    model.decoder = torch.compile(model.decoder, dynamic=False)


def channels_last(model: nn.Module) -> nn.Module:
    """Lay the weights of convolutions, in space and in spacetime, as torch's kernels prefer."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])
    return model


def make_sides(config: AutoencoderConfig, *, shape: VideoShape, batch: int) -> list[Side]:
    """Return all models, eager first; the peers also in the layout that convolutions prefer."""
    size = (batch, shape.num_frames, shape.height, shape.width, 3)
    video = (torch.rand(size) * 2 - 1).bfloat16()
    video_peer = video.permute(0, 4, 1, 2, 3).contiguous()
    ours = Autoencoder(config).bfloat16()
    sides = [our_side("ours, eager", ours, video)]
    compiled = copy.deepcopy(ours)
    compile_blocks(compiled)
    late = [our_side("ours, compiled", compiled, video)]
    for name, make in (("AutoencoderKLWan", wan_like), ("AutoencoderKLLTXVideo", ltx_like)):
        model = shrunk(make, config)[1].bfloat16()
        sides.append(peer_side(f"{name}, eager", model, video_peer))
        last = channels_last(copy.deepcopy(model))
        sides.append(
            peer_side(
                f"{name}, eager, channels last",
                last,
                video_peer.to(memory_format=torch.channels_last_3d),
            )
        )
        if name not in NOT_COMPILED:
            compiled = copy.deepcopy(model)
            compile_peer(compiled)
            late.append(peer_side(f"{name}, compiled", compiled, video_peer))
    return sides + late


# The Wan model keeps the frames before in a list that each convolution replaces while a clip is
# worked off chunk by chunk: each chunk would be a graph of its own.
NOT_COMPILED = ("AutoencoderKLWan",)


def clear_gradients(side: Side) -> None:
    side.model.zero_grad(set_to_none=True)


def measure(sides: Sequence[Side], *, num_rounds: int, batch: int) -> tuple[list[float], float]:
    """Fill in every side's times and counts; return the peaks, and others' share of the machine."""
    for side in sides:
        for name, way in side.ways.items():
            if "eager" in side.name:
                with FlopCounterMode(display=False) as counter:
                    way()
                side.gflops[name] = counter.get_total_flops() / batch / 1e9
            else:
                way()
            clear_gradients(side)
        print("warm:", side.name, flush=True)
    peaks, watch = [], Watch()
    for _ in range(num_rounds):
        peaks.append(matrix_peak_tflops(seconds=1.0))
        for side in sides:
            for name, way in side.ways.items():
                begun = time.perf_counter()
                way()
                side.seconds[name].append(time.perf_counter() - begun)
                clear_gradients(side)
    return peaks, watch.others_share()


def rates_table(sides: Sequence[Side], *, batch: int) -> list[str]:
    """Return clips a second of every side, and how many times faster ours is."""
    table = [
        "| model | encode, clips/s | decode, clips/s | both, clips/s | ours is faster by | "
        "training pass, clips/s | ours is faster by |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    both = {
        side.name: [
            a + b for a, b in zip(side.seconds["encode"], side.seconds["decode"], strict=True)
        ]
        for side in sides
    }
    for side in sides:
        ours = next(
            s
            for s in sides
            if s.name == f"ours, {'compiled' if 'compiled' in side.name else 'eager'}"
        )

        def rate(seconds: Sequence[float]) -> str:
            return f"{batch / statistics.median(seconds):.1f}"

        def ratio(mine: Sequence[float], peers: Sequence[float]) -> str:
            return f"{statistics.median(b / a for a, b in zip(mine, peers, strict=True)):.1f}"

        table.append(
            f"| {side.name} | {rate(side.seconds['encode'])} | {rate(side.seconds['decode'])} | "
            f"{rate(both[side.name])} | {ratio(both[ours.name], both[side.name])} | "
            f"{rate(side.seconds['training pass'])} | "
            f"{ratio(ours.seconds['training pass'], side.seconds['training pass'])} |"
        )
    return table


def work_table(sides: Sequence[Side], *, batch: int) -> list[str]:
    """Return what a clip costs in operations, and the rate at which they are done."""
    table = [
        "| model | parameters | encode + decode, GFLOP a clip | TFLOP/s | "
        "training pass, GFLOP a clip | TFLOP/s |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for side in sides:
        if not side.gflops:
            continue
        both = side.gflops["encode"] + side.gflops["decode"]
        seconds = statistics.median(side.seconds["encode"]) + statistics.median(
            side.seconds["decode"]
        )
        pass_s = statistics.median(side.seconds["training pass"])
        table.append(
            f"| {side.name} | {parameters_in(side.model) / 1e6:.2f} M | {both:.1f} | "
            f"{both * batch / seconds / 1e3:.3f} | {side.gflops['training pass']:.1f} | "
            f"{side.gflops['training pass'] * batch / pass_s / 1e3:.3f} |"
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=24, help="clips in a batch")
    parser.add_argument("--tiny", action="store_true", help="a quick try; writes no file")
    arguments = parser.parse_args()
    diffusers = needed("diffusers")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    batch = 1 if arguments.tiny else arguments.batch
    config = AUTOENCODERS["tiny" if arguments.tiny else "nano"]
    shape = VideoShape(5, 32, 32) if arguments.tiny else CLIP
    sides = make_sides(config, shape=shape, batch=batch)
    peaks, others = measure(sides, num_rounds=arguments.rounds, batch=batch)
    publish(
        [
            *opening("The autoencoder beside two peers", __doc__),
            "A training pass is encode, decode, mean square error and backward, without an optimizer.",
            f"Rates are medians of {arguments.rounds} rounds of {batch} clips; ratios compare eager",
            "with eager and compiled with compiled, round by round. Wan's model is not compiled: it",
            "changes a list of earlier frames in place, and each chunk would be a graph of its own.",
            "Convolutions are also run in torch's layout `channels_last_3d`.",
            "",
            f"* command: `{command()}`",
            f"* commit: {commit()}; {machine(arguments.threads)}, diffusers {diffusers.__version__}",
            f"* peak of bfloat16 matrix products between the rounds: {max(peaks):.2f} TFLOP/s "
            f"(lowest {min(peaks):.2f}); other processes took {100 * others:.0f} % of the machine's "
            "processor time",
            "",
            *rates_table(sides, batch=batch),
            "",
            "What the rates are made of, by torch's counter (matrix products and convolutions):",
            "",
            *work_table(sides, batch=batch),
            "",
        ],
        None if arguments.tiny else Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
