"""Decoding and encoding clips: this project against plain PyAV and Pillow, in one run.

The plain way decodes every frame at full size, converts it to RGB, and lets Pillow shrink it;
`read_video` scales while it converts, and converts only the frames it keeps. Both use one
thread. Times are processor seconds, best of some rounds, the two ways taking turns, so that
their ratio holds on a busy machine.

Run: python benchmarks/decoding.py VIDEO... [--size 64] [--write benchmarks/decoding.md]
"""

import argparse
import platform
import tempfile
from pathlib import Path

import av
import numpy as np
from page import best_processor_s, commit, processor, publish
from PIL import Image

from cyclorama.media.video import read_video, write_video

ROUNDS = 4


def plain_read(path: Path, side: int) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = []
        for frame in container.decode(stream):
            image = Image.fromarray(frame.to_ndarray(format="rgb24", threads=1))
            short = min(image.size)
            left, top = (image.width - short) // 2, (image.height - short) // 2
            box = (left, top, left + short, top + short)
            frames.append(image.resize((side, side), Image.Resampling.BOX, box=box))
    return np.stack([np.asarray(frame) for frame in frames])


def plain_read_sampled(path: Path, side: int, rate_fps: float) -> np.ndarray:
    with av.open(str(path)) as container:
        step = float(container.streams.video[0].average_rate) / rate_fps
    frames = plain_read(path, side)
    return frames[np.arange(0, len(frames), step).astype(int)]


def decoding_rows(paths: list[Path], side: int) -> list[str]:
    rows = [
        f"| file | every frame, {side} px: read_video | plain PyAV + Pillow | ratio | "
        f"8 fps, {side} px: read_video | plain | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            shape = f"{stream.width}x{stream.height}"
        num_frames = len(read_video(path, size=(side, side)).frames)
        ours, plain, ours_8, plain_8 = best_processor_s(
            lambda path=path: read_video(path, size=(side, side)),
            lambda path=path: plain_read(path, side),
            lambda path=path: read_video(path, size=(side, side), rate_fps=8),
            lambda path=path: plain_read_sampled(path, side, 8),
            rounds=ROUNDS,
        )
        rates = [num_frames / t for t in (ours, plain, ours_8, plain_8)]
        rows.append(
            f"| {path.name} ({shape}, {num_frames} frames) | {rates[0]:.0f} fps | "
            f"{rates[1]:.0f} fps | {rates[0] / rates[1]:.2f} | {rates[2]:.0f} fps | "
            f"{rates[3]:.0f} fps | {rates[2] / rates[3]:.2f} |"
        )
    return rows


def encoding_rows(source: Path) -> list[str]:
    rows = [
        "| clip | format | clips/s written | clips/s read | KB | PSNR dB |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for side in (64, 128, 256):
        frames = read_video(source, size=(side, side), rate_fps=8, duration_s=17 / 8).frames
        for suffix in (".mp4", ".webp", ".gif"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"a{suffix}"
                write, read = best_processor_s(
                    lambda path=path, frames=frames: write_video(path, frames, rate_fps=8),
                    lambda path=path: read_video(path) if path.exists() else None,
                    rounds=ROUNDS,
                )
                error = np.mean((read_video(path).frames.astype(float) - frames) ** 2)
                rows.append(
                    f"| 17x{side}x{side} | {suffix} | {1 / write:.0f} | {1 / read:.0f} | "
                    f"{path.stat().st_size / 1e3:.0f} | {10 * np.log10(255**2 / error):.1f} |"
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--size", type=int, default=64, help="side of the square frames")
    parser.add_argument("--write", type=Path, help="Markdown file to write the figures to")
    arguments = parser.parse_args()
    names = " ".join(path.name for path in arguments.videos)
    publish(
        [
            "# Decoding and encoding clips",
            "",
            "Figures of `benchmarks/decoding.py`: frames of the file per processor second, one thread,",
            f"best of {ROUNDS} rounds in turns. The plain way is PyAV at full size, then Pillow's box",
            "filter. Both columns stand in one run: judge by the ratio. Higher is better.",
            "",
            f"* command: `python benchmarks/decoding.py {names} --size {arguments.size} "
            "--write benchmarks/decoding.md`",
            f"* commit: {commit()}; Python {platform.python_version()}, PyAV {av.__version__}, "
            f"Pillow {Image.__version__}; one core of {processor()}",
            "",
            *decoding_rows(arguments.videos, arguments.size),
            "",
            f"Clips of 17 frames at 8 fps, written by `write_video` with its defaults from "
            f"{arguments.videos[0].name} and read back:",
            "",
            *encoding_rows(arguments.videos[0]),
            "",
        ],
        arguments.write,
    )


if __name__ == "__main__":
    main()
