"""The record of a run: what ran, on what, from which seeds, and what it measured.

A run leaves two files in its folder. ``record.json`` says once what the run was: commit, config
and its digest, seeds, device, versions, machine; nested fields become flat dotted keys, spelled
like the ``--set`` paths that would repeat the run. ``metrics.jsonl`` grows by one JSON object a
line and survives a kill at any instant: at worst its last line is torn, which reading skips and
the next append cuts off. Rows are not synced to the disk one by one, so losing power (unlike
losing the process) may lose the newest of them. There is one writer a file, and no database.
"""

import json
import os
import platform
import subprocess
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from importlib import metadata
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from cyclorama.config import Config

RECORD_NAME = "record.json"
METRICS_NAME = "metrics.jsonl"
PACKAGES = ("torch", "numpy", "av", "mujoco", "pylance")
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def start_record(
    directory: Path | str,
    config: Config,
    *,
    name: str,
    seeds: Mapping[str, int],
    device: str,
    extra: Mapping[str, Any] | None = None,
    may_differ: Collection[str] = (),
) -> Path:
    """Write ``directory/record.json`` for a run that begins or resumes, and return its path.

    ``name`` is what the run makes (a recipe's name), ``seeds`` every seed it draws from, and
    ``extra`` further facts such as the data's version. Where a record stands already the run
    resumes: ``started_at`` is kept. It must then be of the same config, but for the settings in
    ``may_differ`` (dotted paths); another config is a ValueError, because two runs in one folder
    cannot be told apart later.
    """
    path = Path(directory) / RECORD_NAME
    now = datetime.now(UTC).isoformat(timespec="seconds")
    settings = _flat(json.loads(config.to_json()))
    started = {"started_at": now}
    if path.exists():
        before = json.loads(path.read_text())
        _check_same_run(path, before, settings, may_differ=may_differ)
        started = {"started_at": before["started_at"], "resumed_at": now}
    row = {
        "name": name,
        **started,
        "device": device,
        "seed": dict(seeds),
        "config_digest": config.digest(),
        "config": settings,
        "environment": environment(),
        **(extra or {}),
    }
    write_json(path, row)
    return path


def _check_same_run(
    path: Path,
    before: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    may_differ: Collection[str],
) -> None:
    prefix = "config."
    old = {key.removeprefix(prefix): v for key, v in before.items() if key.startswith(prefix)}
    changed = [key for key in {**old, **settings} if old.get(key) != settings.get(key)]
    if told := [
        f"{key} {old.get(key)!r} not {settings.get(key)!r}"
        for key in changed
        if key not in may_differ
    ]:
        raise ValueError(
            f"{path.parent} holds a run with other settings ({', '.join(told)}): "
            "repeat its settings, or choose a new folder"
        )


def environment() -> dict[str, Any]:
    """Return what a figure depends on besides its code and config: machine, versions, commit.

    Keys: ``cpu`` (model), ``cpu_features``, ``num_cores`` (that this process may use),
    ``memory_bytes``, ``gpu`` (name or None), ``num_threads`` (torch's), ``platform``, ``python``,
    ``cyclorama``, ``commit`` (None outside a checkout), ``uncommitted`` (are there changes that
    are not in the commit), and a version for each of `PACKAGES` (None where absent).
    """
    import torch  # kept inside: reading a record should not cost a second of import

    commit, uncommitted = _commit()
    cpu, features = _cpu()
    return {
        "cpu": cpu,
        "cpu_features": features,
        "num_cores": _num_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "num_threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cyclorama": _version("cyclorama"),
        "commit": commit,
        "uncommitted": uncommitted,
        **{package: _version(package) for package in PACKAGES},
    }


def append_jsonl(path: Path | str, row: Mapping[str, Any]) -> None:
    """Append ``row`` as one line, in one write; a torn last line is cut off first."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(dict(row), default=_plain) + "\n"
    with path.open("ab+", buffering=0) as file:
        _mend_tail(file)
        file.write(line.encode())


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """Read all rows; a torn last line is skipped, a broken line elsewhere is a ValueError."""
    *lines, tail = Path(path).read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        row = _row(line)
        if row is None:
            raise ValueError(f"{path}, line {number}: not a JSON object: {line[:60]!r}")
        rows.append(row)
    last = _row(tail)
    return rows if last is None else [*rows, last]


def write_json(path: Path | str, obj: Mapping[str, Any]) -> None:
    """Write ``obj`` with flat keys (nested ones joined by dots), aside first, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    aside.write_text(json.dumps(_flat(obj), indent=1, default=_plain) + "\n")
    aside.replace(path)


def _mend_tail(file: Any) -> None:
    """End the file with a newline: after a whole row by adding one, else by cutting the rest."""
    size_bytes = file.seek(0, os.SEEK_END)
    start = size_bytes
    tail = b""
    while start and b"\n" not in tail:
        step = min(start, 4096)
        start -= step
        file.seek(start)
        tail = file.read(step) + tail
    torn = tail.rpartition(b"\n")[2]
    if _row(torn) is not None:
        file.write(b"\n")
    elif torn:
        file.truncate(size_bytes - len(torn))


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _flat(obj: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in obj.items():
        part = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else None
        pairs = part if part is not None else {f"{prefix}{key}": value}
        if clash := row.keys() & pairs.keys():
            raise ValueError(f"two fields have the flat key {clash.pop()!r}: rename one of them")
        row |= pairs
    return row


def _plain(value: Any) -> Any:
    """Turn numpy's numbers and paths into what JSON knows."""
    match value:
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case Path():
            return str(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded as JSON: {value!r}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # absent on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> tuple[str, list[str]]:
    """Return the CPU's model and those of its features that decide our speed."""
    fields: dict[str, str] = {}
    if (path := Path("/proc/cpuinfo")).exists():
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags", fields.get("Features", "")).split()
    model = fields.get("model name") or platform.processor() or platform.machine()
    return model, [flag for flag in CPU_FEATURES if flag in flags]


def _commit() -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that holds this file, and whether it has changes."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here.parent), *arguments],
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return None  # no git, or installed from a wheel: there is no commit to name
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", here.name) is None:
        return None, None
    return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", str(here.parent)))
