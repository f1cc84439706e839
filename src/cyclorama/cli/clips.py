"""From a request to files: generate with a bar, write each clip with how it was made.

Every file carries prompt, seed, sizes and the weights' checksum in its metadata, so that the same
clip can be made again (``cyclorama info FILE`` shows them). Of several variants each file is
named by its own seed, since variant i of seed s is variant 0 of seed s + i.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

PREVIEW_EVERY = 2  # steps between pictures; a picture costs about as much as a step
DEMO_PROMPTS = (
    "a red ball rolls to the left on a white floor",
    "a blue cube falls to the floor and bounces",
    "a yellow cylinder slides to the right on a dark gray floor",
    "a green ball rolls to the right and hits a purple cube",
    "an orange cone and a cyan ball on a white floor as the camera orbits to the left",
    "a pink ball is thrown to the right on a beige floor",
)
DEMO_SEED = 1


def default_path(prompt: str) -> Path:
    """Return a file name made of the first words of a prompt."""
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    return Path("-".join(words[:8]) or "clip").with_suffix(".mp4")


def variant_paths(output: Path, seeds: list[int]) -> list[Path]:
    """Return one path for each seed; a single one keeps its name."""
    if len(seeds) == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{seed}{output.suffix}") for seed in seeds]


def check_output(output: Path, num_frames: int) -> None:
    """Raise before the work is done what would otherwise be raised after it."""
    if output.suffix.lower() not in (".mp4", ".webp", ".gif", ".png"):
        raise ValueError(f"cannot write {output}: its name must end in .mp4, .webp, .gif or .png")
    if output.suffix.lower() == ".png" and num_frames > 1:
        raise ValueError(f"{output} holds one picture, not {num_frames}: add --frames 1")


def make_clips(request: Any, maker: Any, *, output: Path, preview: bool = False) -> list[Path]:
    """Generate the clips of a `VideoRequest` into files and return their paths."""
    from cyclorama.cli import show
    from cyclorama.inference.video import (
        check_request,
        decode_clips,
        generate,
        request_facts,
        unknown_words,
    )

    check_request(request, maker)
    check_output(output, request.num_frames)
    if unknown := unknown_words(request.prompt, maker):
        show.say(f"words that no training caption held: {', '.join(unknown)}")
    with show.picture_bar("steps") as report:

        def on_step(done: int, total: int, latents: Any) -> None:
            wanted = preview and (done % PREVIEW_EVERY == 0 or done == total)
            frames = decode_clips(latents[None], maker)[0] if wanted else None
            report(done, total, frames)

        clips = generate(request, maker, on_step=on_step)
    seeds = list(range(request.seed, request.seed + request.num_variants))
    paths = variant_paths(output, seeds)
    for path, seed, frames in zip(paths, seeds, clips, strict=True):
        facts = request_facts(replace(request, seed=seed, num_variants=1), maker)
        _write(path, frames, rate_fps=request.rate_fps, facts=facts)
    return paths


def make_demo(maker: Any, directory: Path) -> list[Path]:
    """Make a small set of clips and a sheet that shows them all; return the paths."""
    from cyclorama.cli import show
    from cyclorama.inference.video import VideoRequest, decode_clips, request_facts, sample_latents
    from cyclorama.media.image import write_contact_sheet

    requests = [VideoRequest(prompt=prompt, seed=DEMO_SEED) for prompt in DEMO_PROMPTS]
    with show.progress_bar("steps") as report:
        latents = sample_latents(
            requests, maker, on_step=lambda done, total, _: report(done, total)
        )
    clips = [decode_clips(one, maker)[0] for one in latents]
    paths = [directory / default_path(prompt) for prompt in DEMO_PROMPTS]
    for path, request, frames in zip(paths, requests, clips, strict=True):
        facts = request_facts(request, maker)
        _write(path, frames, rate_fps=request.rate_fps, facts=facts)
    sheet = directory / "sheet.png"
    write_contact_sheet(sheet, clips, captions=DEMO_PROMPTS, scale=2)
    return [*paths, sheet]


def _write(path: Path, frames: Any, *, rate_fps: float, facts: dict[str, object]) -> None:
    from cyclorama.media.image import write_png
    from cyclorama.media.video import write_video

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        write_png(path, frames[0], metadata=facts)
    else:
        write_video(path, frames, rate_fps=rate_fps, metadata=facts)
