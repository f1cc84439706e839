"""Freed memory stays with the process, so that taking it again touches no new page."""

import resource
import sys

import pytest
import torch

from cyclorama.training.allocator import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a switch of glibc")
def test_memory_taken_again_makes_no_page_faults():
    if not keep_freed_memory():
        pytest.skip("this C library has no switch")

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(7_000_000).sum()  # 28 MB: 6,836 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert min(faults() for _ in range(5)) < 700
