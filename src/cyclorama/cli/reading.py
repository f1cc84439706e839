"""From files to a memory on disk, and from files or a memory to answers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

DEMO_TOKENS, NUM_FACTS, DEMO_SEED = 131_072, 4, 2


def read_files(
    sources: Sequence[Path],
    *,
    output: Path,
    weights: str,
    memory_dtype: str,
    rate_fps: float = 1.0,
) -> Path:
    """Read files and folders into the memory directory ``output`` and return it."""
    from cyclorama.cli import show
    from cyclorama.inference.memory_file import read_to_file
    from cyclorama.inference.messages import MEMORY_SUFFIX
    from cyclorama.inference.text import load_reader
    from cyclorama.nn.cache import DTYPES

    if output.suffix != MEMORY_SUFFIX:
        raise ValueError(f"cannot write {output}: a memory's name ends in {MEMORY_SUFFIX}")
    if memory_dtype not in DTYPES:
        raise ValueError(f"--dtype {memory_dtype!r}: give one of {', '.join(DTYPES)}")
    reader = load_reader(weights)
    stream = open_stream(sources, reader, rate_fps=rate_fps)
    with show.progress_bar("tokens") as report:
        read_to_file(
            reader,
            stream,
            path=output,
            source=", ".join(map(str, sources)),
            memory_dtype=memory_dtype,
            progress=report,
        )
    return output


def ask_files(
    sources: Sequence[Path],
    questions: Sequence[str],
    *,
    weights: str,
    max_tokens: int,
    temperature: float,
    seed: int,
    quote: bool = False,
    rate_fps: float = 1.0,
) -> None:
    """Print answers from a memory or from files: one alone as it forms, several with questions.

    Where an answer's words stand in what was read, file and line are said.
    """
    import typer

    from cyclorama.cli.show import say
    from cyclorama.inference.messages import answer_all
    from cyclorama.inference.sources import place_of
    from cyclorama.inference.text import load_reader

    if max_tokens < 1:
        raise ValueError(f"--tokens must be at least 1, got {max_tokens}")
    reader = replace(load_reader(weights), quotes=quote)
    reading = open_any(sources, reader, rate_fps=rate_fps)
    alone = len(questions) == 1
    streams = alone and not quote  # what a quotation ends with may be taken back
    answers = answer_all(
        reader,
        reading,
        questions=questions,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        show=(lambda text: typer.echo(text, nl=False)) if streams else None,
    )
    if streams:
        typer.echo()
    for question, answer in zip(questions, answers, strict=True):
        if not alone:
            typer.echo(f"{question}\n  {answer}")
        elif quote:
            typer.echo(answer)
        if place := place_of(reading.ids, question=question, answer=answer):
            say(f"  ({place})")


def make_reading_demo(weights: str, directory: Path) -> Path:
    """Hide facts in a made-up book, read it, ask for them, and return the book's path."""
    import numpy as np
    import typer

    from cyclorama.cli.show import say
    from cyclorama.data.needles import draw_set
    from cyclorama.data.texts import generated_texts
    from cyclorama.data.tokenizer import load_tokenizer
    from cyclorama.evaluation.needle import plant
    from cyclorama.inference.messages import answer_all
    from cyclorama.inference.sources import place_of
    from cyclorama.inference.text import load_reader
    from cyclorama.media.atomic import write_aside

    tokenizer, reader = load_tokenizer(), load_reader(weights)
    facts = draw_set(np.random.default_rng(DEMO_SEED), num=NUM_FACTS, split="test").needles
    depths = [(number + 0.5) / NUM_FACTS for number in range(NUM_FACTS)]
    told = [tokenizer.encode(" " + fact.statement) for fact in facts]
    pages = generated_texts(DEMO_TOKENS, seed=DEMO_SEED).ids
    path = directory / "book.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(path) as aside:
        aside.write_text(tokenizer.decode(plant(pages, told, depths=depths).tolist()))
    reading = open_any([path], reader, rate_fps=1.0)
    questions = [fact.question for fact in facts]
    answers = answer_all(reader, reading, questions=questions)
    for question, answer in zip(questions, answers, strict=True):
        typer.echo(f"{question}\n  {answer}")
        if place := place_of(reading.ids, question=question, answer=answer):
            say(f"  ({path}, {place})")
    return path


def split_question(words: Sequence[str], questions: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return files and questions: the last word is the question unless others are given."""
    if questions:
        return [Path(word) for word in words], list(questions)
    if len(words) < 2:
        raise ValueError(
            'nothing is asked: give files, then the question: cyclorama ask FILE "question"'
        )
    if _is_there(words[-1]):
        raise ValueError(
            f"the last argument is the question, but {words[-1]} is a file: "
            'put the question behind it, or use --question "..."'
        )
    return [Path(word) for word in words[:-1]], [words[-1]]


def _is_there(word: str) -> bool:
    try:
        return Path(word).exists()
    except OSError:  # a question may be longer than any name
        return False


def open_any(sources: Sequence[Path], reader: Any, *, rate_fps: float) -> Any:
    """Return the reading of a memory, or of files that are read now."""
    from cyclorama.cli import show
    from cyclorama.inference.memory_file import open_reading
    from cyclorama.inference.messages import MEMORY_SUFFIX
    from cyclorama.inference.text import read_stream

    if any(path.suffix == MEMORY_SUFFIX for path in sources):
        if len(sources) > 1:
            raise ValueError("a memory is asked alone: give one memory, or files")
        return open_reading(sources[0], reader)
    stream = open_stream(sources, reader, rate_fps=rate_fps)
    with show.progress_bar("tokens") as report:
        return read_stream(reader, stream.passages(), num_tokens=stream.num_tokens, progress=report)


def open_stream(sources: Sequence[Path], reader: Any, *, rate_fps: float) -> Any:
    """Return the stream of some files; say how much it is, and what was left out."""
    from cyclorama.cli.show import say
    from cyclorama.inference.files import Viewing
    from cyclorama.inference.messages import file_stream

    stream = file_stream(sources, config=reader.lm.config, viewing=Viewing(rate_fps=rate_fps))
    for item in stream.items:
        if item.echo:
            say(item.echo)
    files = "1 file" if len(stream.names) == 1 else f"{len(stream.names)} files"
    kinds = stream.counts()
    each = ", ".join(f"{count:,} of {kind}" for kind, count in kinds.items())
    say(f"{stream.num_tokens:,} tokens of {files}" + (f": {each}" if len(kinds) > 1 else ""))
    if stream.num_skipped:
        say(f"left out {stream.num_skipped} that these weights cannot read")
    return stream


def talk(
    sources: Sequence[Path],
    *,
    weights: str,
    rate_fps: float,
    max_tokens: int,
    temperature: float,
    seed: int,
) -> None:
    """Answer each line of standard input; what was asked and answered is remembered."""
    import sys

    import typer

    from cyclorama.data.tokenizer import load_tokenizer
    from cyclorama.inference.messages import answer_all, remember_turn
    from cyclorama.inference.text import load_reader, read_tokens

    reader = load_reader(weights)
    if sources:
        reading = open_any(sources, reader, rate_fps=rate_fps)
    else:  # something must have been read before anything can be asked
        reading = read_tokens(reader, load_tokenizer().encode("\n"))
    for line in sys.stdin:
        if not line.strip():
            return
        (answer,) = answer_all(
            reader,
            reading,
            questions=[line],
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            show=lambda text: typer.echo(text, nl=False),
        )
        typer.echo()
        reading = remember_turn(reader, reading, question=line, answer=answer)
