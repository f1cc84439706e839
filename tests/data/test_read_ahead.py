"""Reading ahead gives what plain access gives, in the wished order, and passes errors on."""

import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest

from cyclorama.data.read_ahead import read_ahead
from cyclorama.data.sample import Sample
from cyclorama.shapes import VideoShape


@dataclass(frozen=True)
class Numbers:
    """A source of clips that show their index; index 13 is damaged, 14 kills its process."""

    num_clips: int

    def __len__(self) -> int:
        return self.num_clips

    def shape_of(self, index: int) -> VideoShape:
        return VideoShape(1, 2, 2)

    def __getitem__(self, index: int) -> Sample:
        if index == 13:
            raise ValueError("clip 13 is damaged")
        if index == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        frames = np.full((1, 2, 2, 3), index, np.uint8)
        return Sample(id=str(index), frames=frames, rate_fps=8.0, source=str(os.getpid()))


def test_the_order_is_kept_and_other_processes_work() -> None:
    order = [5, 1, 12, 1, 0, 9, 3]
    for num_workers in (0, 2):
        samples = list(read_ahead(Numbers(20), order, num_workers=num_workers, depth=3))
        assert [int(s.frames[0, 0, 0, 0]) for s in samples] == order
        pids = {s.source for s in samples}
        assert (pids == {str(os.getpid())}) == (num_workers == 0)


def test_it_stops_reading_an_endless_order_when_closed() -> None:
    asked = []

    def forever() -> object:
        while True:
            asked.append(len(asked))
            yield len(asked) % 7

    samples = read_ahead(Numbers(20), forever(), num_workers=1, depth=4)
    assert [next(samples).id for _ in range(3)] == ["1", "2", "3"]
    samples.close()
    assert len(asked) <= 3 + 4


def test_errors_arrive_at_their_turn() -> None:
    samples = read_ahead(Numbers(20), [1, 2, 13, 3], num_workers=1)
    assert [next(samples).id, next(samples).id] == ["1", "2"]
    with pytest.raises(ValueError, match="clip 13 is damaged"):
        next(samples)
    with pytest.raises(RuntimeError, match="worker process died near sample 14"):
        list(read_ahead(Numbers(20), [14], num_workers=1))
    with pytest.raises(ValueError, match="num_workers"):
        list(read_ahead(Numbers(20), [1], num_workers=-1))
