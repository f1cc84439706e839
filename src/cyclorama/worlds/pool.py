"""Many episodes from many processes, in order.

Picture a row of painters who each keep their own easel (one OpenGL context) and hand in canvases
in the order they were asked for. Processes are spawned, never forked: a forked OpenGL context
crashes. Workers leave Ctrl-C to the parent, who stops them; when the parent is gone without a word
(kill -9) they go too. At most a few episodes per worker are in flight, so that a slow reader does
not fill the memory.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing.connection import wait

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.episode import Episode, make_episode

_AHEAD = 4  # episodes in flight for each worker


def render_many(
    recipes: Iterable[Recipe],
    *,
    num_workers: int,
    height: int = 64,
    width: int = 64,
    num_frames: int = 17,
    rate_fps: float = 8.0,
    truth: str = "captions",
) -> Iterator[Episode]:
    """Yield the episodes of recipes in their order; 0 workers render in this process.

    Raises what `make_episode` raises, and ValueError for a negative number of workers.
    """
    if num_workers < 0:
        raise ValueError(f"num_workers must be 0 or more, got {num_workers}")
    make = partial(
        make_episode,
        height=height,
        width=width,
        num_frames=num_frames,
        rate_fps=rate_fps,
        truth=truth,
    )
    if num_workers == 0:
        yield from map(make, recipes)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=spawn, initializer=_start_worker)
    waiting: deque[Future[Episode]] = deque()
    try:
        for recipe in recipes:
            waiting.append(pool.submit(make, recipe))
            if len(waiting) >= _AHEAD * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # An idle worker waits for work from a pipe that its siblings hold open too, so a parent that
    # was killed is never noticed there. The sentinel of the parent is readable once it is gone.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # no clean-up: nobody is left to hand anything to
