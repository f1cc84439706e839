"""The machine under a benchmark: what it is, what it can do, and what else it is doing.

The best rate of plain matrix products is the ceiling beside which a training step is judged; how
much other processes worked meanwhile tells whether a figure can be trusted.

Run: python benchmarks/machine.py
"""

import os
import platform
import time
from pathlib import Path

import torch
from page import processor

PEAK_SIDES = (1024, 2048, 4096)
FEATURES = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


class Watch:
    """Watches how much of the machine's processor time other processes take."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self._begun = (time.perf_counter(), *busy_seconds())

    def others_share(self) -> float:
        """Return the share, 0 to 1, that others took since the start; 0 where none can tell."""
        begun, own, whole = self._begun
        own_now, whole_now = busy_seconds()
        lasted = (time.perf_counter() - begun) * (os.cpu_count() or 1)
        return max(0.0, (whole_now - whole) - (own_now - own)) / max(lasted, 1e-9)


def busy_seconds() -> tuple[float, float]:
    """Return the processor seconds that this process and the whole machine have used so far."""
    own, stat = time.process_time(), Path("/proc/stat")
    if not stat.exists():
        return own, own
    user, nice, system = (int(ticks) for ticks in stat.read_text().split()[1:4])
    return own, (user + nice + system) / os.sysconf("SC_CLK_TCK")


def matrix_peak_tflops(dtype: torch.dtype = torch.bfloat16, *, seconds: float = 2.0) -> float:
    """Return the best rate of square matrix products over some sizes."""
    best = 0.0
    for side in PEAK_SIDES:
        a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
        _ = a @ b
        end = time.perf_counter() + seconds / len(PEAK_SIDES)
        while time.perf_counter() < end:
            begun = time.perf_counter()
            _ = a @ b
            best = max(best, 2 * side**3 / (time.perf_counter() - begun) / 1e12)
    return best


def machine(threads: int) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    features = [name for name in FEATURES if name in flags]
    return (
        f"{threads} threads, {processor()} "
        f"({', '.join(features)}); Python {platform.python_version()}, torch "
        f"{torch.__version__}"
    )


def main() -> None:
    print(machine(torch.get_num_threads()))
    for dtype in (torch.bfloat16, torch.float32):
        print(f"square matrix products, {dtype}: {matrix_peak_tflops(dtype):.2f} TFLOP/s")


if __name__ == "__main__":
    main()
