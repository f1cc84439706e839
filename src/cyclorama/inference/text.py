"""Read a long stream once, then answer any number of questions from its memory.

Reading walks the scribe through the stream in pieces; what it needs besides the memory it fills is
one piece and the state between pieces, whatever the length: words, and frames and sound between
them, are fetched and embedded a piece at a time. Asking continues from the state at the
end of the stream, as if each question were written right after it: the questions' own tokens are
walked, their cards lie on a small shelf of their own, and the rows of all questions meet each chunk
of the memory in one product: of a short memory for every token, of most long ones once, and each
question then reads the places that were found (`second_look`). All questions advance together, one
token a step; greedy or sampled.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cyclorama.data.passages import MEDIUM, Passage, joined_passage
from cyclorama.data.tokenizer import SPECIAL_TOKENS, load_tokenizer
from cyclorama.inference.quotes import Quotations
from cyclorama.inference.second_look import LEAST, Desk, Places
from cyclorama.models.lm import LM, ReadState
from cyclorama.nn.cache import Memory, open_memory
from cyclorama.nn.recall import Chunk, Look
from cyclorama.nn.window import Past
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

    ``two_looks``: long memories are searched once a question, as `continue_all` says. ``quotes``:
    an answer is words that stand in what was read, or "not found" (`inference.quotes`).
    """

    lm: LM
    checksum: str
    two_looks: bool = True
    quotes: bool = False


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
    With ``quotes`` of the reader an answer is words of what was read; there must be a ``stop``.
    ``stream`` sees the newest token of every prompt after each step (-1 where one has ended).
    """
    _check_asked(prompts, temperature)
    # One generator a question, by its number: who its neighbours are makes no difference.
    generators = [
        torch.Generator().manual_seed(seed * 1_000_003 + number) for number in range(len(prompts))
    ]
    memory = reading.memory
    shelf, rows_BD, state = _walk_prompts(reader, reading, prompts)
    found: list[list[int]] = [[] for _ in prompts]
    quotations = _quotations(reader, reading, stop)
    alive = list(range(len(prompts)))
    twice = _looked_at_twice(reader, reading, prompts)
    seeking, [comma] = sorted(twice), load_tokenizer().encode(",")
    for _ in range(max_tokens):
        if seeking:
            rows = rows_BD[[alive.index(question) for question in seeking]]
            shelf.search(reader.lm, rows, memory=memory, questions=seeking)
        logits = shelf.answer(reader.lm, rows_BD, memory=memory, questions=alive).float()
        if quotations is not None:
            quotations.hold(logits, questions=alive, said=found, desks=shelf.desks)
        newest = _choose(logits, temperature, [generators[question] for question in alive])
        shown = [-1] * len(prompts)
        for question, token in zip(alive, newest, strict=True):
            if token != stop:
                found[question].append(token)
                shown[question] = token
        if stream is not None:
            stream(shown)
        going = [i for i, token in enumerate(newest) if token != stop]
        # Behind a comma another part of a list may begin, which stands elsewhere.
        seeking = [alive[i] for i in going if alive[i] in twice and newest[i] == comma]
        alive = [alive[i] for i in going]
        if not alive:
            break
        tokens = torch.tensor([[newest[i]] for i in going])
        x, k, v, state = reader.lm.read(reader.lm.embed(tokens), state.take(torch.tensor(going)))
        shelf.add(alive, k, v_BLK=v)
        rows_BD = x[:, -1]
    return found if quotations is None else quotations.whole_parts(found, shelf.desks)


def _check_asked(prompts: Sequence[Sequence[int]], temperature: float) -> None:
    if not prompts or any(not prompt for prompt in prompts):
        raise ValueError("there must be a prompt, and each needs at least one token")
    if temperature < 0:
        raise ValueError(f"temperature must be 0 (greedy) or more, got {temperature}")


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


@dataclass
class OwnShelf:
    """The cards of the questions' own tokens, beside the memory that all share or a desk each."""

    k: list[Tensor]  # per question (Lq, K)
    v: list[Tensor]
    desks: dict[int, Desk] = field(default_factory=dict)

    def add(self, questions: Sequence[int], k_BLK: Tensor, *, v_BLK: Tensor) -> None:
        """Add the newest cards of some questions."""
        for question, k_LK, v_LK in zip(questions, k_BLK, v_BLK, strict=True):
            self.k[question] = torch.cat((self.k[question], k_LK))
            self.v[question] = torch.cat((self.v[question], v_LK))

    def search(self, lm: LM, rows_BD: Tensor, *, memory: Memory, questions: Sequence[int]) -> None:
        """Walk the memory with the rows of some questions, and bring each its desk."""
        places = Places(memory)
        lm.answer(rows_BD, self.look(memory, questions, dtype=rows_BD.dtype, note=places.note))
        self.desks.update(zip(questions, places.desks(rows_BD.dtype), strict=True))

    def answer(
        self, lm: LM, rows_BD: Tensor, *, memory: Memory, questions: Sequence[int]
    ) -> Float[Tensor, "B V"]:
        """Return next-token logits of some questions, one row each."""
        logits: dict[int, Tensor] = {}  # by question
        row_of = dict(zip(questions, rows_BD.split(1), strict=True))
        if whole := [question for question in questions if question not in self.desks]:
            rows = torch.cat([row_of[question] for question in whole])
            look = self.look(memory, whole, dtype=rows.dtype)
            logits |= zip(whole, lm.answer(rows, look).split(1), strict=True)
        for question in row_of.keys() - logits.keys():
            look = self.desks[question].look(self.k[question], self.v[question])
            logits[question] = lm.answer(row_of[question], look)
        return torch.cat([logits[question] for question in questions])

    def look(
        self,
        memory: Memory,
        questions: Sequence[int],
        *,
        dtype: torch.dtype,
        note: Callable[[Tensor, int], None] | None = None,
    ) -> Look:
        """Show each question (one row each) the whole memory, then its own cards alone."""
        lengths = torch.tensor([len(self.k[q]) for q in questions])
        k_own = torch.cat([self.k[q] for q in questions])
        v_own = torch.cat([self.v[q] for q in questions])
        owner = torch.repeat_interleave(torch.arange(len(questions)), lengths)
        at = torch.cat([torch.arange(n) for n in lengths.tolist()])
        base = memory.num_cards
        position = base + lengths - 1

        def chunks() -> Iterator[Chunk]:
            yield from memory.chunks(dtype)
            yield k_own, v_own, base

        def view(first: int, length: int) -> tuple[Tensor | None, Tensor]:
            if first < base:
                return None, position[:, None] - torch.arange(first, first + length)
            mine = owner == torch.arange(len(questions))[:, None]
            return mine, position[:, None] - (base + at)

        return Look(chunks, position, base + lengths, view=view, note=note)


def _walk_prompts(
    reader: Reader, reading: Reading, prompts: Sequence[Sequence[int]]
) -> tuple[OwnShelf, Tensor, ReadState]:
    """Walk all prompts, those of one length together; return cards, last rows and states."""
    shelf = OwnShelf([torch.empty(0)] * len(prompts), [torch.empty(0)] * len(prompts))
    rows: list[Tensor] = [torch.empty(0)] * len(prompts)
    states: list[ReadState] = [reading.state] * len(prompts)
    for length in sorted({len(prompt) for prompt in prompts}):
        chosen = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
        ids = torch.tensor([list(prompts[i]) for i in chosen])
        x, k, v, state = reader.lm.read(
            reader.lm.embed(ids), reading.state.take(torch.zeros(len(chosen), dtype=torch.int64))
        )
        for number, question in enumerate(chosen):
            shelf.k[question], shelf.v[question] = k[number], v[number]
            rows[question] = x[number, -1]
            states[question] = state.take(torch.tensor([number]))
    return shelf, torch.stack(rows), _join(states)


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


def _join(states: Sequence[ReadState]) -> ReadState:
    """Return the states of several batches as that of one."""
    layers = [
        Past(*(torch.cat([getattr(past, name) for past in pasts]) for name in PAST_FIELDS))
        for pasts in zip(*(state.layers for state in states), strict=True)
    ]
    tail_BJD = torch.cat([state.tail_BJD for state in states])
    return replace(states[0], layers=tuple(layers), tail_BJD=tail_BJD)


PAST_FIELDS = tuple(field.name for field in fields(Past))
