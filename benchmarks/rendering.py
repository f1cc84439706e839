"""Rendering: frames and fully annotated clips a second on one core.

Times are processor seconds of this process, so that they hold on a busy machine; each figure is
the best of some rounds. "Render only" poses and draws frames of scenes that are already simulated
and loaded; "captions" is what training takes (simulation, drawing, ids, words); "full truth" adds
depth, whole silhouettes, questions and one counterfactual run of the physics.

Run: python benchmarks/rendering.py [--clips 24] [--rounds 3] [--write benchmarks/rendering.md]
"""

import argparse
import itertools
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from page import best_processor_s, commit, processor, publish

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.engine import load_mujoco
from cyclorama.worlds.episode import make_episode
from cyclorama.worlds.recipe import DOMAINS, recipes
from cyclorama.worlds.render import Renderer
from cyclorama.worlds.simulate import simulate

SIZES = ((64, 64), (64, 96), (72, 128), (128, 128))
NUM_FRAMES, RATE_FPS = 17, 8.0


def frame_s(chosen: Sequence[Recipe], *, height: int, width: int, rounds: int) -> float:
    """Return processor seconds a frame with shadows and antialiasing, render only."""
    total = 0.0
    for recipe in chosen:
        tracks = simulate(recipe, num_frames=NUM_FRAMES, rate_fps=RATE_FPS)
        with Renderer(recipe, height=height, width=width) as renderer:

            def draw(renderer: Renderer = renderer, recipe: Recipe = recipe, tracks=tracks) -> None:
                for t, state in enumerate(tracks.states):
                    renderer.pose(state, recipe.camera, time_s=t / RATE_FPS)
                    renderer.colour()

            draw()  # shaders and caches
            total += best_processor_s(draw, rounds=rounds)[0]
    return total / (len(chosen) * NUM_FRAMES)


def clip_s(chosen: Sequence[Recipe], *, height: int, width: int, truth: str, rounds: int) -> float:
    """Return processor seconds a clip, all in; physics included each time."""

    def make() -> None:
        simulate.cache_clear()
        for recipe in chosen:
            make_episode(
                recipe,
                height=height,
                width=width,
                num_frames=NUM_FRAMES,
                rate_fps=RATE_FPS,
                truth=truth,
                counterfactual=truth == "full",
            )

    return best_processor_s(make, rounds=rounds)[0] / len(chosen)


def search_s(domain: str, count: int) -> float:
    """Return processor seconds to find a recipe of ``train`` worth showing."""
    start = time.process_time()
    for _ in itertools.islice(recipes("train", domain=DOMAINS[domain], start=10**6), count):
        pass
    return (time.process_time() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    lines = []
    for domain in ("stage", "full"):
        chosen = list(
            itertools.islice(recipes("train", domain=DOMAINS[domain], start=0), options.clips)
        )
        for height, width in SIZES:
            size = {"height": height, "width": width, "rounds": options.rounds}
            frame = frame_s(chosen, **size)
            captions = clip_s(chosen, truth="captions", **size)
            full = clip_s(chosen, truth="full", **size)
            lines.append(
                f"| {domain} | {width}x{height} | {1 / frame:.0f} | {1 / captions:.1f} "
                f"| {1000 * captions:.0f} | {1 / full:.1f} | {1000 * full:.0f} |"
            )
            print(lines[-1], flush=True)
    search = {name: 1000 * search_s(name, options.clips) for name in ("stage", "full")}
    publish([report(lines, search, options)], options.write)


def report(lines: Sequence[str], search_ms: dict[str, float], options: argparse.Namespace) -> str:
    """Return the page."""
    found = ", ".join(f"{name} {ms:.0f} ms" for name, ms in search_ms.items())
    table = "\n".join(lines)
    return f"""# Rendering worlds

Figures of `benchmarks/rendering.py`, per processor second of one core; best of {options.rounds}
rounds over {options.clips} scenes, clips of {NUM_FRAMES} frames at {RATE_FPS:g} fps, shadows and
2x2 supersampling. "Captions" is what training takes: simulation, pictures, object ids, captions.
"Full truth" adds depth, whole silhouettes, questions and a counterfactual run of the physics.
Finding a scene worth showing (drafts, one simulation each) takes besides: {found}.

* command: `python benchmarks/rendering.py --clips {options.clips} --rounds {options.rounds} --write
  benchmarks/rendering.md`
* commit: {commit()}; Python {platform.python_version()}, MuJoCo {load_mujoco().__version__}; one core
  of {processor()}
* bars: 450 frames a second render only at 64x64; 8 fully annotated clips a second

| domain | size | frames/s, render only | clips/s, captions | ms | clips/s, full truth | ms |
|---|---|--:|--:|--:|--:|--:|
{table}
"""


if __name__ == "__main__":
    main()
