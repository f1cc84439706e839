"""Read a long stream once, then answer any number of questions from its memory.

Reading walks the scribe through the stream in pieces; what it needs besides the memory it fills is
one piece and the state between pieces, whatever the length: words, and frames and sound between
them, are fetched and embedded a piece at a time. Asking continues from the state at the
end of the stream, as if each question were written right after it: the questions' own tokens are
walked, their cards lie on a small shelf of their own, and the rows of all questions meet each chunk
of the memory in one product: of a short memory for every token, of most long ones once, and each
question then reads the places that were found (`second_look`). All questions advance together, one
token a step; greedy or sampled. What was found in a long text is read anew before it is told
(`third_look`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.needle_stream import QUESTION
from cyclorama.data.passages import MEDIUM, Passage, joined_passage
from cyclorama.data.tokenizer import SPECIAL_TOKENS, load_tokenizer
from cyclorama.inference.quotes import Quotations
from cyclorama.inference.second_look import LEAST
from cyclorama.inference.shelf import walk_prompts
from cyclorama.inference.third_look import Said, Spot, settled
from cyclorama.models.lm import LM, ReadState
from cyclorama.nn.cache import Memory, open_memory
from cyclorama.weights.catalogue import find_weights
from cyclorama.weights.files import load_weights

AUDIO = SPECIAL_TOKENS.index("<audio>")
INSTANT = re.compile(r"\d\d:\d\d:\d\d")  # within what `passages.stamp` writes
PIECE = (
    4096  # tokens read at once; with 16,384 the layers' tokens leave the cache: 1.6 times slower
)


@dataclass(frozen=True, eq=False)
class Reader:
    """A reader ready to use: the network in its compute dtype, and its weights' checksum.

    ``two_looks``: long memories are searched once a question, as `continue_all` says.
    ``three_looks``: and the page where something was found is read anew. ``quotes``: an answer is
    words that stand in what was read, or "not found" (`inference.quotes`).
    """

    lm: LM
    checksum: str
    two_looks: bool = True
    three_looks: bool = True
    quotes: bool = False


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen: greedily for ``temperature`` 0, at most ``max_tokens`` before stop."""

    max_tokens: int
    stop: int | None
    temperature: float
    seed: int


@dataclass(frozen=True, eq=False)
class Reading:
    """A stream that was read: its memory, the state at its end, and its tokens (uint16)."""

    memory: Memory
    state: ReadState
    ids: np.ndarray


def load_reader(weights: str = "reader", *, dtype: torch.dtype = torch.bfloat16) -> Reader:
    """Load a bundled reader by name, or any by path."""
    loaded = load_weights(find_weights(weights), kind="reader")
    assert isinstance(loaded.model, LM)  # the kind says so
    return Reader(loaded.model.eval().to(dtype), loaded.checksum)


def read_tokens(
    reader: Reader,
    ids: Sequence[int] | np.ndarray,
    *,
    after: Reading | None = None,
    memory_dtype: str = "bfloat16",
    directory: Path | None = None,
    piece: int = PIECE,
    progress: Callable[[int, int], None] | None = None,
) -> Reading:
    """Read token ids of words alone; see `read_stream`."""
    tokens = np.asarray(ids, dtype=np.uint16)
    return read_stream(
        reader,
        [Passage(tokens)] if len(tokens) else [],
        num_tokens=len(tokens),
        after=after,
        memory_dtype=memory_dtype,
        directory=directory,
        piece=piece,
        progress=progress,
    )


@torch.inference_mode()
def read_stream(
    reader: Reader,
    passages: Iterable[Passage],
    *,
    num_tokens: int,
    after: Reading | None = None,
    memory_dtype: str = "bfloat16",
    directory: Path | None = None,
    piece: int = PIECE,
    progress: Callable[[int, int], None] | None = None,
) -> Reading:
    """Read passages into a memory, in memory or mapped from files in ``directory``.

    With ``after`` the stream goes on where another one ended; its cards are copied in front.
    ``progress(read, of)`` is called after each piece. Raises ValueError for an empty stream, for
    one of another length than ``num_tokens``, and for media that the reader's weights do not read.
    """
    before, read = 0 if after is None else after.memory.num_cards, 0
    if not num_tokens and not before:
        raise ValueError("there is nothing to read: the stream has no tokens")
    size = reader.lm.config.memory_size
    memory = open_memory(before + num_tokens, size, dtype=memory_dtype, directory=directory)
    joined, state = np.empty(before + num_tokens, np.uint16), None
    if after is not None:
        state, joined[:before] = after.state, after.ids
        memory.extend(after.memory)
        if num_tokens:  # the last cards are written anew: they know more now
            memory.num_cards -= min(before, reader.lm.config.hindsight)
    for ids_L, x_LD in _embedded(reader.lm, passages, piece):
        place, read = before + read, read + len(ids_L)
        if read > num_tokens:
            break
        x_BLD, _, _, following = reader.lm.read(x_LD[None], state)
        k_BWK, v_BWK = reader.lm.write(x_BLD, state, ended=read == num_tokens)
        memory.append(k_BWK[0], v_BWK[0])
        joined[place : before + read], state = ids_L, following
        if progress is not None:
            progress(read, num_tokens)
    if read != num_tokens:
        ended = "ended after" if read < num_tokens else "went on to"
        raise ValueError(
            f"the stream {ended} {read} tokens, {num_tokens} were announced: was a file changed "
            "while it was read?"
        )
    assert state is not None  # there was at least one piece, or one before
    return Reading(memory, state, joined)


def _embedded(
    lm: LM, passages: Iterable[Passage], piece: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yield ids and embedded tokens (L, D) of a stream, ``piece`` tokens at a time or fewer."""
    for passage in _gathered(passages, piece):
        ids = torch.from_numpy(passage.ids.astype(np.int64))
        media = [torch.from_numpy(medium) for medium in passage.media]
        is_medium = (ids == MEDIUM) & bool(media)
        x_LD = lm.embed_stream(ids, media, is_medium_L=is_medium)
        for start in range(0, len(ids), piece):
            yield passage.ids[start : start + piece], x_LD[start : start + piece]


def _gathered(passages: Iterable[Passage], size: int) -> Iterator[Passage]:
    """Yield passages of nearly ``size`` tokens: long words cut, short passages joined."""
    held: list[Passage] = []
    for passage in passages:
        step = len(passage.ids) if passage.media else size  # media are embedded whole
        for start in range(0, len(passage.ids), step):
            part = Passage(passage.ids[start : start + step], passage.media)
            if held and sum(len(p.ids) for p in (*held, part)) > size:
                yield joined_passage(held)
                held = []
            held.append(part)
    if held:
        yield joined_passage(held)


@torch.inference_mode()
def continue_all(
    reader: Reader,
    reading: Reading,
    *,
    prompts: Sequence[Sequence[int]],
    max_tokens: int = 48,
    stop: int | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    stream: Callable[[list[int]], None] | None = None,
) -> list[list[int]]:
    """Return what follows each prompt (token ids), each asked as if alone after the reading.

    As if alone but for rounding: products of more rows may sum in another order.

    Greedy for ``temperature`` 0. A continuation ends before ``stop`` or after ``max_tokens``. A
    long memory is searched once and then read where something was found (`second_look`). Every
    token searches it where ``two_looks`` of the reader is False and, in a memory that holds sound,
    for questions that name no instant.
    With ``three_looks``, greedy, and with a ``stop``, an answer from a long memory is read anew at
    its place (`third_look`). With ``quotes`` of the reader an answer is words of what was read;
    there must be a ``stop``.
    ``stream`` sees the newest token of every prompt after each step (-1 where one has ended): of
    answers that are read anew, when all are settled.
    """
    _check_asked(prompts, temperature)
    decoding = Decoding(max_tokens, stop, temperature, seed)
    twice = _looked_at_twice(reader, reading, prompts)
    anew = bool(twice) and _read_anew(reader, reading, decoding)
    said, spots = _continued(
        reader,
        reading,
        prompts,
        decoding,
        twice=twice,
        note_spots=anew,
        stream=None if anew else stream,
    )
    if anew:
        strict = replace(reader, quotes=True)  # what a page answers must stand on it
        for number, found in spots.items():
            ask = partial(_from_page, strict, prompt=prompts[number], decoding=decoding)
            said[number] = settled(said[number], ids=reading.ids, spots=found, ask=ask)
    answers = [one.ids for one in said]
    if anew and stream is not None:
        for step in zip_longest(*answers, fillvalue=-1):
            stream(list(step))
        stream([-1] * len(answers))
    return answers


def _from_page(
    reader: Reader, ids: np.ndarray, *, prompt: Sequence[int], decoding: Decoding
) -> Said:
    """Return the answer of a page that is read by itself."""
    [said], _ = _continued(reader, read_tokens(reader, ids), [prompt], decoding)
    return said


def _continued(
    reader: Reader,
    reading: Reading,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    twice: Set[int] = frozenset(),
    note_spots: bool = False,
    stream: Callable[[list[int]], None] | None = None,
) -> tuple[list[Said], dict[int, list[Spot]]]:
    """Return what follows each prompt; with ``note_spots`` also where the first search led.

    Probabilities are the reader's own, also where answers are held to quotations.
    """
    # One generator a question, by its number: who its neighbours are makes no difference.
    generators = [
        torch.Generator().manual_seed(decoding.seed * 1_000_003 + number)
        for number in range(len(prompts))
    ]
    memory = reading.memory
    shelf, rows_BD, state = walk_prompts(reader.lm, reading.state, prompts=prompts)
    found: list[list[int]] = [[] for _ in prompts]
    sure = [0.0] * len(prompts)
    quotations = _quotations(reader, reading, decoding.stop)
    alive = list(range(len(prompts)))
    config = reader.lm.config
    num_far = config.cross_heads - config.distant_heads if note_spots else 0
    seeking, [comma] = sorted(twice), load_tokenizer().encode(",")
    for _ in range(decoding.max_tokens):
        if seeking:
            rows = rows_BD[[alive.index(question) for question in seeking]]
            shelf.search(reader.lm, rows, memory=memory, questions=seeking, num_far=num_far)
            num_far = 0  # behind a comma other spots are wanted
        logits = shelf.answer(reader.lm, rows_BD, memory=memory, questions=alive).float()
        chances = logits.log_softmax(dim=-1)
        if quotations is not None:
            quotations.hold(logits, questions=alive, said=found, desks=shelf.desks)
        newest = _choose(logits, decoding.temperature, [generators[question] for question in alive])
        shown = [-1] * len(prompts)
        for row, (question, token) in enumerate(zip(alive, newest, strict=True)):
            sure[question] += float(chances[row, token])
            if token != decoding.stop:
                found[question].append(token)
                shown[question] = token
        if stream is not None:
            stream(shown)
        going = [i for i, token in enumerate(newest) if token != decoding.stop]
        # Behind a comma another part of a list may begin, which stands elsewhere.
        seeking = [alive[i] for i in going if alive[i] in twice and newest[i] == comma]
        alive = [alive[i] for i in going]
        if not alive:
            break
        tokens = torch.tensor([[newest[i]] for i in going])
        x, k, v, state = reader.lm.read(reader.lm.embed(tokens), state.take(torch.tensor(going)))
        shelf.add(alive, k, v_BLK=v)
        rows_BD = x[:, -1]
    if quotations is not None:
        found = quotations.whole_parts(found, shelf.desks)
    return [Said(*one) for one in zip(found, sure, strict=True)], shelf.spots


def _check_asked(prompts: Sequence[Sequence[int]], temperature: float) -> None:
    if not prompts or any(not prompt for prompt in prompts):
        raise ValueError("there must be a prompt, and each needs at least one token")
    if temperature < 0:
        raise ValueError(f"temperature must be 0 (greedy) or more, got {temperature}")


def _read_anew(reader: Reader, reading: Reading, decoding: Decoding) -> bool:
    """Tell whether `third_look` settles answers: of those that end, as they are likeliest.

    A talk is answered from all that was said in it: a page knows of no question before.
    """
    if not reader.three_looks or decoding.temperature or decoding.stop is None:
        return False
    return decoding.max_tokens > 0 and QUESTION not in reading.ids


def _quotations(reader: Reader, reading: Reading, stop: int | None) -> Quotations | None:
    """Return what holds the answers of a reader that quotes."""
    if not reader.quotes:
        return None
    if stop is None:
        raise ValueError("a reader that quotes needs a stop, by which an answer can end")
    return Quotations(reading.ids, stop)


def _looked_at_twice(
    reader: Reader, reading: Reading, prompts: Sequence[Sequence[int]]
) -> set[int]:
    """Return the numbers of the prompts that `second_look` answers from a desk."""
    if not reader.two_looks or reading.memory.num_cards <= LEAST:
        return set()
    if AUDIO not in reading.ids:
        return set(range(len(prompts)))
    decode = load_tokenizer().decode
    return {number for number, prompt in enumerate(prompts) if INSTANT.search(decode(prompt))}


def _choose(
    logits_RV: Tensor, temperature: float, generators: Sequence[torch.Generator]
) -> list[int]:
    if temperature == 0:
        return logits_RV.argmax(dim=-1).tolist()
    weights_RV = (logits_RV / temperature).softmax(dim=-1)
    return [
        int(torch.multinomial(weights_V, 1, generator=generator))
        for weights_V, generator in zip(weights_RV, generators, strict=True)
    ]
