"""Keys and values of needles, drawn by kind.

Picture a box of type: a key is set from a few pieces (amber-fox, Tovak Wendrel, QX-4817), so that
millions exist, and by exchanging one piece a neighbour is made that only a careful reader tells
apart; a value is a number, a code, a date, some words, a sentence. A generator of numpy decides,
so the same seed sets the same words. Leaves out sentences (`needle_words`) and their places in a
text (`needles`).
"""

import uuid
from collections.abc import Callable, Container, Sequence

import numpy as np

from cyclorama.data.needle_words import (
    ACTIVITIES,
    ADJECTIVES,
    CITIES,
    CODAS,
    COLOURS,
    COUNTS,
    FIRST_NAMES,
    FOODS,
    MOMENTS,
    MONTHS,
    OBJECTS,
    ONSETS,
    PLACE_ENDS,
    TEST_NOUNS,
    TRADES,
    TRAIN_NOUNS,
    VERBS,
    VESSELS,
    VOWELS,
    WORDS,
)


def pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    """Return one of ``items``."""
    return items[int(rng.integers(len(items)))]


def invented(rng: np.random.Generator, num_syllables: int = 3) -> str:
    """Return a pronounceable word of no language, such as "tovakir", in lower case."""
    stem = "".join(pick(rng, ONSETS) + pick(rng, VOWELS) for _ in range(num_syllables - 1))
    return stem + pick(rng, ONSETS) + pick(rng, VOWELS[:5]) + pick(rng, CODAS)


def draw_key(rng: np.random.Generator, kind: str, *, split: str = "train") -> str:
    """Return a key of ``kind``: pair triple name person place city id digits."""
    nouns = TRAIN_NOUNS if split == "train" else TEST_NOUNS
    if kind not in _KEYS:
        raise ValueError(f"no keys of kind {kind!r}: there are {' '.join(_KEYS)}")
    return _KEYS[kind](rng, nouns)


def near_key(rng: np.random.Generator, key: str, *, kind: str, split: str = "train") -> str:
    """Return a key that shares all but one part with ``key``, or differs in one character."""
    mark = "-" if "-" in key else " "
    parts, others = key.split(mark), draw_key(rng, kind, split=split).split(mark)
    if len(parts) > 1 and len(others) == len(parts) and rng.random() < 0.5:
        place = int(rng.integers(len(parts)))
        parts[place] = others[place]
        return mark.join(parts)
    places = [i for i, letter in enumerate(key) if letter.isascii() and letter.isalnum()]
    place = places[int(rng.integers(len(places)))]
    old = key[place]
    alphabet = "0123456789" if old.isdigit() else "abcdefghijklmnopqrstuvwxyz"
    if place == 0 and old.isdigit():
        alphabet = alphabet[1:]  # a number never starts with 0
    new = pick(rng, [a for a in alphabet if a != old.lower()])
    return key[:place] + (new.upper() if old.isupper() else new) + key[place + 1 :]


_NEAR_VALUE_SHARE = 0.4
_SPELLED = ("number", "uuid", "hex", "code", "person", "place", "name", "year", "small")
_MIXED = ("number", "word", "words", "hex", "code", "date")


def draw_value(rng: np.random.Generator, kind: str, *, avoid: Container[str] = ()) -> str:
    """Return a value of ``kind`` that is not in ``avoid``; ValueError when none is left."""
    for _ in range(1000):
        value = _VALUES[pick(rng, _MIXED) if kind == "mixed" else kind](rng)
        if value not in avoid:
            return value
    raise ValueError(f"values of kind {kind!r} are used up: ask for fewer of one key")


def value_among(
    rng: np.random.Generator,
    kind: str,
    *,
    drawn: dict[str, list[str]],
    avoid: Container[str] = (),
) -> str:
    """Return a value as `draw_value` does; at times one that begins as one of ``drawn`` does.

    ``drawn`` are values by kind, and grows. Without such neighbours the first token of a value
    would tell the rest, in any text but a very long one.
    """
    kind = pick(rng, _MIXED) if kind == "mixed" else kind
    value = draw_value(rng, kind, avoid=avoid)
    known = drawn.setdefault(kind, [])
    if known and rng.random() < _NEAR_VALUE_SHARE:
        like = known[-1] if rng.random() < 0.5 else pick(rng, known)
        near = near_value(rng, like, kind=kind)
        value = value if near in avoid else near
    known.append(value)
    return value


def near_value(rng: np.random.Generator, value: str, *, kind: str) -> str:
    """Return a value that begins as ``value`` does, and at times ends where that goes on.

    Numbers, codes and invented names are cut between letters of a part, so that a name's second
    half may be none that `draw_value` would invent; anything else is cut between words, and where
    there is but one word another one is returned.
    """
    other = draw_value(rng, kind)
    mark = "-" if kind in ("uuid", "code") else " "
    parts, others = value.split(mark), other.split(mark)
    if kind not in _SPELLED:
        kept = int(rng.integers(1, len(parts))) if len(parts) > 1 else 0
        return mark.join([*parts[:kept], *others[kept:]])
    place = int(rng.integers(min(len(parts), len(others))))
    part, end = parts[place], others[place]
    kept = int(rng.integers(place == 0, max(2, len(part) + (place > 0))))
    joined = part[:kept] + end[kept:] or end
    return mark.join([*parts[:place], joined, *others[place + 1 :]])


def _code(rng: np.random.Generator) -> str:
    letters = "".join(chr(65 + int(n)) for n in rng.integers(26, size=int(rng.integers(2, 4))))
    return f"{letters}-{rng.integers(1000, 100_000)}"


def _number(rng: np.random.Generator) -> str:
    size = int(rng.integers(4, 9))
    return str(rng.integers(10 ** (size - 1), 10**size))


def _trade(rng: np.random.Generator) -> str:
    trade = pick(rng, TRADES)
    return f"{'an' if trade[0] in 'aeiou' else 'a'} {trade}"


def _date(rng: np.random.Generator) -> str:
    return f"{rng.integers(1, 29)} {pick(rng, MONTHS)} {rng.integers(1400, 2100)}"


def _colours(rng: np.random.Generator) -> str:
    first, second = rng.choice(len(COLOURS), size=2, replace=False)
    return f"{COLOURS[first]} and {COLOURS[second]}"


def _sentence(rng: np.random.Generator) -> str:
    one, two = (f"the {pick(rng, ADJECTIVES)} {pick(rng, TRAIN_NOUNS)}" for _ in range(2))
    return f"{one} {pick(rng, VERBS)} {two}"


def _person(rng: np.random.Generator) -> str:
    return f"{pick(rng, FIRST_NAMES)} {invented(rng, 2).capitalize()}"


_KEYS: dict[str, Callable[[np.random.Generator, tuple[str, ...]], str]] = {
    "pair": lambda rng, nouns: f"{pick(rng, ADJECTIVES)}-{pick(rng, nouns)}",
    "triple": lambda rng, nouns: (
        f"{pick(rng, ADJECTIVES)}-{pick(rng, ADJECTIVES)}-{pick(rng, nouns)}"
    ),
    "name": lambda rng, _: invented(rng).capitalize(),
    "person": lambda rng, _: _person(rng),
    "place": lambda rng, _: invented(rng, 2).capitalize() + pick(rng, PLACE_ENDS),
    "city": lambda rng, _: pick(rng, CITIES),
    "id": lambda rng, _: _code(rng),
    "digits": lambda rng, _: str(rng.integers(10_000, 10_000_000)),
}
_VALUES: dict[str, Callable[[np.random.Generator], str]] = {
    "number": _number,
    "word": lambda rng: pick(rng, TRAIN_NOUNS),
    "words": lambda rng: " ".join(pick(rng, WORDS) for _ in range(int(rng.integers(1, 4)))),
    "uuid": lambda rng: str(uuid.UUID(bytes=rng.bytes(16), version=4)),
    "hex": lambda rng: rng.bytes(int(rng.integers(4, 7))).hex(),
    "code": _code,
    "date": _date,
    "city": lambda rng: pick(rng, CITIES),
    "trade": _trade,
    "colours": _colours,
    "cargo": lambda rng: f"{pick(rng, COUNTS)} {pick(rng, VESSELS)} of {pick(rng, FOODS)}",
    "thing": lambda rng: f"the {pick(rng, ADJECTIVES)} {pick(rng, OBJECTS)}",
    "activity": lambda rng: f"{pick(rng, ACTIVITIES)} {pick(rng, MOMENTS)}",
    "outing": lambda rng: (
        f"{pick(rng, ACTIVITIES)} and {pick(rng, ACTIVITIES)} {pick(rng, MOMENTS)}"
    ),
    "person": _person,
    "sentence": _sentence,
    "place": lambda rng: invented(rng, 2).capitalize() + pick(rng, PLACE_ENDS),
    "name": lambda rng: invented(rng).capitalize(),
    "year": lambda rng: str(rng.integers(1000, 2100)),
    "small": lambda rng: str(rng.integers(2, 1000)),
}
