"""Marks for what is told and heard: events of a caption, words of a transcript.

Picture two lists side by side. A caption's events are pairs of instant and sentence; a told event
is found when a true one has the same sentence and an instant within the tolerance, each true one
once, and F1 is 2 matched / (told + true). A transcript is marked as speech recognition is: the
least number of words to insert, leave out or replace (Levenshtein 1966), divided by the words that
were said. Leaves out synonyms: other words are wrong.
"""

import re
from collections.abc import Sequence

from cyclorama.data.spoken import DIGITS

TOLERANCE_S = 0.25  # two frames of a clip at 8 fps
_EVENT = re.compile(r"<(\d+(?:\.\d+)?)s>\s*([^<.]+)")
_NOT_A_WORD = re.compile(r"[^a-z0-9' ]+")
_DIGIT = re.compile(r"\d")


def events_told(caption: str) -> list[tuple[float, str]]:
    """Return instant in seconds and sentence of each event of a timed caption, as it is written."""
    return [(float(time), text.strip().lower()) for time, text in _EVENT.findall(caption)]


def matched_events(
    told: Sequence[tuple[float, str]],
    true: Sequence[tuple[float, str]],
    *,
    tolerance_s: float = TOLERANCE_S,
) -> int:
    """Return how many told events can be paired with true ones, each used once, at most."""
    matched = 0
    for sentence in {text for _, text in told}:
        ours = sorted(time for time, text in told if text == sentence)
        theirs = sorted(time for time, text in true if text == sentence)
        while ours and theirs:  # the earliest of both: paired, or the earlier has no partner left
            gap = ours[0] - theirs[0]
            if abs(gap) <= tolerance_s + 1e-9:
                matched += 1
                del ours[0], theirs[0]
            else:
                del (ours if gap < 0 else theirs)[0]
    return matched


def f1(matched: int, *, num_told: int, num_true: int) -> float:
    """Return the harmonic mean of precision and recall; 1 when nothing was to be told nor was."""
    return 2 * matched / (num_told + num_true) if num_told + num_true else 1.0


def words_of(text: str) -> list[str]:
    """Return lower-case words without punctuation; digits are spelled, one word each."""
    spelled = _DIGIT.sub(lambda digit: f" {DIGITS[int(digit[0])]} ", text.lower())
    return _NOT_A_WORD.sub(" ", spelled).split()


def word_errors(found: str, said: str) -> int:
    """Return the least number of insertions, deletions and replacements from said to found."""
    ours, theirs = words_of(found), words_of(said)
    row = list(range(len(ours) + 1))
    for number, word in enumerate(theirs, start=1):
        above, row = row, [number]
        for place, other in enumerate(ours, start=1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (word != other)))
    return row[-1]


def chance_of(answers: Sequence[str], num_choices: Sequence[int]) -> float:
    """Return what a guesser gets: the commonest answer's share, or one of the choices at random."""
    commonest = max(answers.count(answer) for answer in set(answers)) / len(answers)
    return max(commonest, sum(1 / num for num in num_choices) / len(num_choices))
