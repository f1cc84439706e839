"""Samples of any source in a wished order, made ready by other processes while you work.

Picture a librarian who fetches the next books while you read this one and lays them down in the
order of your list, never more than a few ahead. Processes are spawned, not forked: a forked
OpenGL context or Lance handle crashes or hangs. Each worker holds its own copy of the source,
sent once. Leaves out the choice of the order, which is `packing`'s.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from cyclorama.data.sample import Sample, Source
from cyclorama.worlds.processes import spawn_pool

_worker_source: list[Source] = []


def read_ahead(
    source: Source, indices: Iterable[int], *, num_workers: int, depth: int | None = None
) -> Iterator[Sample]:
    """Yield ``source[i]`` for each index, in that order, fetched by ``num_workers`` processes.

    At most ``depth`` samples (default: four a worker) are ready or under way at once; without
    workers this process fetches them. What a worker raises is raised here, at its sample's turn;
    a worker that dies is a RuntimeError that names the sample.
    """
    if num_workers < 0 or (depth is not None and depth < 1):
        raise ValueError(f"need num_workers >= 0 and depth >= 1, got {num_workers}, {depth}")
    if num_workers == 0:
        for index in indices:
            yield source[index]
        return
    pool = spawn_pool(num_workers, prepare=_keep, about=(source,))
    waiting: deque[tuple[int, Future[Sample]]] = deque()
    limit = depth or 4 * num_workers
    try:
        for index in indices:
            waiting.append((index, pool.submit(_fetch, index)))
            if len(waiting) >= limit:
                yield waiting[0][1].result()
                waiting.popleft()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool as error:
        near = f" near sample {waiting[0][0]}" if waiting else ""
        raise RuntimeError(
            f"a worker process died{near} (out of memory, or a crash in a library): try "
            "num_workers=0 to see where"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _keep(source: Source) -> None:
    _worker_source.append(source)


def _fetch(index: int) -> Sample:
    return _worker_source[-1][index]
