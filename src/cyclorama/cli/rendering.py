"""From the engine to a dataset: clips with captions as files, as tars, or in a Lance store.

The first clips are kept for the contact sheet that ``--look`` asks for, so that what is looked
at is what was written.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LOOK_CLIPS = 24


def render_clips(
    clips: Any, *, to: Path | None, look: Path | None, num_workers: int, tars: bool = False
) -> None:
    """Render every clip of a source into ``to`` and a contact sheet into ``look``.

    ``to`` ending in .lance is a store, else a folder: of films with sidecars, or of tars.
    """
    from cyclorama.cli import show
    from cyclorama.data.read_ahead import read_ahead
    from cyclorama.media.image import write_contact_sheet

    if to is None and look is None:
        raise ValueError("nowhere to put the clips: give --to NAME.lance, --to FOLDER or --look")
    kept: list[Any] = []
    with show.progress_bar("clips") as report:

        def watched() -> Iterator[Any]:
            samples = read_ahead(clips, range(len(clips)), num_workers=num_workers)
            for done, sample in enumerate(samples, start=1):
                if len(kept) < LOOK_CLIPS:
                    kept.append(sample)
                yield sample
                report(done, len(clips))

        _write(watched(), to, tars=tars)
    if look is not None:
        captions = [sample.captions["short"] for sample in kept]
        write_contact_sheet(look, [s.frames for s in kept], captions=captions, clips_per_row=2)


def _write(samples: Iterable[Any], to: Path | None, *, tars: bool) -> None:
    if to is None:
        for _ in samples:
            pass
    elif to.suffix == ".lance":
        from cyclorama.data.store import append_samples, create_store

        create_store(to)
        append_samples(to, samples)
    elif tars:
        from cyclorama.data.tars import write_tars

        write_tars(to, samples)
    else:
        write_folder(to, samples)


def write_folder(to: Path, samples: Iterable[Any]) -> None:
    """Write ``000000.mp4`` with its captions and truth beside it in ``000000.json``."""
    import json

    from cyclorama.media.video import write_video

    to.mkdir(parents=True, exist_ok=True)
    if next(to.glob("*.mp4"), None):
        raise ValueError(f"{to} holds films already: choose an empty folder")
    for number, sample in enumerate(samples):
        path = to / f"{number:06d}.mp4"
        facts = {"id": sample.id, "captions": sample.captions, "truth": sample.truth}
        path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
        write_video(path, sample.frames, rate_fps=sample.rate_fps)
