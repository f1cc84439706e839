"""What becomes of memory that a training step frees.

Picture a workshop that returns every crate to the depot when it is empty and fetches it again,
scrubbed, for the next piece of work. A step frees and takes the same gigabyte a hundred times, and
to have it scrubbed (page faults) took up to half of a step's time (docs/lab-log.md). Here the C
library is told to keep what is freed. A process then stays as large as it ever was.
"""

import ctypes
import sys

# From glibc's malloc.h: give the heap's top back only above this, take so much more when it grows,
# and map only larger pieces on their own (32 MB is the most that glibc allows).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT = {_TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**28, _MMAP_THRESHOLD: 2**25}


def keep_freed_memory() -> bool:
    """Keep freed memory for this process; False where the C library has no such switch."""
    if not sys.platform.startswith("linux"):
        return False
    switch = getattr(ctypes.CDLL(None), "mallopt", None)  # others than glibc may lack it
    return switch is not None and all(switch(name, size) for name, size in _KEPT.items())
