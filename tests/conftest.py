"""What all tests share: one thread, so that equal work gives equal bits, and small clips."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import settings

from cyclorama.data.sample import Sample, checked_index
from cyclorama.shapes import VideoShape

torch.set_num_threads(1)
# A busy machine is no fault of the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 210)}
SHAPES = (VideoShape(9, 32, 32), VideoShape(5, 32, 48), VideoShape(1, 32, 32))


@dataclass(frozen=True)
class Squares:
    """A source of clips without an engine: a coloured square moves to the right on gray."""

    num_clips: int
    shapes: tuple[VideoShape, ...] = SHAPES

    def __len__(self) -> int:
        return self.num_clips

    def shape_of(self, index: int) -> VideoShape:
        return self.shapes[checked_index(index, self.num_clips) % len(self.shapes)]

    def __getitem__(self, index: int) -> Sample:
        shape, draw = self.shape_of(index), np.random.default_rng(index)
        name = list(COLOURS)[draw.integers(len(COLOURS))]
        top, left = draw.integers(0, shape.height - 11), draw.integers(0, shape.width - 20)
        frames = np.full((shape.num_frames, shape.height, shape.width, 3), 128, np.uint8)
        ids = np.zeros(frames.shape[:3], np.uint8)
        for number in range(shape.num_frames):
            place = np.s_[number, top : top + 12, left + number : left + number + 12]
            frames[place], ids[place] = COLOURS[name], 1
        captions = {"short": f"a {name} square", "dense": f"a {name} square moves right on gray."}
        return Sample(f"square-{index}", frames, 8.0, captions, "squares", weight_map=ids)


@pytest.fixture(scope="session")
def squares():
    """Return a function that makes a source of so many clips."""
    return Squares


@pytest.fixture(scope="session")
def shaken():
    """Return a function that adds noise to every weight of a model, so that each one matters."""

    def shake(model: torch.nn.Module, *, size: float = 0.1, seed: int = 0) -> torch.nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
        return model.eval()

    return shake
