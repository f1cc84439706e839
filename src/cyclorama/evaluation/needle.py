"""Needles in haystacks: one fact among millions of tokens, asked for, and right only if exact.

A haystack is a long text into which statements of facts were put, at ends of sentences and at even
depths from the first token to the last. It is read once; each fact is asked for with a question of
its own as if nothing else had been asked. Right is an answer whose text equals the fact's, letter
for letter but for case; no judge, no partial credit. Which facts, the caller says; those that no
training saw are `data.needles` with ``split="test"``. After Kamradt 2023 (the needle) and
Hsieh et al. 2024, "RULER", arXiv 2404.06654, section 3 (exact match, hard keys).
"""

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cyclorama.data.needles import Needle, Question, question_ids
from cyclorama.data.seams import at_seams
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.inference.text import Reader, Reading, continue_all, read_tokens

MAX_ANSWER_TOKENS = 48
ASKED_TOGETHER = 50  # questions that share a walk over the memory


@dataclass(frozen=True)
class Trial:
    """One question: where its fact stood (0 first token, 1 last, None nowhere), and what came."""

    num_tokens: int
    haystack: int
    depth: float | None
    kind: str
    family: str
    question: str
    answer: str
    found: str

    @property
    def right(self) -> bool:
        """Whether the answer is exact, but for case and white space at its ends."""
        return self.found.strip().lower() == self.answer.strip().lower()


@dataclass(frozen=True)
class HaystackCost:
    """What reading one haystack took."""

    num_tokens: int
    prefill_s: float
    ask_s: float
    peak_memory_gb: float


def plant(
    haystack: np.ndarray, statements: Sequence[Sequence[int]], *, depths: Sequence[float]
) -> np.ndarray:
    """Return the haystack's token ids with each statement put in at its depth (0 to 1).

    A statement goes to the next end of a sentence if one is near, else between two words, as in
    training (`data.seams`).
    """
    places = at_seams(haystack, np.array([round(depth * len(haystack)) for depth in depths]))
    parts, start = [], 0
    for number in np.argsort(places, kind="stable"):
        place = int(places[number])
        parts += [haystack[start:place], np.asarray(statements[number], dtype=haystack.dtype)]
        start = place
    return np.concatenate([*parts, haystack[start:]])


def singles(needles: Sequence[Needle]) -> tuple[Question, ...]:
    """Return the questions that ask for each needle alone."""
    return tuple(
        Question(needle.question, needle.answer, "single", needle.family, (needle.key,), (number,))
        for number, needle in enumerate(needles)
    )


def try_haystack(
    reader: Reader,
    haystack: np.ndarray,
    *,
    needles: Sequence[Needle],
    questions: Sequence[Question] | None = None,
    number: int = 0,
    offset: float = 0.5,
    memory_dtype: str = "bfloat16",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Trial], HaystackCost, Reading]:
    """Read a haystack with all needles in it at even depths, in their order, and ask.

    Each needle has an equal share of the text and stands ``offset`` of it behind its beginning.
    Without ``questions`` every needle is asked for. A question stands at its first fact's depth.
    """
    tokenizer = load_tokenizer()
    questions = singles(needles) if questions is None else questions
    depths = [(i + offset) / len(needles) for i in range(len(needles))]
    statements = [tokenizer.encode(" " + needle.statement) for needle in needles]
    ids = plant(haystack, statements, depths=depths)
    started = time.perf_counter()
    reading = read_tokens(reader, ids, memory_dtype=memory_dtype, progress=progress)
    prefill_s = time.perf_counter() - started
    answers = ask(reader, reading, questions=[question.text for question in questions])
    cost = HaystackCost(
        num_tokens=len(ids),
        prefill_s=prefill_s,
        ask_s=time.perf_counter() - started - prefill_s,
        peak_memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    )
    trials = [
        Trial(
            num_tokens=len(ids),
            haystack=number,
            depth=depths[question.about[0]] if question.about else None,
            kind=question.kind,
            family=question.family,
            question=question.text,
            answer=question.answer,
            found=found,
        )
        for question, found in zip(questions, answers, strict=True)
    ]
    return trials, cost, reading


def ask(reader: Reader, reading: Reading, *, questions: Sequence[str]) -> list[str]:
    """Return the answers to questions, each asked alone right after the stream."""
    tokenizer = load_tokenizer()
    answers: list[str] = []
    for start in range(0, len(questions), ASKED_TOGETHER):
        found = continue_all(
            reader,
            reading,
            prompts=[question_ids(q) for q in questions[start : start + ASKED_TOGETHER]],
            max_tokens=MAX_ANSWER_TOKENS,
            stop=EOS,
        )
        answers += [tokenizer.decode(ids).strip() for ids in found]
    return answers
