"""From a folder of films to a store: a bar while they are cut, then what was refused and why.

Every refusal stands in the report beside the store; the terminal shows them summed up.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SHOWN = 12


def ingest_folder(folder: Path, to: Path, *, settings: list[str], num_workers: int) -> None:
    """Ingest, and say how many clips there are now and what was refused."""
    from cyclorama.cli import show
    from cyclorama.config import override
    from cyclorama.data.cutting import CutConfig
    from cyclorama.data.ingest import ingest
    from cyclorama.record import read_jsonl

    if to.suffix != ".lance":
        raise ValueError(f"--to {to}: a store's name ends in .lance")
    config = override(CutConfig(), settings)
    with show.progress_bar("films") as bar:
        result = ingest(
            folder,
            to,
            config=config,
            num_workers=num_workers,
            progress=lambda done, total, _: bar(done, total),
        )
    lines = refusals(read_jsonl(result.report))
    for line in lines[:SHOWN]:
        show.say(f"refused {line}")
    if len(lines) > SHOWN:
        show.say(f"and {len(lines) - SHOWN} more")
    show.say(f"{result.num_files} films, {result.num_clips} clips; all refusals: {result.report}")


def refusals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each film refused, and one for each fault of a film's clips.

    A clip's reason begins with its kind ("static: 0.10 < 0.25"); clips of a kind are counted.
    """
    counts = Counter(
        (row["file"], row["reason"].split(":")[0] if {"start_s", "clip"} & row.keys() else "")
        for row in rows
    )
    whole = [f"{r['file']}: {r['reason']}" for r in rows if not {"start_s", "clip"} & r.keys()]
    parts = [f"{file}: {num} clips {kind}" for (file, kind), num in counts.items() if kind]
    return [*whole, *parts]
