"""A reading on disk: a directory ``NAME.memory`` from which questions are answered at once.

It holds the mapped shelves (keys, values, scales of int8), the tokens, the state at the end of the
stream, and a card (`card.json`) that names the reader's weights, the content of the stream (tokens,
bytes of media and how they were decoded), and a checksum of every file. It is written aside and
renamed, so that a directory of that name is always whole. A memory of other weights, of another
version, or with a changed byte is refused: a wrong memory would give wrong answers without a sign.
"""

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from cyclorama.inference.messages import Stream
from cyclorama.inference.shelf import PAST_FIELDS
from cyclorama.inference.text import Reader, Reading, read_stream
from cyclorama.models.lm import ReadState
from cyclorama.nn.cache import map_memory, shelves
from cyclorama.nn.window import Past

VERSION = 2


def read_to_file(
    reader: Reader,
    stream: Stream,
    *,
    path: Path,
    source: str = "",
    memory_dtype: str = "int8",
    progress: Callable[[int, int], None] | None = None,
) -> Reading:
    """Read a stream into the memory directory ``path`` and return the reading, mapped from it.

    A memory that stood at ``path`` is kept when it is of the same content, read in the same way
    with the same weights; else it is replaced when the new one is whole; ValueError when what
    stands there is anything else. ``source`` says what was read.
    """
    if holds_reading(path, reader, stream=stream, memory_dtype=memory_dtype):
        return open_reading(path, reader)
    if path.exists() and not (path / "card.json").is_file():
        raise ValueError(f"{path} exists and is no memory of a reading: choose another name")
    aside, old = (path.with_name(path.name + end) for end in (".partial", ".old"))
    for left_by_a_kill in (aside, old):
        if left_by_a_kill.exists():
            shutil.rmtree(left_by_a_kill)
    try:
        _write(reader, stream, aside, source, memory_dtype, progress)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if path.exists():
        path.replace(old)
    aside.replace(path)
    shutil.rmtree(old, ignore_errors=True)
    return open_reading(path, reader, verify=False)  # the sums were taken a moment ago


def holds_reading(path: Path, reader: Reader, *, stream: Stream, memory_dtype: str) -> bool:
    """Return whether a memory at ``path`` is what reading ``stream`` would write, undamaged.

    Tokens and files count by their bytes and by how they are decoded, stems by the weights'
    checksum. A memory that is damaged is none.
    """
    try:
        card = _read_card(path)
        open_reading(path, reader)
    except ValueError:
        return False
    return card["content"] == stream.content and card["memory_dtype"] == memory_dtype


def _write(
    reader: Reader,
    stream: Stream,
    aside: Path,
    source: str,
    memory_dtype: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    reading = read_stream(
        reader,
        stream.passages(),
        num_tokens=stream.num_tokens,
        memory_dtype=memory_dtype,
        directory=aside,
        progress=progress,
    )
    np.save(aside / "ids.npy", reading.ids)
    save_file(_state_tensors(reading.state), aside / "state.safetensors")
    card = {
        "version": VERSION,
        "reader": reader.checksum,
        "source": source,
        "content": stream.content,
        "tokens": stream.counts(),
        "num_cards": reading.memory.num_cards,
        "memory_dtype": memory_dtype,
        "memory_size": reader.lm.config.memory_size,
        "checksums": {name: _checksum(aside / name) for name in _files(memory_dtype)},
    }
    card["checksum"] = zlib.crc32(_card_text(card).encode())
    (aside / "card.json").write_text(_card_text(card))


def open_reading(path: Path, reader: Reader, *, verify: bool = True) -> Reading:
    """Open a memory directory; ValueError when it is foreign, of another version, or damaged."""
    card = _read_card(path)
    if card["reader"] != reader.checksum:
        raise ValueError(
            f"{path} was read with other weights (checksum {card['reader'][:12]}..., these are "
            f"{reader.checksum[:12]}...): read the document again, or pass its --weights"
        )
    for name in _files(card["memory_dtype"]) if verify else ():
        if not (path / name).exists() or _checksum(path / name) != card["checksums"][name]:
            raise ValueError(f"{path / name} is missing or damaged: read the document again")
    memory = map_memory(
        path, card["num_cards"], size=card["memory_size"], dtype=card["memory_dtype"]
    )
    state = _state_from(load_file(path / "state.safetensors"), len(reader.lm.scribes))
    return Reading(memory, replace(state, num_read=card["num_cards"]), np.load(path / "ids.npy"))


def _files(memory_dtype: str) -> tuple[str, ...]:
    return (*shelves(0, 0, dtype=memory_dtype), "ids.npy", "state.safetensors")


def _read_card(path: Path) -> dict[str, Any]:
    try:
        text = (path / "card.json").read_text()
        card = json.loads(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no memory of a reading ({error}): make it again") from error
    version = card.get("version") if isinstance(card, dict) else None
    if version != VERSION:
        raise ValueError(
            f"{path} has version {version!r}, wanted {VERSION}: read the document again"
        )
    whole = text == _card_text(card)
    if card.pop("checksum", None) != zlib.crc32(_card_text(card).encode()) or not whole:
        raise ValueError(f"{path / 'card.json'} is damaged: read the document again")
    return card


def _card_text(card: dict[str, Any]) -> str:
    return json.dumps(card, indent=1)


def _checksum(path: Path, block_bytes: int = 1 << 24) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(block_bytes):
            value = zlib.crc32(block, value)
    return value


def _state_tensors(state: ReadState) -> dict[str, torch.Tensor]:
    tensors = {
        f"{number}.{name}": getattr(past, name)
        for number, past in enumerate(state.layers)
        for name in PAST_FIELDS
    }
    tensors["tail"] = state.tail_BJD
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _state_from(tensors: dict[str, torch.Tensor], depth: int) -> ReadState:
    layers = tuple(
        Past(*(tensors[f"{number}.{name}"] for name in PAST_FIELDS)) for number in range(depth)
    )
    return ReadState(layers, tensors["tail"], 0)
