"""Clips of the engine as a source: clip i is rendered when somebody asks for it.

Picture a book whose pages are painted the moment they are opened, and always the same way: the
page number is all that decides the picture. Clip ``i`` of a split takes the first recipe of that
split at or after seed ``i * SEED_STRIDE`` and its size by a coin thrown with ``i``, so that any
process can make any clip without knowing the others. Training on a machine with only torch,
numpy and mujoco needs nothing more; `worlds_cache` keeps the same clips on disk. Leaves out
read-ahead, which `sources.read_ahead` does for every source.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cyclorama.data.sample import Sample, checked_index
from cyclorama.shapes import VideoShape
from cyclorama.worlds.episode import Episode, make_episode
from cyclorama.worlds.recipe import DOMAINS, Recipe, recipe_hash, recipes

# The search for a recipe of the split walks on from the seed; the stride is long enough that a
# split of one recipe in a hundred never runs into the next clip's seeds (chance 1e-18).
SEED_STRIDE = 4096
WeightedShapes = Sequence[tuple[VideoShape, float]]


@dataclass(frozen=True)
class WorldsClips:
    """Source of engine clips, rendered on access; the same index gives the same pixels.

    ``domain`` names a table entry of `cyclorama.worlds.recipe.DOMAINS`; ``shapes`` are sizes with
    weights, which need not sum to one.
    """

    domain: str
    split: str
    num_clips: int
    shapes: tuple[tuple[VideoShape, float], ...]
    rate_fps: float = 8.0

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            raise ValueError(f"no domain {self.domain!r}: there are {', '.join(DOMAINS)}")
        if self.num_clips < 1:
            raise ValueError(f"num_clips must be at least 1, got {self.num_clips}")
        if not self.shapes or not all(weight > 0 for _, weight in self.shapes):
            raise ValueError(f"shapes need sizes with weights > 0, got {self.shapes}")

    def __len__(self) -> int:
        """Return the number of clips."""
        return self.num_clips

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of clip ``index``; nothing is rendered."""
        return drawn_shape(checked_index(index, self.num_clips), self.shapes)

    def recipe_of(self, index: int) -> Recipe:
        """Return the recipe of clip ``index``."""
        start = checked_index(index, self.num_clips) * SEED_STRIDE
        return next(recipes(self.split, domain=DOMAINS[self.domain], start=start))

    def episode(self, index: int, *, truth: str = "captions") -> Episode:
        """Return the engine's own record of clip ``index``, rendered now."""
        shape = self.shape_of(index)
        return make_episode(
            self.recipe_of(index),
            height=shape.height,
            width=shape.width,
            num_frames=shape.num_frames,
            rate_fps=self.rate_fps,
            truth=truth,
        )

    def __getitem__(self, index: int) -> Sample:
        """Return clip ``index``, rendered now; ``weight_map`` holds the object ids."""
        return self.sample_of(self.episode(index))

    def sample_of(self, episode: Episode) -> Sample:
        """Return an episode of this source as a sample."""
        return Sample(
            id=recipe_hash(episode.recipe),
            frames=episode.frames,
            rate_fps=self.rate_fps,
            captions=dict(episode.captions),
            source=f"worlds/{self.domain}/{self.split}",
            truth=episode.attributes,
            weight_map=episode.object_ids,
        )


def worlds_clips(
    domain: str, split: str, *, num_clips: int, shapes: WeightedShapes, rate_fps: float = 8.0
) -> WorldsClips:
    """Return a source of ``num_clips`` live engine clips; ValueError as in `WorldsClips`."""
    return WorldsClips(domain, split, num_clips, tuple(shapes), rate_fps)


def drawn_shape(index: int, shapes: WeightedShapes) -> VideoShape:
    """Return the size that clip ``index`` draws; see `drawn_numbers`."""
    return shapes[int(drawn_numbers(np.array([index]), shapes)[0])][0]


def drawn_numbers(indices: np.ndarray, shapes: WeightedShapes) -> np.ndarray:
    """Return for each clip index (any integers) which of ``shapes`` it draws, int64 like indices.

    The coin is the index itself, well shaken (the finaliser of splitmix64, Steele et al. 2014),
    so that a million clips are drawn at once and growing a set changes no earlier clip.
    """
    state = (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    coins = (state ^ (state >> np.uint64(31))) / 2.0**64
    edges = np.cumsum([weight for _, weight in shapes], dtype=np.float64)
    numbers = np.searchsorted(edges / edges[-1], coins, side="right")
    return np.minimum(numbers, len(shapes) - 1)
