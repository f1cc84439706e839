"""Worker processes that end with whoever started them.

Picture painters hired for a day: they leave Ctrl-C to the one who hired them, who stops them; and
when that one is gone without a word (kill -9) they go too. Processes are spawned, never forked: a
forked OpenGL context crashes, and so does Lance. Every pool of the package is made here.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any


def spawn_pool(
    num_workers: int, *, prepare: Callable[..., None] | None = None, about: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """Return a pool of spawned processes, each of which first calls ``prepare(*about)``."""
    return ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(prepare, about),
    )


def _start(prepare: Callable[..., None] | None, about: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*about)


def _end_with_parent() -> None:
    # An idle worker waits for work from a pipe that its siblings hold open too, so a parent that
    # was killed is never noticed there. The sentinel of the parent is readable once it is gone.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # no clean-up: nobody is left to hand anything to
