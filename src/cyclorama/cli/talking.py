"""Commands that look, listen and talk: ``caption``, ``transcribe``, ``chat``."""

from pathlib import Path
from typing import Annotated, Any

import typer

ReaderOption = Annotated[
    str, typer.Option("--weights", help="A bundled name, a .safetensors file or a run's folder.")
]


def caption(
    clips: Annotated[list[Path], typer.Argument(help="Films or pictures, or NAME.lance stores.")],
    *,
    style: Annotated[str, typer.Option(help="short, dense, or timed.")] = "dense",
    fps: Annotated[float, typer.Option(help="Frames a second that are looked at.")] = 4.0,
    tokens: Annotated[int, typer.Option(help="Longest caption, in tokens.")] = 96,
    weights: ReaderOption = "reader",
) -> None:
    """Say what films or pictures show; in a store, of each clip that has no such caption."""
    from cyclorama.inference.describe import caption_file
    from cyclorama.inference.files import Viewing
    from cyclorama.inference.text import load_reader

    reader, viewing = load_reader(weights), Viewing(rate_fps=fps)
    for clip in clips:
        if clip.suffix == ".lance":
            typer.echo(f"{clip} has a column {_caption_store(reader, clip, style, tokens)}")
            continue
        text = caption_file(reader, clip, style=style, viewing=viewing, max_tokens=tokens)
        typer.echo(text if len(clips) == 1 else f"{clip}\n  {text}")


def _caption_store(reader: Any, path: Path, style: str, max_tokens: int) -> str:
    """Add a caption to each clip of a store that has none of this style; return the column."""
    from cyclorama.data.requests import caption_request
    from cyclorama.data.store import add_column
    from cyclorama.inference.describe import caption_clips
    from cyclorama.models.lm import cannot_read

    caption_request(style)  # what cannot be is said before the first clip
    if "pictures" not in reader.lm.config.reads:
        raise ValueError(cannot_read("pictures", reader.lm.config))

    def told(samples: list[Any]) -> list[str | None]:
        lacking = [(one.frames, one.rate_fps) for one in samples if style not in one.captions]
        words = iter(caption_clips(reader, lacking, style=style, max_tokens=max_tokens))
        return [None if style in one.captions else next(words) for one in samples]

    add_column(path, f"caption_{style}", values=told)
    return f"caption_{style}"


def tell_clips(weights: str, clips: list[Path]) -> None:
    """Print clips, each with what the reader sees in it, if its weights read pictures."""
    from cyclorama.inference.describe import caption_file
    from cyclorama.inference.files import Viewing
    from cyclorama.inference.text import load_reader

    reader, viewing = load_reader(weights), Viewing(rate_fps=8.0)
    for clip in clips:
        typer.echo(clip)
        if "pictures" in reader.lm.config.reads:
            told = caption_file(reader, clip, style="dense", viewing=viewing)
            typer.echo(f"  {told}")


def transcribe(
    sound: Annotated[Path, typer.Argument(help="A sound, or a film with sound.")],
    *,
    weights: ReaderOption = "reader",
) -> None:
    """Write down what is said, with instants; needs weights that read sound."""
    from cyclorama.data.passages import stamp
    from cyclorama.inference.describe import transcribe_file
    from cyclorama.inference.text import load_reader

    for start_s, words in transcribe_file(load_reader(weights), sound):
        typer.echo(f"{stamp(start_s)} {words}")


def chat(
    files: Annotated[
        list[Path] | None, typer.Argument(help="What to talk about; a memory, or files.")
    ] = None,
    *,
    fps: Annotated[float, typer.Option(help="Frames a second that are read of films.")] = 1.0,
    tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 48,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest word.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Equal seeds draw equal answers.")] = 0,
    weights: ReaderOption = "reader",
) -> None:
    """Talk about files, a question a line; an empty line ends."""
    from cyclorama.cli.reading import talk

    talk(
        files or [],
        weights=weights,
        rate_fps=fps,
        max_tokens=tokens,
        temperature=temperature,
        seed=seed,
    )
