"""Tasks that can only be done from the examples before them: label maps, invented dictionaries.

Picture a game without its rules: cards are shown, each with a made-up name behind it ("fox: zorn",
"oak: pell", "hare: zorn"), and soon the player can name new cards; or a dictionary of a language
that nobody speaks, followed by an exam. Since names and words are drawn anew for every sequence,
nothing can be learned by heart but the looking-up itself. Sources: random labels as in Wei et al.
2023 (2305.08298, symbol tuning); a language from its dictionary as in MTOB (2309.16575). Leaves
out grammar: phrases are translated word by word.
"""

import numpy as np

from cyclorama.data.needle_draws import invented, pick
from cyclorama.data.needle_stream import (
    ABSENT,
    Part,
    Question,
    Sequence,
    Weights,
    joined,
    question_part,
    text_part,
)
from cyclorama.data.needle_words import CATEGORIES, TRADES, WORDS
from cyclorama.data.tokenizer import load_tokenizer

RULES = ("category", "parity", "item")
_PROMPTS = ("{}", "Input: {}", "{} ->", "Which label has {}?", "Classify: {}")
_ENTRIES = ("{} = {}", "{}: {}", "{} means {}.", "The word {} is {} in English.")
_FORWARD = ("What does {} mean?", "What is {} in English?", "Translate into English: {}")
_BACKWARD = ("What is the word for {}?", "How does one say {} in this language?")


def label_map_sequence(
    rng: np.random.Generator,
    *,
    num_tokens: int,
    rule: str | None = None,
    num_labels: int | None = None,
    weights: Weights = Weights(),  # noqa: B008 - frozen
) -> Sequence:
    """Return as many shots of a random label map as fit, each a question with its label.

    ``rule`` says what shares a label: words of a ``category``, numbers of one ``parity``, or
    nothing but the same ``item`` shown again; None draws one. A label that could not be known
    yet weighs nothing. Raises ValueError for an unknown rule or a number of labels it cannot have.
    """
    rule = pick(rng, RULES) if rule is None else rule
    if rule not in RULES:
        raise ValueError(f"rule must be one of {' '.join(RULES)}, got {rule!r}")
    most = {"category": len(CATEGORIES), "parity": 2, "item": 64}[rule]
    num_labels = int(rng.integers(2, min(most, 12) + 1)) if num_labels is None else num_labels
    if not 2 <= num_labels <= most:
        raise ValueError(f"rule {rule!r} takes 2 to {most} labels, got {num_labels}")
    labels = _labels(rng, num_labels)
    classes = rng.permutation(list(CATEGORIES))[:num_labels].tolist()
    items = {str(word): pick(rng, labels) for word in _sample(rng, 4 * num_labels)}
    prompt = pick(rng, _PROMPTS)
    seen: set[str] = set()
    parts: list[Part] = []
    room = num_tokens
    while True:
        if rule == "item":
            shown = known = pick(rng, tuple(items))
            label = items[shown]
        else:
            number = int(rng.integers(num_labels))
            label = labels[number]
            known = label
            shown = (
                pick(rng, CATEGORIES[classes[number]])
                if rule == "category"
                else str(2 * int(rng.integers(5, 5000)) + number)
            )
        question = Question(prompt.format(shown), label, "label_map", rule, (shown,), ())
        part = question_part(question, weights.answer if known in seen else 0.0)
        if len(part.ids) > room:
            return joined(parts, num_tokens)
        seen.add(known)
        parts.append(part)
        room -= len(part.ids)


def dictionary_sequence(
    rng: np.random.Generator,
    *,
    num_tokens: int,
    weights: Weights = Weights(),  # noqa: B008 - frozen
) -> Sequence:
    """Return a dictionary of an invented language with questions in it and after it.

    Questions ask for a meaning, for the invented word, for a phrase word by word, or (a tenth)
    for a word that the dictionary does not have, whose answer is "not found".
    """
    english = _sample(rng, min(len(WORDS), max(8, num_tokens // 8)))
    foreign = _labels(rng, len(english) + 64, kind="invented")
    unknown = foreign[len(english) :]
    entry, encode = pick(rng, _ENTRIES), load_tokenizer().encode
    parts: list[Part] = []
    room, num_known = num_tokens, 0
    while True:
        # Mostly entries until six tenths are full, then the exam.
        learning = room > 0.4 * num_tokens and rng.random() > 0.15
        if num_known < min(4, len(english)) or (learning and num_known < len(english)):
            text = "\n" + entry.format(foreign[num_known], english[num_known])
            part = text_part(encode(text), weights.statement)
            num_known += 1
        else:
            question = _exam(rng, foreign[:num_known], english=english, unknown=unknown)
            part = question_part(question, weights.answer)
        if len(part.ids) > room:
            return joined(parts, num_tokens)
        parts.append(part)
        room -= len(part.ids)


def _exam(
    rng: np.random.Generator,
    foreign: tuple[str, ...],
    *,
    english: tuple[str, ...],
    unknown: tuple[str, ...],
) -> Question:
    """Return one question about a dictionary; ``foreign`` are the words known so far."""
    style = int(rng.choice(4, p=[0.45, 0.25, 0.2, 0.1]))
    places = [int(i) for i in rng.integers(len(foreign), size=3 if style == 2 else 1)]
    word, meaning = (" ".join(words[i] for i in places) for words in (foreign, english))
    if style == 3:
        word, meaning, places = pick(rng, unknown), ABSENT, []
    if style == 1:
        text = pick(rng, _BACKWARD).format(meaning)
        return Question(text, word, "dictionary", "backward", (meaning,), tuple(places))
    family = ("forward", "backward", "phrase", "absent")[style]
    text = pick(rng, _FORWARD).format(word)
    return Question(text, meaning, "dictionary", family, (word,), tuple(places))


def _sample(rng: np.random.Generator, num: int) -> tuple[str, ...]:
    """Return ``num`` different English words."""
    words = tuple(dict.fromkeys((*WORDS, *TRADES)))
    return tuple(words[i] for i in rng.permutation(len(words))[:num])


def _labels(rng: np.random.Generator, num: int, *, kind: str = "") -> tuple[str, ...]:
    """Return ``num`` different labels: invented words, letters or English words."""
    kinds = ("invented", "invented", "letters", "words")
    kind = kind or pick(rng, kinds[:2] + kinds[2 + (num > 26) :])
    if kind == "letters":
        return tuple(chr(65 + i) for i in rng.permutation(26)[:num])
    if kind == "words":
        return _sample(rng, num)
    labels: dict[str, None] = {}
    while len(labels) < num:
        labels[invented(rng, int(rng.integers(2, 4)))] = None
    return tuple(labels)
