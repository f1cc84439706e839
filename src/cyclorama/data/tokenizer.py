"""Text to token ids and back: byte-level byte-pair encoding with 8,192 entries.

Picture text as beads, one per byte: training glues the commonest neighbours into longer beads,
again and again, until 8,192 kinds exist; encoding strings a new text from the same kinds. Every
byte is a bead, so any text round-trips exactly and nothing is unknown. Digits are never glued
("128" is three tokens), so arithmetic sees place values; letters keep their case, and a caller
who wants none (the maker) lowers the text first. Special tokens have the lowest ids and cannot be
written by a user: ``encode("<image>")`` spells the seven characters, only `special` gives the
mark. Source: Sennrich et al. 2016 (1508.07909), algorithm 1, on bytes as in GPT-2. Leaves out
unicode normalisation, which would break the round trip.

The shipped ``tokenizer.json`` was made by `mix_texts` and `train_tokenizer` from the three books
Don Quixote (Ormsby), Bleak House and Middlemarch (public domain) and as many bytes of captions
from the engine of `cyclorama.worlds`, half of them lower-cased (`recipes.tokenizer`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

NUM_ENTRIES = 8192
_NAMED = (
    "<pad>", "<bos>", "<eos>", "<image>", "</image>", "<video>", "</video>", "<audio>", "</audio>",
)  # fmt: skip
# Named marks and reserve fill the first 32 ids; a later mark takes a reserved id, so that weights
# trained before it stay valid.
SPECIAL_TOKENS = (*_NAMED, *(f"<reserved{i}>" for i in range(32 - len(_NAMED))))
PAD, BOS, EOS = 0, 1, 2

# GPT-2's pattern with one difference: a digit stands alone, without even the space before it.
_PIECES = r"'(?:s|t|re|ve|m|ll|d)\b| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Tokenizer:
    """A trained encoding: text to ids and back. Picklable; safe to share between threads."""

    def __init__(self, trained: tokenizers.Tokenizer) -> None:
        self._trained = trained
        # Makes marks in a user's text plain characters: no text can open an <image>.
        self._trained.encode_special_tokens = True

    def __getstate__(self) -> str:
        return self.to_json()

    def __setstate__(self, state: str) -> None:
        # The library's own pickle forgets the switch that keeps marks out of users' texts.
        self.__init__(tokenizers.Tokenizer.from_str(state))

    def __len__(self) -> int:
        """Return the number of entries, special tokens included."""
        return self._trained.get_vocab_size(with_added_tokens=True)

    @property
    def vocabulary_size(self) -> int:
        """Number of entries, special tokens included: the V of an embedding table."""
        return len(self)

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without any mark; ValueError when it is no valid unicode."""
        return self._trained.encode(_checked(text), add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return `encode` of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ``ids``; marks are written by name, ValueError for an unknown id.

        Ids cut in the middle of a character give U+FFFD there.
        """
        numbers = [int(i) for i in ids]
        wrong = [i for i in numbers if not 0 <= i < len(self)]
        if wrong:
            raise ValueError(f"token ids must lie in [0, {len(self)}), got {wrong[:5]}")
        return self._trained.decode(numbers, skip_special_tokens=False)

    def special(self, name: str) -> int:
        """Return the id of a mark such as ``<image>``; ValueError names the known ones."""
        if name not in SPECIAL_TOKENS:
            known = " ".join(_NAMED)
            raise ValueError(f"no special token {name!r}; there are {known} and <reserved0> on")
        return SPECIAL_TOKENS.index(name)

    def token(self, index: int) -> str:
        """Return the text of one id, for tables and pictures."""
        return self.decode([index])

    def spelling(self) -> tuple[bytes, ...]:
        """Return the bytes of every id, none for a mark."""
        # GPT-2's alphabet: a byte that can be seen is written as itself, each other by the next
        # letter from 256 on.
        seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
        others = (byte for byte in range(256) if byte not in seen)
        byte_of = {chr(byte): byte for byte in seen}
        byte_of |= {chr(256 + number): byte for number, byte in enumerate(others)}
        marks = len(SPECIAL_TOKENS)
        letters = [self._trained.id_to_token(number) for number in range(marks, len(self))]
        return (b"",) * marks + tuple(bytes(byte_of[x] for x in word) for word in letters)

    def to_json(self) -> str:
        """Return the trained encoding as text, the form that is stored."""
        return self._trained.to_str()

    def save(self, path: Path | str) -> None:
        """Write the encoding as JSON, aside and then renamed."""
        target = Path(path)
        aside = target.with_name(f".{target.name}.part")
        aside.write_text(self.to_json(), encoding="utf-8")
        aside.replace(target)


@lru_cache(maxsize=4)
def load_tokenizer(path: Path | str | None = None) -> Tokenizer:
    """Return the shipped tokenizer, or one saved at ``path``; loaded once a process.

    Raises ValueError when the file is no tokenizer of this project.
    """
    source = Path(path) if path is not None else Path(__file__).with_name("tokenizer.json")
    try:
        tree = json.loads(source.read_text(encoding="utf-8"))
        marks = [tree["model"]["vocab"].get(name) for name in SPECIAL_TOKENS]
    except FileNotFoundError:
        raise ValueError(f"no tokenizer at {source}: train one with train_tokenizer") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{source} is no tokenizer: {error!r}") from None
    if marks != list(range(len(SPECIAL_TOKENS))):
        raise ValueError(f"{source} has other special tokens than this version: retrain it")
    return Tokenizer(tokenizers.Tokenizer.from_file(str(source)))


def train_tokenizer(texts: Iterable[str], *, num_entries: int = NUM_ENTRIES) -> Tokenizer:
    """Return a tokenizer with exactly ``num_entries`` entries, the same for the same texts.

    Raises ValueError when the texts are too poor in words to fill the entries.
    """
    floor = len(SPECIAL_TOKENS) + 256
    if num_entries < floor:
        raise ValueError(f"num_entries must be at least {floor} (marks and bytes): {num_entries}")
    encoding = tokenizers.Tokenizer(models.BPE())
    encoding.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    encoding.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=num_entries,
        min_frequency=2,
        show_progress=False,
        special_tokens=list(SPECIAL_TOKENS),
        # Sorted: the library's own list comes in the order of a hash table.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    encoding.train_from_iterator((_checked(text) for text in texts), trainer=trainer)
    trained = Tokenizer(encoding)
    if len(trained) != num_entries:
        raise ValueError(
            f"the texts gave {len(trained)} entries instead of {num_entries}: add more text"
        )
    return trained


def mix_texts(books: Sequence[str], captions: Iterable[str]) -> Iterator[str]:
    """Yield the books by lines, and captions (every second lower-cased) to as many bytes.

    Half of the mass being captions makes every word of the domain one token. Raises ValueError
    when the captions run out first, since the mix would no longer be the one documented.
    """
    size_bytes = 0
    for book in books:
        for line in book.splitlines(keepends=True):
            size_bytes += len(line.encode())
            yield line
    for number, caption in enumerate(captions):
        if size_bytes <= 0:
            return
        size_bytes -= len(caption.encode())
        yield caption.lower() if number % 2 else caption
    if size_bytes > 0:
        raise ValueError(f"captions ended {size_bytes} bytes short of the books: offer more")


def _checked(text: str) -> str:
    """Return ``text`` unless it holds a lone surrogate, which has no bytes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text is no valid unicode at character {error.start} ({text[error.start]!a}): "
            "decode its bytes with errors='replace' first"
        ) from None
    return text
