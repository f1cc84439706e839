"""What the pages of figures have in common: where they came from, how they open, how they are kept.

A benchmark is a script with its figures beside it, `NAME.py` and `NAME.md`. The page opens with the
script's own words, names the command, the commit and the machine, and is replaced in one piece.
"""

import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from cyclorama.media.atomic import write_aside


def opening(title: str, doc: str) -> list[str]:
    """Return a page's title and what the script says of itself, without its summary and command."""
    return [f"# {title}", "", *doc.split("Run:", maxsplit=1)[0].strip().splitlines()[2:], ""]


def needed(module: str) -> ModuleType:
    """Return a module of the extra ``bench``, or end the script with the line that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise SystemExit("this benchmark needs an extra: pip install 'cyclorama[bench]'") from None


def command() -> str:
    """Return the command that this script was started with."""
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return done.stdout.strip() or "unknown"


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


def best_processor_s(*ways: Callable[[], object], rounds: int) -> list[float]:
    """Return the best processor time of each way, tried in turns."""
    best = [float("inf")] * len(ways)
    for _ in range(rounds):
        for index, way in enumerate(ways):
            begun = time.process_time()
            way()
            best[index] = min(best[index], time.process_time() - begun)
    return best


def publish(lines: Sequence[str], path: Path | None) -> None:
    """Print a page; keep it at ``path`` when one is given."""
    text = "\n".join(lines)
    print(text)
    if path is not None:
        with write_aside(path) as aside:
            aside.write_text(text)
