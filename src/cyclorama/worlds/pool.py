"""Many episodes from many processes, in order.

Picture a row of painters who each keep their own easel (one OpenGL context) and hand in canvases
in the order they were asked for. At most a few episodes per worker are in flight, so that a slow
reader does not fill the memory.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import partial

from cyclorama.worlds.bodies import Recipe
from cyclorama.worlds.episode import Episode, make_episode
from cyclorama.worlds.processes import spawn_pool

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
    pool = spawn_pool(num_workers)
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
