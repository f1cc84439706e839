"""A memory on disk answers as the one in memory; a foreign or damaged one is refused."""

import json

import numpy as np
import pytest
import torch

from cyclorama.inference.files import ids_item
from cyclorama.inference.memory_file import holds_reading, open_reading, read_to_file
from cyclorama.inference.messages import Stream
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS

TINY = LMS["tiny"]
PROMPTS = [[5, 9, 300], [17], [4, 4, 4, 8]]


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(TINY)), "a" * 64)


def ids(num=60, *, seed=0):
    return np.random.default_rng(seed).integers(TINY.vocabulary, size=num).astype(np.uint16)


def stream(num=60, *, seed=0):
    return Stream((ids_item(ids(num, seed=seed)),), ())


def answers(reader, reading):
    return continue_all(reader, reading, prompts=PROMPTS, max_tokens=3)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_a_memory_from_disk_answers_as_the_one_in_memory(reader, tmp_path, dtype):
    path = tmp_path / "new" / "book.memory"
    written = read_to_file(reader, stream(), path=path, source="a book", memory_dtype=dtype)
    plain = read_tokens(reader, ids(), memory_dtype=dtype)
    for reading in (written, open_reading(path, reader)):
        assert answers(reader, reading) == answers(reader, plain)
        assert reading.memory.dtype == dtype
        assert np.array_equal(reading.ids, ids())
        assert reading.state.num_read == 60
        longer = read_tokens(reader, ids(9, seed=1), after=reading, memory_dtype=dtype)
        wanted = read_tokens(reader, ids(9, seed=1), after=plain, memory_dtype=dtype)
        assert answers(reader, longer) == answers(reader, wanted)
    assert json.loads((path / "card.json").read_text())["source"] == "a book"
    assert [p.name for p in path.parent.iterdir()] == ["book.memory"]


def test_a_memory_of_other_weights_is_refused(reader, tmp_path):
    path = tmp_path / "book.memory"
    read_to_file(reader, stream(), path=path)
    with pytest.raises(ValueError, match=r"read with other weights \(checksum aaaaaaaaaaaa"):
        open_reading(path, Reader(reader.lm, "b" * 64))


FILES = ("keys", "values", "scales", "ids.npy", "state.safetensors", "card.json")


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_refused(reader, tmp_path, name):
    path = tmp_path / "book.memory"
    read_to_file(reader, stream(), path=path, source="a book")
    whole = (path / name).read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=12).tolist():
        for flip in (1, 128):
            broken = bytearray(whole)
            broken[place] ^= flip
            (path / name).write_bytes(broken)
            with pytest.raises(ValueError, match=r"book\.memory"):
                open_reading(path, reader)
    (path / name).write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"book\.memory"):
        open_reading(path, reader)
    (path / name).unlink()
    with pytest.raises(ValueError, match=r"book\.memory"):
        open_reading(path, reader)
    (path / name).write_bytes(whole)
    assert open_reading(path, reader).memory.num_cards == 60


@pytest.mark.parametrize("text", ["[]", "{}", "7", '{"version": 2}', "no json"])
def test_another_card_is_refused(reader, tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ValueError, match="again"):
        open_reading(tmp_path, reader)


def test_a_stop_while_writing_leaves_the_old_one(reader, tmp_path):
    path = tmp_path / "book.memory"
    before = answers(reader, read_to_file(reader, stream(), path=path))

    def stop(done, total):
        assert (tmp_path / "book.memory.partial" / "keys").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_to_file(reader, stream(seed=1), path=path, progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["book.memory"]
    assert answers(reader, open_reading(path, reader)) == before


def test_what_a_kill_left_is_no_hindrance_and_no_memory(reader, tmp_path):
    path = tmp_path / "book.memory"
    for name in ("book.memory.partial", "book.memory.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_bytes(b"half")
    with pytest.raises(ValueError, match="no memory of a reading"):
        open_reading(tmp_path / "book.memory.partial", reader)
    read_to_file(reader, stream(), path=path)
    new = answers(reader, read_to_file(reader, stream(seed=1), path=path))  # replaces the first
    assert new == answers(reader, read_tokens(reader, ids(seed=1), memory_dtype="int8"))
    assert [p.name for p in tmp_path.iterdir()] == ["book.memory"]


def test_a_folder_that_is_no_memory_is_never_replaced(reader, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("to keep")
    (tmp_path / "file").write_text("to keep")
    for name in ("letters", "file"):
        with pytest.raises(ValueError, match="is no memory of a reading: choose another name"):
            read_to_file(reader, stream(), path=tmp_path / name)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "to keep"
    assert (tmp_path / "file").read_text() == "to keep"


def test_what_was_read_already_is_not_read_again(reader, tmp_path):
    path, pieces = tmp_path / "book.memory", []

    def count(done, of):
        pieces.append((done, of))

    first = read_to_file(reader, stream(), path=path, progress=count)
    assert pieces == [(60, 60)]
    again = read_to_file(reader, stream(), path=path, progress=count)
    assert len(pieces) == 1
    assert answers(reader, again) == answers(reader, first)
    assert not holds_reading(path, reader, stream=stream(seed=1), memory_dtype="int8")
    assert not holds_reading(path, reader, stream=stream(), memory_dtype="bfloat16")
    assert not holds_reading(
        path, Reader(reader.lm, "b" * 64), stream=stream(), memory_dtype="int8"
    )
    (path / "keys").write_bytes(bytes(len((path / "keys").read_bytes())))
    read_to_file(reader, stream(), path=path, progress=count)  # damaged: read anew
    assert len(pieces) == 2
    assert holds_reading(path, reader, stream=stream(), memory_dtype="int8")
