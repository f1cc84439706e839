"""Ingest and reading back: what each step costs, beside decoding alone, in one run.

The measure for ingest is one bare decode of the same films at the size of the clips; the measure
for reading is decoding the stored clip and nothing else. Times are processor seconds of this one
process, all its threads together, best of some rounds, so that ratios hold on a busy machine.

Run: python benchmarks/ingest.py FOLDER [--size 64] [--write benchmarks/ingest.md]
"""

import argparse
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from page import best_processor_s, commit, publish

from cyclorama.data.clip import CODECS, decode_clip, encode_clip
from cyclorama.data.cutting import CutConfig
from cyclorama.data.duplicates import likeness
from cyclorama.data.filters import measure
from cyclorama.data.fit import ClipFit
from cyclorama.data.ingest import ingest
from cyclorama.data.sample import Sample
from cyclorama.data.shots import find_shots, resolve_method
from cyclorama.data.sources import list_videos
from cyclorama.data.store import append_samples, create_store, open_store
from cyclorama.data.tars import open_tars, write_tars
from cyclorama.media.video import probe_video, read_video

ROUNDS = 3


def ingest_rows(folder: Path, work: Path, side: int) -> list[str]:
    films = list_videos(folder)
    infos = [probe_video(path) for path in films]
    footage_s = sum(info.duration_s for info in infos)
    num_frames = sum(round(info.duration_s * info.rate_fps) for info in infos)
    made = []

    def whole(way: str) -> None:
        store = work / f"{way}-{len(made)}.lance"
        config = CutConfig(fit=ClipFit(short_side=side), shots=way)
        made.append(ingest(folder, store, config=config, num_workers=0).num_clips)

    def decode() -> None:
        for path in films:
            read_video(path, size=(side, side))

    def cuts(way: str) -> None:
        for path in films:
            find_shots(path, method=way)

    ways = ["builtin"]
    if resolve_method("auto") == "scenedetect":
        ways.append("scenedetect")
    steps: list[tuple[str, Callable[[], object]]] = [("decode every frame once, no more", decode)]
    for way in ways:
        steps.append((f"find shots, {way}", lambda way=way: cuts(way)))
        steps.append((f"whole ingest, {way}", lambda way=way: whole(way)))
    times = best_processor_s(*(step for _, step in steps), rounds=ROUNDS)
    rows = [
        f"{len(films)} films, {footage_s:.0f} s, {num_frames} frames, {made[-1]} clips kept:",
        "",
        "| step | processor s | frames/s | footage s per s | of one decode |",
        "|---|--:|--:|--:|--:|",
    ]
    for (name, _), spent in zip(steps, times, strict=True):
        rows.append(
            f"| {name} | {spent:.2f} | {num_frames / spent:.0f} | {footage_s / spent:.0f} | "
            f"{spent / times[0]:.2f} |"
        )
    return rows


def some_samples(folder: Path, side: int, count: int) -> list[Sample]:
    """Return clips of 17 real frames, square, from all films in turn."""
    samples: list[Sample] = []
    start_s = 0.0
    while len(samples) < count:
        before = len(samples)
        for path in list_videos(folder):
            if probe_video(path).duration_s > start_s + 2.2 and len(samples) < count:
                clip = read_video(
                    path, size=(side, side), rate_fps=8, start_s=start_s, duration_s=2.01
                )
                name = f"{len(samples):04d}"
                samples.append(Sample(id=name, frames=clip.frames, rate_fps=8.0))
        start_s += 2.0
        if len(samples) == before:
            break
    return samples


def reading_rows(samples: list[Sample], work: Path) -> list[str]:
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    shape = samples[0].shape
    rows = [
        f"{len(samples)} clips of {shape}, read in random order, one at a time:",
        "",
        "| bytes as | KB a clip | dB | encode clips/s | decode alone | from a store | of decode | "
        "from a tar | of decode |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for codec in CODECS:
        store = work / f"{codec}.lance"
        create_store(store)
        append_samples(store, samples, codec=codec)
        source = open_store(store)
        tars = open_tars(write_tars(work / codec, samples, codec=codec))
        data = [encode_clip(s.frames, 8.0, codec=codec) for s in samples]

        def pass_over(read: Callable[[int], object]) -> Callable[[], None]:
            return lambda: [read(n) for n in order] and None

        encode, decode, stored, tarred = best_processor_s(
            pass_over(lambda n, c=codec: encode_clip(samples[n].frames, 8.0, codec=c)),
            pass_over(lambda n, c=codec, d=data: decode_clip(d[n], shape, codec=c)),
            pass_over(source.__getitem__),
            pass_over(tars.__getitem__),
            rounds=ROUNDS,
        )
        off = np.mean(
            [((source[n].frames.astype(float) - samples[n].frames) ** 2).mean() for n in order]
        )
        quality = f"{10 * np.log10(255**2 / off):.1f}" if off else "exact"
        rates = [len(samples) / t for t in (encode, decode, stored, tarred)]
        rows.append(
            f"| {codec} | {np.mean([len(d) for d in data]) / 1e3:.0f} | {quality} | "
            f"{rates[0]:.0f} | {rates[1]:.0f} | {rates[2]:.0f} | {stored / decode:.2f} | "
            f"{rates[3]:.0f} | {tarred / decode:.2f} |"
        )
    measured, looked = best_processor_s(
        lambda: [measure(s.frames) for s in samples],
        lambda: [likeness(s.frames) for s in samples],
        rounds=ROUNDS,
    )
    rows += [
        "",
        f"Quality measurements {measured / len(samples) * 1e3:.2f} ms a clip, hash and thumbnail "
        f"{looked / len(samples) * 1e3:.2f} ms.",
    ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = ingest_rows(arguments.folder, Path(name), arguments.size)
        samples = some_samples(arguments.folder, arguments.size, arguments.clips)
        rows += ["", *reading_rows(samples, Path(name))]
    publish(
        [
            "# Ingest and reading clips back",
            "",
            "Figures of `benchmarks/ingest.py`: processor seconds of one process, all threads, best",
            f"of {ROUNDS} rounds in turns. Judge by the ratios. Ingest decodes each film twice: once",
            "to find its shots, once for the clips.",
            "",
            f"* command: `python benchmarks/ingest.py {arguments.folder.name} --size {arguments.size}`",
            f"* commit: {commit()}; Python {platform.python_version()}, NumPy {np.__version__}",
            "",
            *rows,
            "",
        ],
        arguments.write,
    )


if __name__ == "__main__":
    main()
