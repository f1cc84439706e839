"""Books with other names in them, and facts with asides in their middle.

Picture a wardrobe beside a small stage: the same three novels come on again and again, each time
as other people in other towns, and the same fact is told by somebody who cannot leave out that the
mill had burned that year. A reader that trained on three books alone knows whom they are about, so
that in a fourth every name looks like something hidden; and one that saw a fact always told in one
breath takes what stands next to the key for the answer. Leaves out what is told (`needles`) and
any other change of a book.
"""

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from importlib.resources import files

import numpy as np

from cyclorama.data.needle_draws import invented, pick
from cyclorama.data.needle_words import CITIES, FIRST_NAMES, MONTHS, Template, listed
from cyclorama.data.texts import Texts, encode_long
from cyclorama.data.tokenizer import load_tokenizer

ASIDES = tuple(files("cyclorama.data").joinpath("asides.txt").read_text("utf-8").splitlines())
# Words with a capital letter inside a sentence that are nobody's name.
_NO_NAMES = frozenset(MONTHS) | frozenset(
    listed(
        """Mr Mrs Miss Sir Lady Lord Don Dona Madame Monsieur Captain Colonel Doctor Reverend Saint
        God Heaven Lordship Ladyship The And But For Will Sunday Monday Tuesday Wednesday Thursday
        Friday Saturday"""
    )
)
_NAME = re.compile(r"(?:(?<=[a-z,;] )|(?<=Mr\. )|(?<=Mrs\. ))[A-Z][a-z]{2,}\b")
_LONG_WORD = re.compile(r"\b[a-z]{5,}\b")
_CAPITAL = re.compile(r"\b[A-Z][a-z]{2,}\b")
# After the key, or a value that ends there: before a stop, or a word that no noun phrase goes on
# with ("the {key} kettle" must not become "the {key}, strange to say, kettle").
_ROOM = re.compile(
    r"\{(?:key|value)\}(?=[,;:.]|(?: (?:is|was|are|were|has|had|will|would|came|went|gave|got|took|"
    r"at|in|on|by|for|from|to|with|and|when|as|before|after|until|while)\b))"
)


def draw_windows(
    rng: np.random.Generator,
    texts: Texts,
    *,
    num: int,
    num_tokens: int,
    renamed_share: float = 0.0,
) -> list[np.ndarray]:
    """Return ``num`` random pieces of text, each (num_tokens,).

    With the chance ``renamed_share`` all of them have the same other names.
    """
    windows = [texts.window(rng, num_tokens) for _ in range(num)]
    if rng.random() >= renamed_share:
        return windows
    decode, names = load_tokenizer().decode, dict[str, str]()
    others = [encode_long(renamed(rng, decode(window), names=names)) for window in windows]
    # Where the new names are shorter the piece begins again.
    return [np.resize(ids, num_tokens) for ids in others]


def renamed(rng: np.random.Generator, text: str, *, names: MutableMapping[str, str]) -> str:
    """Return ``text`` with other names in place of what is written like a name inside a sentence.

    ``names`` maps old to new, is kept to for the pieces of one book, and grows.
    """
    words = _LONG_WORD.findall(text)
    for name in sorted(set(_NAME.findall(text)) - _NO_NAMES - names.keys()):
        names[name] = _drawn_name(rng, words)
    return _CAPITAL.sub(lambda match: names.get(match[0], match[0]), text)


def with_asides(rng: np.random.Generator, template: Template, *, share: float) -> Template:
    """Return a family with an aside in ``share`` of its statements, where one can stand."""
    statements = tuple(
        _with_aside(rng, statement) if rng.random() < share else statement
        for statement in template.statements
    )
    return replace(template, statements=statements)


def _with_aside(rng: np.random.Generator, statement: str) -> str:
    """Return a statement with an aside behind its key or value; as it was where none can stand."""
    rooms = list(_ROOM.finditer(statement))
    if not rooms:
        return statement
    place = rooms[int(rng.integers(len(rooms)))].end()
    rest = statement[place:]
    return f"{statement[:place]}, {pick(rng, ASIDES)}{'' if rest[0] in ',;:.' else ','}{rest}"


def _drawn_name(rng: np.random.Generator, words: Sequence[str]) -> str:
    """Return a name: of a person or a city that there is, invented, or two halves of ``words``."""
    sort = rng.random()
    if sort < 0.35:
        return pick(rng, (*FIRST_NAMES, *CITIES))
    if sort < 0.65 or not words:
        return invented(rng, int(rng.integers(1, 4))).capitalize()
    head, tail = pick(rng, words), pick(rng, words)
    return (head[: len(head) // 2 + 1] + tail[len(tail) // 2 :]).capitalize()
