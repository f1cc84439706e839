"""Which clips a recipe trains on: an engine's world, a Lance store, or a folder of videos."""

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from cyclorama.config import Config
from cyclorama.data.sample import Source
from cyclorama.shapes import VideoShape


class DataConfig(Config):
    """The clips of a run; the fields on worlds say what the engine renders."""

    domain: str = "stage"
    split: str = "train"
    num_clips: int = 7200
    num_workers: int = 2
    # Frames x rows x columns, and the share of clips that have this size.
    sizes: dict[str, float] = Field(
        default_factory=lambda: {
            "17x64x64": 0.70,
            "17x64x96": 0.10,
            "17x96x64": 0.10,
            "33x64x64": 0.05,
            "9x96x96": 0.05,
        }
    )

    def shapes(self) -> tuple[tuple[VideoShape, float], ...]:
        """Return the sizes as shapes with their shares."""
        return tuple(
            (VideoShape(*(int(n) for n in name.split("x"))), share)
            for name, share in self.sizes.items()
        )


def open_data(
    spec: str, config: DataConfig, *, directory: Path, report: Callable[[str], None]
) -> Source:
    """Open ``worlds``, a ``.lance`` store or a folder as a source of clips.

    Engine clips are rendered once, into ``directory``, and kept there.
    """
    if spec == "worlds":
        from cyclorama.data.worlds_cache import build_worlds_cache

        def progress(done: int, total: int) -> None:
            if done % 512 < 16 or done == total:
                report(f"rendered {done}/{total} clips")

        return build_worlds_cache(
            directory,
            domain=config.domain,
            split=config.split,
            num_clips=config.num_clips,
            shapes=config.shapes(),
            num_workers=config.num_workers,
            progress=progress,
        )
    if spec.endswith(".lance"):
        from cyclorama.data.store import open_store

        return open_store(Path(spec))
    if Path(spec).is_dir():
        from cyclorama.data.sources import open_folder

        return open_folder(Path(spec))
    raise ValueError(f"--data {spec!r}: give worlds, a NAME.lance store, or a folder of videos")
