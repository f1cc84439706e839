"""Twice the clips: each one also as seen in a mirror, with left and right exchanged in its words.

Physics knows no left and right, so a mirrored clip is as true as the clip itself once the words
are exchanged too. Truth attributes that name a side (camera moves, motions) are exchanged the same
way. Not for footage with writing in it.
"""

import dataclasses
import re
from typing import Any

import numpy as np

from cyclorama.data.sample import Sample, Source
from cyclorama.shapes import VideoShape

_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
_SIDE = re.compile(r"\b(left|right|Left|Right)\b")


def exchange_sides(text: str) -> str:
    """Return ``text`` with the words left and right exchanged."""
    return _SIDE.sub(lambda match: _SIDES[match.group()], text)


def mirrored(sample: Sample) -> Sample:
    """Return the sample as seen in a mirror."""
    ids = sample.weight_map
    return dataclasses.replace(
        sample,
        id=f"{sample.id}/mirrored",
        frames=np.ascontiguousarray(sample.frames[:, :, ::-1]),
        captions={kind: exchange_sides(text) for kind, text in sample.captions.items()},
        truth=_exchange_in(sample.truth),
        weight_map=None if ids is None else np.ascontiguousarray(ids[:, :, ::-1]),
    )


def _exchange_in(value: Any) -> Any:
    if isinstance(value, str):
        return exchange_sides(value)
    if isinstance(value, dict):
        return {key: _exchange_in(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exchange_in(item) for item in value]
    return value


class MirroredSource:
    """A source of 2n samples: the n of ``source``, then the same in a mirror."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        """Return twice the number of clips."""
        return 2 * len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Return clip ``index``; the second half is mirrored."""
        if index < len(self.source):
            return self.source[index]
        return mirrored(self.source[index - len(self.source)])

    def shape_of(self, index: int) -> VideoShape:
        """Return the size of clip ``index``."""
        return self.source.shape_of(index % len(self.source))
