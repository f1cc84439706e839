"""Books with other names in them, and facts with asides and with other words in them.

Picture a wardrobe beside a small stage: the same three novels come on again and again, each time
as other people in other towns, and the same fact is told by somebody who cannot leave out that the
mill had burned that year. A reader that trained on three books alone knows whom they are about, so
that in a fourth every name looks like something hidden; and one that saw a fact always told in one
breath takes what stands next to the key for the answer. And who knows all the words that facts are
told in takes a new one for the answer ("the baggage tag QOB-11916": "tag"), so that a fact is told
with the prompter's words in place of some of its own. Leaves out what is told (`needles`) and any
other change of a book: names in capitals or with accents stay.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

import numpy as np

from cyclorama.data.needle_draws import invented, pick
from cyclorama.data.needle_families import TEMPLATES
from cyclorama.data.needle_words import CITIES, FIRST_NAMES, MONTHS, WORDS, Template, listed
from cyclorama.data.texts import Texts, encode_long
from cyclorama.data.tokenizer import load_tokenizer

ASIDES = tuple(files("cyclorama.data").joinpath("asides.txt").read_text("utf-8").splitlines())
# Words with a capital letter inside a sentence that are nobody's name.
_NO_NAMES = frozenset(MONTHS) | frozenset(
    listed(
        """Mr Mrs Miss Sir Lady Lord Don Dona Madame Monsieur Captain Colonel Doctor Reverend Saint
        God Heaven Lordship Ladyship Sunday Monday Tuesday Wednesday Thursday Friday Saturday"""
    )
)
_NAME = re.compile(r"(?:(?<=[a-z,;][ \n])|(?<=Mr\. )|(?<=Mrs\. ))[A-Z][a-z]{2,}\b")
_CAPITAL = re.compile(r"\b[A-Z][a-z]{2,}\b")
_LOWER = re.compile(r"\b[a-z]{3,}\b")
# Behind a hole: before a stop that ends something, or a word that no noun phrase goes on with
# ("the {key} kettle" must not become "the {key}, strange to say, kettle").
_ROOM = re.compile(
    r"\{(?:key|value)\}(?=[,;:.](?:\s|$)| (?:is|was|are|were|has|had|will|would|came|went|gave|got|"
    r"took|at|in|on|by|for|from|to|with|and|when|as|before|after|until|while)\b)"
)
# A word of a wording that is no part of a hole, a name, or a word with a hyphen; and its plural.
_PLAIN = re.compile(r"(?<![\w{-])[a-z]{3,}(?![\w}-])")
_NEAR_HOLE = re.compile(r"((?:\S+ ){0,3})\S*\{(?:value|beside)\}\S*((?: \S+){0,3})")
_COMMON = 100  # families of training that have a word: whoever has read so many knows it
# Kinds of value that are words of a language, as those are that come in the place of others.
_WORDY = ("word", "words", "thing", "colours", "cargo", "activity", "outing", "sentence", "trade")
# Values that go on as an aside does: only the comma would say where they end.
_OPEN_ENDED = ("sentence", "activity", "outing", "words")


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
    if not renamed_share or rng.random() >= renamed_share:
        return windows
    decode = load_tokenizer().decode
    others = [encode_long(text) for text in renamed(rng, [decode(window) for window in windows])]
    # Where the new names are shorter the piece begins again.
    return [np.resize(ids, num_tokens) for ids in others]


def renamed(rng: np.random.Generator, texts: Sequence[str]) -> list[str]:
    """Return texts with other names in place of what is written like a name inside a sentence.

    Each name has one other in all the texts, and no two names have the same. A word that also
    stands there in lower case is no name.
    """
    lower = {word for text in texts for word in _LOWER.findall(text)}
    found = {name for text in texts for name in _NAME.findall(text)} - _NO_NAMES
    words, names = sorted(word for word in lower if len(word) > 4), dict[str, str]()
    for name in sorted(name for name in found if name.lower() not in lower):
        new = _drawn_name(rng, words)
        while new in names.values():
            new = _drawn_name(rng, words)
        names[name] = new
    return [_CAPITAL.sub(lambda match: names.get(match[0], match[0]), text) for text in texts]


def with_asides(rng: np.random.Generator, template: Template, *, share: float) -> Template:
    """Return a family with an aside in ``share`` of its statements, of those where one can stand.

    It stands between key and value where it can, else behind the second of them.
    """
    open_ended = template.value in _OPEN_ENDED
    statements = tuple(
        _with_aside(rng, statement, open_ended=open_ended)
        if share and rng.random() < share
        else statement
        for statement in template.statements
    )
    return replace(template, statements=statements)


def with_other_words(rng: np.random.Generator, template: Template, *, share: float) -> Template:
    """Return, with the chance ``share``, a family with other words in place of one to three.

    They are words that its questions share with its statements, or that stand near the value, of
    those that few families have; one that comes more than once has the same other everywhere.
    """
    if not share or rng.random() >= share:
        return template
    told, asked = " \n".join(template.statements), "\n".join(template.questions)
    near = " ".join(part for match in _NEAR_HOLE.finditer(told) for part in match.groups())
    shared = set(_PLAIN.findall(told)) & set(_PLAIN.findall(asked))
    common, rare, alike = _ordinary_words()
    words = sorted((shared | set(_PLAIN.findall(near))) - common)
    if not words:
        return template
    chosen = rng.permutation(len(words))[: int(rng.integers(1, 4))]
    wordy = template.value in _WORDY or template.beside in _WORDY
    # What begins as a value does is what a reader takes for one.
    pools = (rare, alike) if wordy else (rare, alike, WORDS)
    others = {words[i]: _other_word(rng, pools) for i in chosen}
    pattern = re.compile(rf"(?<![\w{{-])({'|'.join(others)})(?=s?(?![\w}}-]))")

    def other(wordings: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(pattern.sub(lambda match: others[match[1]], text) for text in wordings)

    return replace(
        template,
        statements=other(template.statements),
        questions=other(template.questions),
        plurals=other(template.plurals),
        turned=other(template.turned),
    )


@cache
def _ordinary_words() -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """Return the words that many families of training have, those that few have, and some of these.

    Some begin with a token that is a whole value: " red" is, and " redeemed" begins with it.
    """
    counts = Counter(
        word
        for family in TEMPLATES["train"]
        for word in set(_PLAIN.findall("\n".join((*family.statements, *family.questions))))
    )
    encode = load_tokenizer().encode
    common = frozenset(word for word, num in counts.items() if num >= _COMMON)
    rare = tuple(sorted(counts.keys() - common))
    values = {ids[0] for ids in (encode(f" {word}") for word in WORDS) if len(ids) == 1}
    alike = [word for word in rare if word not in WORDS and encode(f" {word}")[0] in values]
    return common, rare, tuple(alike)


def _other_word(rng: np.random.Generator, pools: Sequence[Sequence[str]]) -> str:
    """Return a word of one of the pools, or one in four times an invented one.

    Half of these begin with a word that is a value.
    """
    if rng.random() < 0.25:
        return invented(rng, 2) if rng.random() < 0.5 else pick(rng, WORDS) + invented(rng, 1)
    return pick(rng, pools[int(rng.integers(len(pools)))])


def _with_aside(rng: np.random.Generator, statement: str, *, open_ended: bool) -> str:
    """Return a statement with an aside in it; as it was where none can stand."""
    last = max(statement.index("{key}"), statement.index("{value}"))
    rooms = [
        room
        for room in _ROOM.finditer(statement)
        if not (open_ended and room[0].startswith("{value}"))
    ]
    rooms = [room for room in rooms if room.start() < last] or rooms
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
