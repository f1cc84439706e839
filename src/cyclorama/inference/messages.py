"""From files and questions to token streams, and from a reading to answers.

Picture a ring binder: files are put in one behind the other, each behind a sheet with its name
(a lone file needs none), a folder's text files in the order of their paths. What is no UTF-8 text
is left out of a folder and counted; named by itself it is refused, since the reader's weights know
text only so far. A question is written between its two marks (`data.needles`); marks cannot be
written by a file, so that no document can ask or answer. Leaves out pictures, films and sound.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cyclorama.data.needles import question_ids
from cyclorama.data.texts import encode_long
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.inference.text import Reader, Reading, continue_all

MEMORY_SUFFIX = ".memory"
_LEFT_BY_WRITING = (MEMORY_SUFFIX, ".memory.partial", ".memory.old")
_HALF_A_LETTER = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, eq=False)
class Stream:
    """Files as one stream: ``ids`` uint16 (S,), what was read, and how many files were no text."""

    ids: np.ndarray
    names: tuple[str, ...]
    num_skipped: int


def file_stream(paths: Sequence[Path]) -> Stream:
    """Return the text files and folders at ``paths`` behind each other, as tokens.

    Several files, and those of a folder, are each headed by a line with their path: relative to
    the folder, whose own name stands in front. Hidden files and memories in a folder are passed
    over. Raises ValueError for a path that is absent or a file that is no text, and when nothing
    is left.
    """
    texts: list[tuple[str, str]] = []
    num_skipped = 0
    for path in paths:
        if path.is_dir():
            for name, text in _folder_texts(path):
                if text is None:
                    num_skipped += 1
                else:
                    texts.append((name, text))
        else:
            texts.append((path.name, _named_text(path)))
    if not any(text for _, text in texts):
        raise ValueError(
            f"there is no text in {', '.join(map(str, paths))} ({len(texts)} empty files, "
            f"{num_skipped} that are no UTF-8 text): give text files"
        )
    lone = len(paths) == 1 and not paths[0].is_dir()
    whole = texts[0][1] if lone else "".join(_headed(name, text) for name, text in texts)
    return Stream(encode_long(whole), tuple(name for name, _ in texts), num_skipped)


def _headed(name: str, text: str) -> str:
    return f"file: {name}\n{text}" + ("\n" if text.endswith("\n") else "\n\n")


def _folder_texts(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Yield name and text of each file in a folder, in order; None where it is no text."""
    root = folder.resolve()
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        passed = any(p.startswith(".") or p.endswith(_LEFT_BY_WRITING) for p in parts)
        if not passed and path.is_file():
            found.append((parts, path))
    for parts, path in sorted(found):
        try:
            text = text_of(path.read_bytes())
        except OSError:  # not ours to read, or gone since it was listed
            text = None
        yield "/".join((root.name, *parts)), text


def _named_text(path: Path) -> str:
    if not path.exists():
        raise ValueError(f"there is no file {path}: give text files, or folders of them")
    text = text_of(path.read_bytes())
    if text is None:
        raise ValueError(
            f"{path} is no UTF-8 text, and this reader's weights read text only yet (no films, "
            "pictures or sound): give text files"
        )
    return text


def text_of(data: bytes) -> str | None:
    """Return the text of a file's bytes, or None when they are no UTF-8 text."""
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def answer_all(
    reader: Reader,
    reading: Reading,
    *,
    questions: Sequence[str],
    max_tokens: int = 48,
    temperature: float = 0.0,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> list[str]:
    """Return the answer to each question, asked on its own at the end of the reading.

    ``show`` is handed the text of a single question's answer piece by piece, as it forms.
    """
    if any(not question.strip() for question in questions):
        raise ValueError("a question is empty: write one in words")
    if show is not None and len(questions) != 1:
        raise ValueError(f"only one answer can be shown as it forms, not {len(questions)}")
    found = continue_all(
        reader,
        reading,
        prompts=[question_ids(question.strip()) for question in questions],
        max_tokens=max_tokens,
        stop=EOS,
        temperature=temperature,
        seed=seed,
        stream=None if show is None else _as_text(show),
    )
    decode = load_tokenizer().decode
    return [decode(ids).strip() for ids in found]


def _as_text(show: Callable[[str], None]) -> Callable[[list[int]], None]:
    """Return what hears tokens and tells text: whole letters, without the first space."""
    ids: list[int] = []
    told = ""

    def hear(tokens: list[int]) -> None:
        nonlocal told
        ended = tokens[0] < 0
        if not ended:
            ids.append(tokens[0])
        text = load_tokenizer().decode(ids).lstrip()
        if text.endswith(_HALF_A_LETTER) and not ended:
            return  # the rest of the letter is in the next token
        if new := text.removeprefix(told):
            show(new)
        told = text

    return hear
