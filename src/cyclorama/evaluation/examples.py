"""What a long text teaches within itself: a style, a game's rule, a language nobody speaks.

Three measures along streams whose every token is known (`inference.foresight`). *Position*: how
many nats a token costs after 256, 512, ... tokens of the same text; a reader that uses what it
read long ago pays less and less (Gemini 1.5 report, 2403.05530, section 5.2.1.3). *Shots*: how many
answers of a random label map are exact after so many examples (many-shot learning, 2404.11018).
*Dictionary*: how many words of an invented language are translated with its dictionary in the
context, and how many without, which is guessing (after MTOB, 2309.16575). Leaves out grammar.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass

import numpy as np

from cyclorama.data.needle_tasks import RULES
from cyclorama.data.needles import Sequence, dictionary_sequence, label_map_sequence
from cyclorama.evaluation.needle import Trial, ask
from cyclorama.inference.foresight import foresee
from cyclorama.inference.text import Reader, Reading

FIRST_OCTAVE = 256
PLACES_AN_OCTAVE = 128


@dataclass(frozen=True)
class Shot:
    """One question of a label map, how many stood before it, and whether its answer is exact."""

    sequence: int
    rule: str
    num_before: int
    question: str
    answer: str
    right: bool


def nats_by_position(
    reader: Reader, ids: np.ndarray, *, memory_dtype: str = "bfloat16"
) -> dict[int, float]:
    """Return the mean nats of tokens of each octave of positions, by the octave's end.

    The first octave is [1, 256), the next [256, 512); at most 128 places of each are measured.
    """
    if len(ids) < FIRST_OCTAVE:
        raise ValueError(f"need at least {FIRST_OCTAVE} tokens for an octave, got {len(ids)}")
    ends = [FIRST_OCTAVE << n for n in range((len(ids) // FIRST_OCTAVE).bit_length())]
    starts = [1, *ends[:-1]]
    octaves = [
        np.unique(np.linspace(start, end - 1, PLACES_AN_OCTAVE).round().astype(np.int64))
        for start, end in zip(starts, ends, strict=True)
    ]
    nats, _ = foresee(reader, ids, places=np.concatenate(octaves), memory_dtype=memory_dtype)
    parts = np.split(nats, np.cumsum([len(octave) for octave in octaves])[:-1])
    return {end: float(part.mean()) for end, part in zip(ends, parts, strict=True)}


def exact_answers(
    reader: Reader, row: Sequence, *, asked: Many[int], memory_dtype: str = "bfloat16"
) -> list[bool]:
    """Return for some questions of a sequence (ascending) whether the answer would be exact.

    Everything before a question is as it stands in the sequence: earlier answers are right.
    """
    spans = [np.arange(row.answers[n][0], row.answers[n][1] + 1) for n in asked]  # with the <eos>
    places = np.concatenate(spans)
    _, likeliest = foresee(reader, row.ids, places=places, memory_dtype=memory_dtype)
    marks = np.split(likeliest == row.ids[places], np.cumsum([len(span) for span in spans])[:-1])
    return [bool(mark.all()) for mark in marks]


def many_shots(
    reader: Reader,
    *,
    num_tokens: int,
    num_asked: int,
    seed: int = 0,
    memory_dtype: str = "bfloat16",
) -> list[Shot]:
    """Ask label maps, one of each rule, after few and after many shots (evenly in their logarithm).

    Only questions whose label was shown before are asked.
    """
    shots = []
    for number, rule in enumerate(RULES):
        rng = np.random.default_rng([seed, number])
        row = label_map_sequence(rng, num_tokens=num_tokens, rule=rule)
        known = [n for n in range(len(row.asked)) if row.weights[row.answers[n][0]] > 0]
        if not known:
            raise ValueError(f"{num_tokens} tokens show no label twice: give a longer --length")
        spread = np.geomspace(1, len(known), num_asked).round().astype(int) - 1
        asked = [known[n] for n in np.unique(spread)]
        right = exact_answers(reader, row, asked=asked, memory_dtype=memory_dtype)
        shots += [
            Shot(number, rule, n, row.asked[n].text, row.asked[n].answer, mark)
            for n, mark in zip(asked, right, strict=True)
        ]
    return shots


def translate(
    reader: Reader,
    page: Reading,
    *,
    num_tokens: int,
    num_asked: int,
    seed: int = 0,
    memory_dtype: str = "bfloat16",
) -> tuple[list[Trial], list[Trial]]:
    """Ask words of an invented language with its dictionary in the context, and without.

    Without it the same questions are asked about ``page``, any text that was read. Words that the
    dictionary does not have are not asked.
    """
    row = dictionary_sequence(np.random.default_rng([seed, len(RULES)]), num_tokens=num_tokens)
    asked = [n for n, question in enumerate(row.asked) if question.about][-num_asked:]
    if not asked:
        raise ValueError(
            f"a dictionary of {num_tokens} tokens asks nothing: give a longer --length"
        )
    questions = [row.asked[n] for n in asked]
    right = exact_answers(reader, row, asked=asked, memory_dtype=memory_dtype)
    guesses = ask(reader, page, questions=[question.text for question in questions])
    told = [
        question.answer if mark else "" for question, mark in zip(questions, right, strict=True)
    ]
    both = []
    for size, found in ((num_tokens, told), (len(page.ids), guesses)):
        both.append(
            [
                Trial(size, 0, None, q.kind, q.family, q.text, q.answer, text)
                for q, text in zip(questions, found, strict=True)
            ]
        )
    return both[0], both[1]
