"""Text as haystack and as training material: books of the user's, or prose made up on the spot.

Picture one endless tape on which the books are written behind each other as token ids; a window is
a piece cut out of it anywhere, a stream is the tape run round and round for as long as wanted. A
file is tokenised once: its ids are kept beside it under the hash of its content and of the
tokenizer. Without any book there is made-up prose: a grammar of sentences over tables of words,
people, places and numbers, which says nothing true but reads like text. Leaves out what is hidden
in the text (`needles`) and any cleaning of it.
"""

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cyclorama.data.needle_words import (
    ACTIVITIES,
    ADJECTIVES,
    ANIMALS,
    CITIES,
    COUNTS,
    FIRST_NAMES,
    FOODS,
    MOMENTS,
    MONTHS,
    NATURE,
    OBJECTS,
    TRADES,
    listed,
)
from cyclorama.data.tokenizer import load_tokenizer

_CHUNK_CHARACTERS = 1 << 16
_CUT = re.compile(r"(?<=\S)\n")  # no token crosses from ink to white space: encoding is unchanged
_SLOT = re.compile(r"\{(\w+)\}")

_WORDS: dict[str, Sequence[str]] = {
    "adjective": ADJECTIVES,
    "animal": ANIMALS,
    "city": CITIES,
    "count": COUNTS,
    "food": FOODS,
    "month": MONTHS,
    "nature": NATURE,
    "object": OBJECTS,
    "trade": TRADES,
    "first": FIRST_NAMES,
    "activity": ACTIVITIES,
    "moment": MOMENTS,
    "surname": listed(
        """Abbott Barlow Carver Dunmore Ellery Fairfax Gilbey Hartley Ingram Jessop Kendall
        Lomax Merriman Norwood Oakley Pemberton Quill Rowley Sandford Thackeray Underhill Vance
        Whitlock Yardley"""
    ),
    "said": listed("said cried answered whispered asked replied muttered declared"),
    "felt": listed("pleased alarmed weary cheerful uneasy certain astonished silent hopeful"),
    "adverb": listed("slowly gladly often seldom suddenly quietly carefully never always almost"),
    "did": listed(
        """carried found sold watched painted repaired borrowed lost praised weighed hid bought
        cleaned described forgot remembered"""
    ),
    "went": listed("walked rode hurried travelled returned wandered sailed climbed"),
    "place": listed("market chapel inn bridge station library mill school theatre harbour"),
    "weather": listed("rain snow mist sunshine wind thunder hail frost"),
    "thing": ("{object}", "{adjective} {object}", "basket of {food}s", "{object} and the {object}"),
    "nobody": ("the {trade}", "the {adjective} {trade}", "the {animal}", "{first} {surname}"),
    "who": ("{hero}", "{hero}", "{friend}", "{nobody}"),
    "where": ("in {city}", "at the {place}", "by the {nature}", "near the {adjective} {nature}"),
    "when": (
        "In {month}",
        "On the {day} of {month}",
        "In the year {year}",
        "{Count} days later",
        "That evening",
        "Before long",
        "The next morning",
        "After the {weather}",
    ),
    "because": (
        "because the {object} was {adjective}",
        "for {friend} had {did} the {thing}",
        "though the {weather} had not ceased",
        "so that nobody should see the {object}",
        "while {nobody} waited {where}",
    ),
}
_SENTENCES = (
    "{when} {who} {went} to {city} with {number} {animal}s.",
    "{Who} {did} the {thing} {where}.",
    "{Who} {did} the {thing} {where}, {because}.",
    "{when} the {weather} came over the {nature}, and {who} {adverb} {went} home.",
    "There were {count} {animal}s {where}, and each of them looked {adjective}.",
    "It was a {adjective} {nature}, {adjective} and {adjective}, such as one sees near {city}.",
    '"I {adverb} {did} the {thing}," {said} {who}.',
    '"Have you seen the {adjective} {object}?" {said} {hero}. "{nobody_} has it," {said} {friend}.',
    '"We ought to {activity} {moment}," {said} {friend}, and {hero} was {felt}.',
    "{Who} paid {number} shillings for the {thing} and was {felt}.",
    "Nobody {where} had ever {did} so {adjective} a {object}.",
    "The {trade} of {city} was {adverb} {felt}, {because}.",
    "{when}, when the {place} was closed, {who} {did} the {thing} and {went} {where}.",
    "Some {said} that {who} would {activity}; others thought of the {food} and the {food}.",
    "{hero} and {friend} {went} along the {nature} until the {place} came into sight.",
    "The {object} stood {where}; beside it lay the {thing}, which {nobody} {did}.",
    "If the {weather} lasts, {said} {who}, the {food} will cost {number} pence {where}.",
    "What {who} {did} {where} was {adverb} told to the {trade}.",
    "{Count} {trade}s and {count} {animal}s: that was all one saw {where}.",
    "{hero} was {felt}, {because}, and {friend} was {felt}, {because}.",
)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts behind each other: ``ids`` uint16 (S,), and where each begins, int64 (files + 1,)."""

    ids: np.ndarray
    starts: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.ids):
            raise ValueError("there is no text: every file is empty")

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.ids)

    def window(self, generator: np.random.Generator, num_tokens: int) -> np.ndarray:
        """Return a random piece, uint16 (num_tokens,).

        Every piece inside one text is as likely as any other; when no text is long enough the
        piece runs over the ends of texts.
        """
        places = np.maximum(np.diff(self.starts) - num_tokens + 1, 0).cumsum()
        if not places[-1]:
            return self.stream(num_tokens, start=int(generator.integers(len(self.ids))))
        place = int(generator.integers(places[-1]))
        text = int(np.searchsorted(places, place, side="right"))
        start = int(self.starts[text]) + place - (int(places[text - 1]) if text else 0)
        return self.ids[start : start + num_tokens].copy()

    def stream(self, num_tokens: int, start: int = 0) -> np.ndarray:
        """Return uint16 (num_tokens,): the texts from token ``start``, repeated until enough."""
        if num_tokens < 0:
            raise ValueError(f"num_tokens must be at least 0, got {num_tokens}")
        return np.resize(np.roll(self.ids, -start), num_tokens)


def open_texts(paths: Iterable[Path | str], *, cache: Path | str | None = None) -> Texts:
    """Return the texts of files of UTF-8, tokenised; kept in the directory ``cache`` if given.

    Raises ValueError when there is no path, or a file is absent or is no UTF-8.
    """
    parts = [_file_ids(Path(path), Path(cache) if cache is not None else None) for path in paths]
    if not parts:
        raise ValueError("no text files were given: name some, or use generated_texts()")
    return _joined(parts)


def texts_of(strings: Iterable[str]) -> Texts:
    """Return the texts of strings; ValueError when all are empty."""
    return _joined([encode_long(string) for string in strings])


def generated_texts(num_tokens: int = 1 << 20, *, seed: int = 0) -> Texts:
    """Return at least ``num_tokens`` of made-up prose, the same for the same seed."""
    parts, size = [], 0
    story = prose(seed)
    while size < num_tokens:
        parts.append(encode_long("\n\n".join(next(story) for _ in range(64)) + "\n\n"))
        size += len(parts[-1])
    return _joined([np.concatenate(parts)] if parts else [])


def encode_long(text: str) -> np.ndarray:
    """Return the ids of a text of any length, uint16; the same as encoding it in one piece."""
    encode = load_tokenizer().encode
    parts, start = [], 0
    while start < len(text):
        cut = _CUT.search(text, start + _CHUNK_CHARACTERS)
        stop = cut.start() if cut else len(text)
        parts.append(np.asarray(encode(text[start:stop]), np.uint16))
        start = stop
    return np.concatenate(parts) if parts else np.zeros(0, np.uint16)


def prose(seed: int = 0) -> Iterator[str]:
    """Yield paragraphs of made-up prose without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        cast = {role: _filled(chance, "{first} {surname}", {}) for role in ("hero", "friend")}
        for _ in range(1 + int(chance.random() * 6)):  # a scene: some paragraphs of one cast
            sentences = [
                _filled(chance, _one(chance, _SENTENCES), cast)
                for _ in range(2 + int(chance.random() * 6))
            ]
            yield " ".join(sentences)


def _one(chance: random.Random, items: Sequence[str]) -> str:
    return items[int(chance.random() * len(items))]


def _filled(chance: random.Random, pattern: str, cast: dict[str, str]) -> str:
    """Return ``pattern`` with every {slot} filled, and the slots of what fills it.

    A slot with a capital letter or an underscore behind it begins with a capital letter.
    """

    def fill(match: re.Match[str]) -> str:
        slot = match[1].rstrip("_").lower()
        match slot:
            case "hero" | "friend":
                text = cast[slot]
                # Full names at times, first names mostly, as in a novel.
                text = text if chance.random() < 0.3 else text.split()[0]
            case "number":
                text = str(int(10 ** (0.5 + 3 * chance.random())))
            case "day":
                text = f"{4 + int(17 * chance.random())}th"
            case "year":
                text = str(1500 + int(450 * chance.random()))
            case _:
                text = _SLOT.sub(fill, _one(chance, _WORDS[slot]))
        return text[:1].upper() + text[1:] if match[1] != slot else text

    text = _SLOT.sub(fill, pattern)
    return text[:1].upper() + text[1:]


def _joined(parts: Sequence[np.ndarray]) -> Texts:
    """Return texts behind each other."""
    starts = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return Texts(np.concatenate([np.zeros(0, np.uint16), *parts]), starts)


def _file_ids(path: Path, cache: Path | None) -> np.ndarray:
    """Return the ids of a file, from the cache when it was read before."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise ValueError(f"no text file at {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 at byte {error.start}: convert it first") from None
    if cache is None:
        return encode_long(text)
    key = hashlib.sha256(load_tokenizer().to_json().encode() + raw).hexdigest()[:32]
    kept = cache / f"{key}.npy"
    if kept.is_file():
        return np.load(kept, allow_pickle=False)
    ids = encode_long(text)
    cache.mkdir(parents=True, exist_ok=True)
    aside = cache / f".{key}.part"
    with aside.open("wb") as file:
        np.save(file, ids)
    aside.replace(kept)
    return ids
