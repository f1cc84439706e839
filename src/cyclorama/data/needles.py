"""Needles: facts to be hidden in a long text, and questions that only they answer.

Picture a reader's exercise book: pages of some novel, into which a mischievous printer has set a
few sentences that belong nowhere ("The special magic number for amber-fox is 7351924."), with
questions in the margin, half-way and at the end. Distractors are cut from the same cloth: the same
sentence about a key one letter away, one key with several values, a question about a key that is
nowhere, to which the answer is "not found". Sources: the eight retrieval tasks of RULER
(2404.06654, section 3.1); no line of families tells of one key in two rows of a batch, so that
these can serve each other as haystack (Focused Transformer, 2307.03170, "crossbatch"). Leaves
out judging (an evaluation's work), pictures and sound. What belongs together is drawn in
`needle_sets`, how a question is written into the stream stands in `needle_stream`, tasks from
examples alone in `needle_tasks`; what others need of them is offered here too.
"""

import math
from collections.abc import Sequence as Many
from copy import deepcopy
from dataclasses import replace

import numpy as np

from cyclorama.data.disguise import draw_windows, with_asides, with_other_words
from cyclorama.data.needle_grammar import made_template
from cyclorama.data.needle_sets import (
    KINDS,
    Known,
    NeedleSet,
    absent_question,
    draw_needle,
    draw_set,
    families_of,
    family_names,
    set_of,
    untold_question,
)
from cyclorama.data.needle_stream import (
    ABSENT,
    ANSWER,
    QUESTION,
    Needle,
    Plan,
    Question,
    Sequence,
    Weights,
    answer_ids,
    joined,
    question_ids,
    question_part,
    text_part,
)
from cyclorama.data.needle_tasks import dictionary_sequence, label_map_sequence
from cyclorama.data.needle_words import Template
from cyclorama.data.seams import at_seams
from cyclorama.data.texts import Texts
from cyclorama.data.tokenizer import load_tokenizer

__all__ = [
    "ABSENT", "ANSWER", "KINDS", "QUESTION", "Needle", "NeedleSet", "Plan", "Question",
    "Sequence", "Weights", "answer_ids", "dictionary_sequence", "draw_needle", "draw_set",
    "family_names", "label_map_sequence", "needle_batch", "needle_sequence", "question_ids",
]  # fmt: skip
# A draft that leaves no room for text is drawn again, in the end of fewer needles and questions.
_DRAFT_SHARES = (1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


def needle_sequence(rng: np.random.Generator, texts: Texts, *, plan: Plan) -> Sequence:
    """Return a window of text with needles in it and questions, half of them at its end.

    Raises ValueError when there are more questions than needles, when three tenths of them leave
    less than a quarter of the tokens for text, or for a family that the split does not have.
    """
    return needle_batch(rng, texts, batch=1, plan=plan)[0]


def needle_batch(
    rng: np.random.Generator, texts: Texts, *, batch: int, plan: Plan
) -> list[Sequence]:
    """Return ``batch`` sequences of `needle_sequence` that can serve each other as haystack.

    They share two to sixteen families and have keys near each other's, but no line tells of a key
    in two of them, and an absent key is in none.
    """
    if not 0 <= plan.num_questions <= plan.num_needles:
        raise ValueError(
            f"num_questions must be in [0, {plan.num_needles}], got {plan.num_questions}"
        )
    written = families_of(plan.split, plan.families)
    some = rng.permutation(len(written))[: int(rng.integers(2, 17))]
    families = tuple(
        made_template(rng) if rng.random() < plan.made_share else written[i] for i in some
    )
    families = tuple(
        with_asides(
            rng,
            with_other_words(rng, family, share=plan.reworded_share),
            share=plan.aside_share,
        )
        for family in families
    )
    known = Known({}, {})
    windows = draw_windows(
        rng, texts, num=batch, num_tokens=plan.num_tokens, renamed_share=plan.renamed_share
    )
    drafts = [_fitting(rng, plan, families, known=known) for _ in range(batch)]
    spoken = [load_tokenizer().decode(window) for window in windows]
    spoken += [needle.statement for needles, _ in drafts for needle in needles]
    everything = "\n".join(spoken).lower()
    rows = []
    for window, (needles, questions) in zip(windows, drafts, strict=True):
        asked = [
            question
            or (
                rng.random() < plan.untold_share
                and untold_question(rng, families, needles=needles, known=known)
            )
            or absent_question(
                rng,
                families,
                needles=needles,
                split=plan.split,
                taken=known.keys,
                everything=everything,
            )
            for question in questions
        ]
        rows.append(_assembled(rng, window, needles=needles, questions=asked, weights=plan.weights))
    return rows


def _fitting(
    rng: np.random.Generator, plan: Plan, families: Many[Template], *, known: Known
) -> tuple[list[Needle], list[Question | None]]:
    """Return a draft that leaves room for text: of fewer needles where the families are wordy."""
    encode, size = load_tokenizer().encode, 0
    for share in _DRAFT_SHARES:
        fewer = replace(
            plan,
            num_needles=math.ceil(share * plan.num_needles),
            num_questions=math.ceil(share * plan.num_questions),
        )
        drawn = deepcopy(known)  # what a draft that is given up drew stands nowhere
        needles, questions = _draft(rng, fewer, families=families, known=drawn)
        size = sum(len(encode(needle.statement)) + 1 for needle in needles)
        for question in questions:
            # An absent question is not drawn yet: none is longer than 48 tokens with its answer.
            size += 48 if question is None else len(question_part(question, 0).ids)
        if size <= 0.75 * plan.num_tokens:
            known.keys.update(drawn.keys)
            known.told.update(drawn.told)
            if known.values is not None and drawn.values is not None:
                known.values.update(drawn.values)
            return needles, questions
    raise ValueError(
        f"{plan.num_needles} needles and {plan.num_questions} questions, or the fewest tried of "
        f"about {size} tokens, leave less than a quarter of {plan.num_tokens} for text: ask "
        "for fewer, or longer sequences"
    )


def _draft(
    rng: np.random.Generator, plan: Plan, *, families: Many[Template], known: Known
) -> tuple[list[Needle], list[Question | None]]:
    """Return needles and questions of one sequence; None stands for one that will be absent."""
    plural = any(template.plurals for template in families)
    odds = np.array([0.4, 0.2, 0.15, 0.1, 0.15] if plural else [0.45, 0.3, 0.25])
    needles: list[Needle] = []
    offered: list[Question] = []
    spare = plan.num_needles - plan.num_questions  # several values of one key: fewer questions
    while len(needles) < plan.num_needles:
        kind = str(rng.choice(KINDS[: len(odds)], p=odds))
        least = 2 if kind in ("multi_value", "multi_query") else 1
        num = min(int(rng.integers(least, 5)), plan.num_needles - len(needles))
        if kind == "multi_value":
            num = min(num, spare + 1)
            spare -= num - 1
        drawn = set_of(
            rng,
            families,
            num=num,
            kind=kind,
            split=plan.split,
            known=known,
            shared_share=plan.shared_share,
        )
        offset = len(needles)
        needles += drawn.needles
        offered += [
            replace(question, about=tuple(offset + i for i in question.about))
            for question in drawn.questions
        ]
    num_absent = int(rng.binomial(plan.num_questions, plan.absent_share))
    order = rng.permutation(len(offered))[: plan.num_questions - num_absent]
    asked: list[Question | None] = [*(offered[i] for i in order), *[None] * num_absent]
    return needles, [asked[i] for i in rng.permutation(len(asked))]


def _assembled(
    rng: np.random.Generator,
    window: np.ndarray,
    *,
    needles: Many[Needle],
    questions: Many[Question],
    weights: Weights,
) -> Sequence:
    """Return the window, cut to leave room, with needles and questions in their places."""
    encode = load_tokenizer().encode
    facts = [text_part(encode(" " + n.statement), weights.statement) for n in needles]
    asks = [question_part(question, weights.answer) for question in questions]
    size = len(window) - sum(len(part.ids) for part in (*facts, *asks))
    text = window[:size].astype(np.int64)
    spots = at_seams(text, rng.integers(0, size + 1, size=len(facts)))
    for question in questions:
        if question.kind == "multi_value":
            spots[list(question.about)] = np.sort(spots[list(question.about)])
    # (place, 0 fact or 1 question, number): a fact at the same seam comes before its question.
    marks = [(int(spot), 0, number) for number, spot in enumerate(spots)]
    for number, question in enumerate(questions):
        first = max((int(spots[i]) for i in question.about), default=0)
        middle = int(at_seams(text, rng.integers(first, size + 1, size=1))[0])
        marks.append((max(first, middle) if rng.random() < 0.5 else size, 1, number))
    parts, place = [], 0
    for spot, is_question, number in sorted(marks):
        parts += [text_part(text[place:spot], weights.text), (facts, asks)[is_question][number]]
        place = spot
    parts.append(text_part(text[place:], weights.text))
    return joined(parts, len(window), needles=tuple(needles))
