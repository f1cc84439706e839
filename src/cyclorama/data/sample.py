"""One clip with all that is known of it, and what every source of clips can do.

Picture a slide in its frame: the film (`frames`), the words written on the border (`captions`),
where it came from (`source`), and, when an engine made it, the sealed envelope with the exact
truth. A source is a drawer of slides: it knows how many there are, gives out the i-th one, and
tells the size of the i-th one without developing it, so that a loader can plan rows of mixed
sizes before any frame is decoded. Leaves out batches and tokens: see `packing` and `loader`.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cyclorama.shapes import VideoShape


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip: ``frames`` uint8 (T,H,W,3) and its words.

    ``captions`` maps a kind ("short", "dense", "timed", ...) to text; ``truth`` holds the
    engine's attributes or None; ``weight_map`` uint8 (T,H,W) holds object ids (0 = background),
    so that a loss can weigh movers. Raises ValueError when an array has another type or size.
    """

    id: str
    frames: np.ndarray
    rate_fps: float
    captions: dict[str, str] = field(default_factory=dict)
    source: str = ""
    truth: dict[str, Any] | None = None
    weight_map: np.ndarray | None = None

    def __post_init__(self) -> None:
        frames = self.frames
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise ValueError(
                f"sample {self.id!r}: frames must be uint8 (T,H,W,3), "
                f"got {frames.dtype} {frames.shape}"
            )
        if not self.rate_fps > 0:
            raise ValueError(f"sample {self.id!r}: rate_fps must be > 0, got {self.rate_fps}")
        ids = self.weight_map
        if ids is not None and (ids.dtype != np.uint8 or ids.shape != frames.shape[:3]):
            raise ValueError(
                f"sample {self.id!r}: weight_map must be uint8 {frames.shape[:3]}, "
                f"got {ids.dtype} {ids.shape}"
            )

    @property
    def shape(self) -> VideoShape:
        """Frames, rows and columns."""
        return VideoShape(*self.frames.shape[:3])

    @property
    def duration_s(self) -> float:
        """Seconds, counting one frame's stay for the last frame."""
        return self.shape.duration_s(self.rate_fps)


@runtime_checkable
class Source(Protocol):
    """A drawer of samples that can be opened at any index, and again in another process."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Return sample ``index`` in [0, len); IndexError outside."""
        ...

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of sample ``index`` without decoding it."""
        ...


def checked_index(index: int, length: int) -> int:
    """Return ``index`` with negatives counted from the end; IndexError when outside."""
    position = int(index) + length if index < 0 else int(index)
    if not 0 <= position < length:
        raise IndexError(f"no sample {index}: this source has {length} (0 to {length - 1})")
    return position
