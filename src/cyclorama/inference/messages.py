"""From files, messages and questions to token streams, and from a reading to answers.

Picture a ring binder: files are put in one behind the other, each behind a sheet with its name
(a lone file needs none), a folder's files in the order of their paths; text, pictures, films and
sounds in any order. What cannot be read is left out of a folder and counted; named by itself it is
refused with the reason, also when it is only these weights that cannot. A question is written
between its two marks (`data.needle_stream`), and so is each turn of a talk; marks cannot be written
by a file, so that no document can ask or answer.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cyclorama.data.needles import answer_ids, question_ids
from cyclorama.data.passages import Passage
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.inference.files import Item, Viewing, ids_item, media_items, text_item
from cyclorama.inference.text import Reader, Reading, continue_all, read_tokens
from cyclorama.media.errors import UnreadableMediaError
from cyclorama.models.lm import LMConfig

MEMORY_SUFFIX = ".memory"
_LEFT_BY_WRITING = (MEMORY_SUFFIX, ".memory.partial", ".memory.old")
_HALF_A_LETTER = "\N{REPLACEMENT CHARACTER}"
_HEAD_BYTES = 1 << 16
TEXT_ONLY = LMConfig()
SLOW = Viewing()


@dataclass(frozen=True, eq=False)
class Stream:
    """Items behind each other, not read yet; the names of files, and how many were left out."""

    items: tuple[Item, ...]
    names: tuple[str, ...]
    num_skipped: int = 0

    @property
    def num_tokens(self) -> int:
        """How many tokens reading will give."""
        return sum(item.num_tokens for item in self.items)

    @property
    def content(self) -> str:
        """SHA-256 over what all items hold and how it is decoded: the same for the same stream."""
        return hashlib.sha256("".join(item.content for item in self.items).encode()).hexdigest()

    def counts(self) -> dict[str, int]:
        """Return how many tokens are text, pictures, films and sound."""
        counts: dict[str, int] = {}
        for item in self.items:
            counts[item.kind] = counts.get(item.kind, 0) + item.num_tokens
        return counts

    def passages(self) -> Iterator[Passage]:
        """Read the items, one after the other."""
        for item in self.items:
            yield from item.passages()


@dataclass(frozen=True)
class Message:
    """A turn of a talk: words and files in any order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Path, ...]


def file_stream(
    paths: Sequence[Path], *, config: LMConfig = TEXT_ONLY, viewing: Viewing = SLOW
) -> Stream:
    """Return the files and folders at ``paths`` behind each other, for weights of ``config``.

    Several files, and those of a folder, are each headed by a line with their path: relative to
    the folder, whose own name stands in front. Hidden files and memories in a folder are passed
    over. Raises ValueError for a path that is absent or a file that cannot be read, and when
    nothing is left.
    """
    found: list[tuple[str, list[str | Item]]] = []
    num_skipped = 0
    for path in paths:
        if not path.is_dir():
            found.append((path.name, _named_file(path, config, viewing)))
            continue
        for name, parts in _folder_files(path, config, viewing):
            if parts is None:
                num_skipped += 1
            else:
                found.append((name, parts))
    if not any(part for _, parts in found for part in parts):
        raise ValueError(
            f"there is nothing to read in {', '.join(map(str, paths))} ({len(found)} empty files, "
            f"{num_skipped} that these weights cannot read): give text files"
        )
    names = tuple(name for name, _ in found)
    if len(paths) == 1 and not paths[0].is_dir():
        return Stream(_items(found[0][1]), names)
    headed = [part for name, parts in found for part in _headed(name, parts)]
    return Stream(_items(headed), names, num_skipped)


def talk_stream(
    messages: Sequence[Message], *, config: LMConfig = TEXT_ONLY, viewing: Viewing = SLOW
) -> tuple[Stream, str]:
    """Return a talk up to its last question, and that question.

    In a user's turn the words at its end are asked, what stands before them is laid before the
    reader; an assistant's turn answers the question before it. ValueError when the last turn asks
    nothing, or a turn is not of its role.
    """
    if not messages or messages[-1].role != "user" or not _asked(messages[-1]):
        raise ValueError("the last message must be the user's and end in words: that is asked")
    parts: list[str | Item] = []
    names: list[str] = []
    for number, message in enumerate(messages):
        if message.role == "assistant":
            if number == 0 or not _asked(messages[number - 1]):
                raise ValueError(f"message {number} answers, but none before it asks: leave it out")
            parts.append(_answer_item(message))
            continue
        asked = _asked(message)
        for part in message.parts[:-1] if asked else message.parts:
            if isinstance(part, Path):
                names.append(part.name)
                parts += _named_file(part, config, viewing)
            else:
                parts.append(part + "\n")
        if message is not messages[-1] and asked:
            if messages[number + 1].role != "assistant":
                raise ValueError(f"message {number} asks and {number + 1} does not answer it")
            parts.append(ids_item(np.array(question_ids(asked), np.uint16)))
    if not parts:
        parts.append("\n")  # something must have been read before anything can be asked
    return Stream(_items(parts), tuple(names)), _asked(messages[-1])


def _asked(message: Message) -> str:
    last = message.parts[-1] if message.parts and message.role == "user" else ""
    return last.strip() if isinstance(last, str) else ""


def _answer_item(message: Message) -> Item:
    if not all(isinstance(part, str) for part in message.parts):
        raise ValueError("an assistant's message holds a file: it must be words")
    text = " ".join(map(str, message.parts)).strip()
    return ids_item(np.array(answer_ids(text), np.uint16))


def _items(parts: Sequence[str | Item]) -> tuple[Item, ...]:
    """Return items, words that follow each other encoded as one text."""
    items: list[Item] = []
    text = ""
    for part in (*parts, None):
        if isinstance(part, str):
            text += part
            continue
        if text:
            items.append(text_item(text))
            text = ""
        if part is not None:
            items.append(part)
    return tuple(items)


def _headed(name: str, parts: Sequence[str | Item]) -> list[str | Item]:
    is_line = isinstance(parts[-1], str) and parts[-1].endswith("\n")
    return [f"file: {name}\n", *parts, "\n" if is_line else "\n\n"]


def _folder_files(
    folder: Path, config: LMConfig, viewing: Viewing
) -> Iterator[tuple[str, list[str | Item] | None]]:
    """Yield name and parts of each file in a folder, in order; None where it cannot be read."""
    root = folder.resolve()
    found = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        passed = any(p.startswith(".") or p.endswith(_LEFT_BY_WRITING) for p in parts)
        if not passed and path.is_file():
            found.append((parts, path))
    for parts, path in sorted(found):
        try:
            read = _file_parts(path, config, viewing)
        except (OSError, ValueError):  # not ours to read, gone since, or nothing for these weights
            read = None
        yield "/".join((root.name, *parts)), read


def _named_file(path: Path, config: LMConfig, viewing: Viewing) -> list[str | Item]:
    if not path.exists():
        raise ValueError(f"there is no file {path}: give files, or folders of them")
    try:
        return _file_parts(path, config, viewing)
    except UnreadableMediaError as error:
        raise ValueError(
            f"{path} is no UTF-8 text, and no picture, film or sound that can be opened: give "
            "files of these kinds"
        ) from error


def _file_parts(path: Path, config: LMConfig, viewing: Viewing) -> list[str | Item]:
    text = file_text(path)
    return [text] if text is not None else [*media_items(path, config=config, viewing=viewing)]


def file_text(path: Path) -> str | None:
    """Return the text of a file, or None when it is no UTF-8 text."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        # Hours of sound are not fetched to find that they are no text.
        return None if b"\0" in head else text_of(head + file.read())


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

    ``show`` is handed the text of a single question's answer piece by piece, as it forms;
    of a long text, once it is settled (`third_look`).
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


def remember_turn(reader: Reader, reading: Reading, *, question: str, answer: str) -> Reading:
    """Return a reading that goes on with a question and its answer, as `talk_stream` writes them.

    The memory is copied: a turn of a talk costs what its memory weighs.
    """
    ids = [*question_ids(question.strip()), *answer_ids(answer.strip())]
    return read_tokens(reader, ids, after=reading, memory_dtype=reading.memory.dtype)


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
