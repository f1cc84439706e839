"""Batches of whole clips of one size, as a pure function of the step.

The autoencoder sees one size a step (its cost is per brick, and a compiled graph has one shape);
sizes take turns in proportion to how many clips there are. `ShapeBatches` answers which clips form
the batch of any step without having walked through the steps before: to resume a run, the number
of the step is enough.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from cyclorama.data.packing import epoch_order
from cyclorama.data.sample import Source
from cyclorama.shapes import VideoShape


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips of one size: ``frames`` uint8 (B,T,H,W,3) and object ids uint8 (B,T,H,W)."""

    frames: np.ndarray
    object_ids: np.ndarray
    items: np.ndarray


@dataclass
class ShapeBatches:
    """Deal a source's clips into batches of about ``budget_pixels`` pixels of one size each."""

    source: Source
    budget_pixels: int
    seed: int
    max_frames: int | None = None  # longer clips are cut, so that they share a shorter one's graph
    _starts: list[int] = field(default_factory=lambda: [0])
    _epochs: list[list[np.ndarray]] = field(default_factory=list)

    def items_of(self, step: int) -> np.ndarray:
        """Return the indices of the clips in the batch of ``step``."""
        while step >= self._starts[-1]:
            batches = self._deal(len(self._epochs))
            self._epochs.append(batches)
            self._starts.append(self._starts[-1] + len(batches))
        epoch = int(np.searchsorted(self._starts, step, side="right")) - 1
        return self._epochs[epoch][step - self._starts[epoch]]

    def __call__(self, step: int) -> ClipBatch:
        """Return the batch of ``step``; clips without object ids get zeros."""
        items = self.items_of(step)
        samples = [self.source[int(item)] for item in items]
        frames = np.stack([sample.frames[: self.max_frames] for sample in samples])
        ids = [
            np.zeros(s.frames.shape[:3], np.uint8) if s.weight_map is None else s.weight_map
            for s in samples
        ]
        return ClipBatch(frames, np.stack([i[: self.max_frames] for i in ids]), items)

    def _shape_of(self, item: int) -> VideoShape:
        shape = self.source.shape_of(item)
        num_frames = min(shape.num_frames, self.max_frames or shape.num_frames)
        return VideoShape(num_frames, shape.height, shape.width)

    def _deal(self, epoch: int) -> list[np.ndarray]:
        """Cut each size's shuffled clips into batches, then shuffle the batches."""
        if not len(self.source):
            raise ValueError("there is nothing to train on: the dataset is empty")
        by_shape: dict[VideoShape, list[int]] = defaultdict(list)
        for item in epoch_order(len(self.source), seed=self.seed, epoch=epoch):
            by_shape[self._shape_of(int(item))].append(int(item))
        batches = []
        for shape, items in by_shape.items():
            pixels = shape.num_frames * shape.height * shape.width
            size = max(1, self.budget_pixels // pixels)
            # A rare size is repeated, so that every batch has one cost.
            dealt = items * -(-size // len(items))
            whole = len(dealt) // size * size
            batches += np.array(dealt[:whole]).reshape(-1, size).tolist()
        order = np.random.default_rng([self.seed, epoch, 1]).permutation(len(batches))
        return [np.array(batches[number]) for number in order]
