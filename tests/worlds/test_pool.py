"""Workers end with their parent, also with one that could say nothing."""

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import itertools, multiprocessing, time
from cyclorama.worlds.pool import render_many
from cyclorama.worlds.recipe import DOMAINS, recipes

chosen = itertools.islice(recipes("train", domain=DOMAINS["stage"]), 2)
episodes = render_many(chosen, num_workers=2, height=32, width=32, num_frames=1)
next(episodes)
print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
time.sleep(600)
"""


@pytest.mark.usefixtures("can_draw")
def test_workers_end_with_a_parent_that_was_killed():
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
        try:
            # The pipe is inherited: it ends when the last process that can write to it has ended.
            parent.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            pytest.fail(f"workers {workers} outlived their parent")
    assert len(workers) == 2
    assert parent.returncode == -signal.SIGKILL
