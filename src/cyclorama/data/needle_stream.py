"""How questions and answers are written into a stream of tokens: the one place for it.

Picture a tape of text with coloured flags: one flag before a question, one before its answer, and
the end mark after it, `<question> words <answer> words <eos>`. Training lays such parts behind each
other and weighs them (an answer much, a question nothing); at use, `question_ids` writes the same
ids and the model writes the answer. The flags are the first two reserved marks of the tokenizer,
which no user's text can spell. Leaves out what is asked: see `needles` and `needle_tasks`.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass

import numpy as np

from cyclorama.data.tokenizer import EOS, PAD, SPECIAL_TOKENS, load_tokenizer

QUESTION = SPECIAL_TOKENS.index("<reserved0>")
ANSWER = SPECIAL_TOKENS.index("<reserved1>")
ABSENT = "not found"


@dataclass(frozen=True)
class Needle:
    """One hidden fact; ``kind`` is the type of its answer (number, words, uuid, city, ...).

    A statement of two things has a second question (``turned``), for what stands ``beside``.
    """

    statement: str
    question: str
    answer: str
    family: str
    key: str
    kind: str
    turned: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Question:
    """A question, its answer, and which needles (by index) hold it; none when it is absent."""

    text: str
    answer: str
    kind: str
    family: str
    keys: tuple[str, ...]
    about: tuple[int, ...]


@dataclass(frozen=True)
class Weights:
    """Loss weights of predicting a token of the haystack, of a statement, of an answer."""

    text: float = 1.0
    statement: float = 0.0
    answer: float = 5.0


@dataclass(frozen=True)
class Plan:
    """What a sequence of needles is made of.

    A row of wordy families has fewer needles and questions, so that text has room: down to three
    tenths.
    ``families`` empty: all of the split, a few in a batch; ``made_share`` of them give way to
    families that a grammar makes. Of the questions ``absent_share`` have no answer: they ask for a
    key that is nowhere or, ``untold_share`` of them, for what is not told of a key.
    Of the batches ``renamed_share`` have other names in their text; of a batch's families
    ``reworded_share`` have other words in place of some, and of their wordings ``aside_share``
    an aside, where one can stand (`disguise`). Of keys
    that need not be near each other ``shared_share`` are ones of which another line has told
    something, where one fits (`needle_sets`).
    """

    num_tokens: int
    num_needles: int = 16
    num_questions: int = 8
    split: str = "train"
    families: tuple[str, ...] = ()
    absent_share: float = 0.1
    untold_share: float = 0.0
    made_share: float = 0.0
    aside_share: float = 0.0
    renamed_share: float = 0.0
    reworded_share: float = 0.0
    shared_share: float = 0.0
    weights: Weights = Weights()


@dataclass(frozen=True, eq=False)
class Sequence:
    """A row to train on: ``ids`` int32 (L,), ``weights`` float32 (L,) of *predicting* each id.

    ``answers[i]`` is the span [start, stop) of the answer to ``asked[i]``, without its <eos>.
    """

    ids: np.ndarray
    weights: np.ndarray
    answers: tuple[tuple[int, int], ...]
    asked: tuple[Question, ...]
    needles: tuple[Needle, ...] = ()


@dataclass(frozen=True)
class Part:
    """A run of tokens on its way into a sequence; ``question`` when it asks and answers one."""

    ids: Many[int] | np.ndarray
    weights: np.ndarray
    question: Question | None = None
    num_prompt: int = 0


def question_ids(text: str) -> list[int]:
    """Return the ids that ask ``text``; what follows them is the answer."""
    return [QUESTION, *load_tokenizer().encode(" " + text), ANSWER]


def answer_ids(text: str) -> list[int]:
    """Return the ids of an answer with the <eos> that ends it."""
    return [*load_tokenizer().encode(" " + text), EOS]


def question_part(question: Question, weight: float) -> Part:
    """Return a question with its answer; only the answer and its <eos> weigh."""
    asked, answer = question_ids(question.text), answer_ids(question.answer)
    weights = np.repeat(np.array([0, weight], np.float32), [len(asked), len(answer)])
    return Part([*asked, *answer], weights, question, len(asked))


def text_part(ids: Many[int] | np.ndarray, weight: float) -> Part:
    """Return tokens that all weigh the same."""
    return Part(ids, np.full(len(ids), weight, np.float32))


def joined(parts: Many[Part], num_tokens: int, *, needles: tuple[Needle, ...] = ()) -> Sequence:
    """Return parts behind each other, filled up with <pad> of no weight.

    Raises ValueError when they are longer than ``num_tokens``.
    """
    size = sum(len(part.ids) for part in parts)
    if size > num_tokens:
        raise ValueError(f"{size} tokens do not fit {num_tokens}: ask for fewer, or more room")
    ids, weights = np.full(num_tokens, PAD, np.int32), np.zeros(num_tokens, np.float32)
    spans, asked, place = [], [], 0
    for part in parts:
        stop = place + len(part.ids)
        ids[place:stop], weights[place:stop] = part.ids, part.weights
        if part.question is not None:
            spans.append((place + part.num_prompt, stop - 1))
            asked.append(part.question)
        place = stop
    weights[:1] = 0  # nothing stands before the first token
    return Sequence(ids, weights, tuple(spans), tuple(asked), needles)
