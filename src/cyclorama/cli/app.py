"""The command ``cyclorama``: each command parses, calls a library function, and says what came.

Imports stand inside the commands, so that ``--help`` answers at once and a command loads only
what it needs. A ValueError of the library, like every error that is the user's to mend, becomes
one red line and exit code 2; ``cyclorama --traceback COMMAND`` shows where it came from.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cyclorama.cli import talking


class OneLineErrors(TyperGroup):
    """A group of commands whose foreseen errors are one line instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; exit with 2 after a foreseen error."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if ctx.params["traceback"] or not _is_foreseen(error):
                raise
            typer.secho(f"error: {error}", fg="red", err=True)
            raise typer.Exit(2) from error


def _is_foreseen(error: Exception) -> bool:
    """Tell an error that the library raised on purpose from a fault of the program."""
    ours = type(error).__module__.startswith("cyclorama.")
    absent_extra = isinstance(error, ImportError) and "cyclorama[" in str(error)
    return ours or absent_extra or isinstance(error, ValueError | OSError)


app = typer.Typer(
    name="cyclorama",
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 88, "terminal_width": 88},
)
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a setting; may be repeated."),
]
WeightsOption = Annotated[
    str, typer.Option("--weights", help="A bundled name, a .safetensors file or a run's folder.")
]
HaystacksOption = Annotated[
    int | None,
    typer.Option(help="reader: texts, films or sounds they are dealt to.  [default: 10]"),
]
QuoteOption = Annotated[
    bool, typer.Option("--quote", help="Answer only with words that were read.")
]
FilmOption = Annotated[float, typer.Option("--fps", help="Frames a second read of films.")]
AutoencoderOption = Annotated[
    str, typer.Option("--autoencoder", help="The autoencoder that the weights were trained with.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("cyclorama"))
        raise typer.Exit


@app.callback()
def options(
    traceback: Annotated[
        bool,
        typer.Option(
            "--traceback", envvar="CYCLORAMA_TRACEBACK", help="Show where an error came from."
        ),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make video from words, ask long texts, train on your own footage, and measure it all."""
    import warnings

    from cyclorama.cli.show import say

    # One line for a person instead of a line of source code.
    warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")


def _size(text: str) -> tuple[int, int]:
    """Return (width, height) of a text such as 96x64."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise ValueError(f"--size {text!r}: write width x height in pixels, e.g. 96x64")
    return int(width), int(height)


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A film, picture, sound or weight file.")],
) -> None:
    """Say what a file is, and how it was made where it tells."""
    if file.suffix == ".safetensors":
        from cyclorama.cli.show import describe_weights

        typer.echo(describe_weights(file))
        return
    from cyclorama.media.describe import describe_file

    typer.echo(describe_file(file))


@app.command()
def render(
    num: Annotated[int, typer.Argument(help="How many clips.")],
    to: Annotated[
        Path | None, typer.Option(help="NAME.lance, or a folder for films with sidecars.")
    ] = None,
    look: Annotated[
        Path | None, typer.Option(help="Write the first clips as a contact sheet, a .png.")
    ] = None,
    domain: Annotated[
        str, typer.Option(help="Which scenes: stage, practice, tour, trio or full.")
    ] = "stage",
    split: Annotated[str, typer.Option(help="train, val_id or a test split.")] = "train",
    size: Annotated[str, typer.Option(metavar="WxH", help="Width x height in pixels.")] = "64x64",
    frames: Annotated[int, typer.Option(help="Length in frames.")] = 17,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 8.0,
    workers: Annotated[int, typer.Option(help="Processes that render besides this one.")] = 2,
    tars: Annotated[bool, typer.Option("--tars", help="Write WebDataset tars.")] = False,
) -> None:
    """Render clips of the physics engine, with captions and exact truth."""
    from cyclorama.cli.rendering import render_clips
    from cyclorama.data.worlds_live import worlds_clips
    from cyclorama.shapes import VideoShape

    width, height = _size(size)
    shapes = [(VideoShape(frames, height, width), 1.0)]
    clips = worlds_clips(domain, split, num_clips=num, shapes=shapes, rate_fps=fps)
    render_clips(clips, to=to, look=look, num_workers=workers, tars=tars)


@app.command()
def ingest(
    folder: Annotated[Path, typer.Argument(help="Films, with captions beside them.")],
    to: Annotated[Path, typer.Option(help="The store, NAME.lance; made or added to.")],
    settings: SettingsOption = None,
    workers: Annotated[int, typer.Option(help="Processes that cut films; 0: only this one.")] = 2,
) -> None:
    """Cut films into clips for training; the same command resumes."""
    from cyclorama.cli.footage import ingest_folder

    ingest_folder(folder, to, settings=settings or [], num_workers=workers)


@app.command()
def weights(
    name: Annotated[str | None, typer.Argument(help="Print the card of this one.")] = None,
) -> None:
    """List the bundled weights, or print the card of one."""
    from cyclorama.weights.catalogue import BUNDLED, card, find_weights

    if name is not None:
        typer.echo(card(name))
        return
    for bundled, checksum in BUNDLED.items():
        size_mb = find_weights(bundled).stat().st_size / 1e6
        typer.echo(f"{bundled:<14}{size_mb:6.1f} MB  sha256 {checksum}")


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="What to show, in words.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="A .mp4, .webp, .gif or .png file.", show_default=False
        ),
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Width x height in pixels.")] = "64x64",
    seconds: Annotated[
        float | None, typer.Option(help="Length; 2 unless --frames is given.")
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Length in frames.")] = None,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal clips.")] = 0,
    num: Annotated[int, typer.Option(help="How many variants, of seeds that follow.")] = 1,
    steps: Annotated[int, typer.Option(help="Steps from noise to clip.")] = 24,
    guidance: Annotated[float, typer.Option(help="How strictly words are followed.")] = 2.5,
    weights: WeightsOption = "maker",
    autoencoder: AutoencoderOption = "autoencoder",
    preview: Annotated[bool, typer.Option("--preview", help="Show the clip as it forms.")] = False,
) -> None:
    """Make a video from words."""
    from cyclorama.cli.clips import default_path, make_clips
    from cyclorama.inference.video import VideoRequest, load_maker
    from cyclorama.shapes import frames_for_duration

    width, height = _size(size)
    if seconds is not None and frames is not None:
        raise ValueError("--seconds and --frames both give the length: leave one out")
    maker = load_maker(weights, autoencoder)
    if frames is None:
        compression = maker.autoencoder.compression
        frames = frames_for_duration(
            2.0 if seconds is None else seconds, rate_fps=fps, compression=compression
        )
    request = VideoRequest(
        prompt=prompt,
        width=width,
        height=height,
        num_frames=frames,
        rate_fps=fps,
        seed=seed,
        num_variants=num,
        num_steps=steps,
        guidance=guidance,
    )
    for path in make_clips(request, maker, output=output or default_path(prompt), preview=preview):
        typer.echo(path)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the clips and the sheet.")] = Path("demo"),
    weights: WeightsOption = "maker",
    autoencoder: AutoencoderOption = "autoencoder",
    reader: Annotated[str, typer.Option(help="Weights that read.")] = "reader",
) -> None:
    """Make a small set of clips and say what they show; find facts in a long made-up book."""
    from cyclorama.cli.clips import make_demo
    from cyclorama.cli.reading import make_reading_demo
    from cyclorama.cli.talking import tell_clips
    from cyclorama.inference.video import load_maker

    *clips, sheet = make_demo(load_maker(weights, autoencoder), out)
    tell_clips(reader, clips)
    typer.echo(sheet)
    typer.echo(make_reading_demo(reader, out))


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="autoencoder, maker, probe or reader.")],
    data: Annotated[
        str,
        typer.Option(
            help="worlds, a NAME.lance store, a folder of videos; reader: generated, or texts."
        ),
    ] = "worlds",
    out: Annotated[
        Path | None, typer.Option(help="The run's folder.  [default: runs/RECIPE]")
    ] = None,
    settings: SettingsOption = None,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Faster steps after a slow first one.")
    ] = True,
    curves: Annotated[bool, typer.Option("--curves", help="Write curves for TensorBoard.")] = False,
) -> None:
    """Train a model; the same command again resumes after a stop or a kill."""
    from cyclorama.cli.training import run_recipe

    out = out or Path("runs") / recipe
    path = run_recipe(
        recipe,
        data=data,
        directory=out,
        settings=settings or [],
        compiled=compiled,
        curves=curves,
    )
    typer.echo(path)


@app.command()
def evaluate(
    what: Annotated[str, typer.Argument(help="autoencoder, maker or reader.")],
    out: Annotated[Path, typer.Option(help="Folder for record.json, picture.png and raw marks.")],
    num: Annotated[int | None, typer.Option(help="How many clips.  [default: 200]")] = None,
    seed: Annotated[int, typer.Option(help="Another seed takes other clips, texts, facts.")] = 0,
    split: Annotated[
        str | None, typer.Option(help="Clips of val_id or a test split.  [default: val_id]")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="A name, file or run's folder.  [default: the bundled]")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="maker: prompts, one a line.")] = None,
    autoencoder: Annotated[
        str | None, typer.Option(help="maker: the one it was trained with.")
    ] = None,
    probe: Annotated[
        str | None, typer.Option(metavar="FILE", help="maker: weights of your own judge.")
    ] = None,
    tests: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="reader: which.  [default: six on text]"),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="reader: as 4096,1m,3h.  [default: 64k,1h]"),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="reader: questions of a test.  [default: 1000]")
    ] = None,
    num_haystacks: HaystacksOption = None,
    haystack: Annotated[
        Path | None, typer.Option(metavar="FILE", help="reader: hide facts in it.")
    ] = None,
    speech: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="reader: recordings and their words.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="reader: memory as int8 (default) or bfloat16.")
    ] = None,
    quote: QuoteOption = False,
) -> None:
    """Measure weights, on clips of known truth or on facts hidden in texts."""
    from cyclorama.cli import measuring

    options = {
        "clips": {"num": num, "split": split},
        "maker": {"prompts": prompts, "autoencoder": autoencoder, "probe": probe},
        "reader": {
            "tests": tests,
            "length": length,
            "trials": trials,
            "num_haystacks": num_haystacks,
            "haystack": haystack,
            "speech": speech,
            "dtype": dtype,
            "quote": quote or None,
        },
    }
    typer.echo(measuring.measure(what, out, seed=seed, weights=weights or what, options=options))


@app.command()
def read(
    files: Annotated[list[Path], typer.Argument(help="Texts, films, sounds, folders.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The memory, NAME.memory; a folder.")
    ],
    dtype: Annotated[str, typer.Option(help="How it is kept: int8, or bfloat16.")] = "int8",
    fps: FilmOption = 1.0,
    weights: WeightsOption = "reader",
) -> None:
    """Read files of any length once, to be asked as often as wanted."""
    from cyclorama.cli.reading import read_files

    common = {"weights": weights, "memory_dtype": dtype, "rate_fps": fps}
    typer.echo(read_files(files, output=output, **common))


@app.command()
def ask(
    words: Annotated[
        list[str],
        typer.Argument(metavar="FILES... QUESTION", help="NAME.memory or files; then a question."),
    ],
    questions: Annotated[
        list[str] | None,
        typer.Option("--question", help="Ask this; may be repeated, all words are files then."),
    ] = None,
    tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 48,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest word.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Equal seeds draw equal answers.")] = 0,
    quote: QuoteOption = False,
    fps: FilmOption = 1.0,
    weights: WeightsOption = "reader",
) -> None:
    """Answer questions about files, folders, or a memory of them."""
    from cyclorama.cli.reading import ask_files, split_question

    sources, asked = split_question(words, questions or [])
    how = {"max_tokens": tokens, "temperature": temperature, "seed": seed, "quote": quote}
    ask_files(sources, asked, weights=weights, rate_fps=fps, **how)


for command in (talking.caption, talking.transcribe, talking.chat):
    app.command()(command)


if __name__ == "__main__":
    app()
