"""Letters heard: what is said, written down while it is read, without a question.

Picture a stenographer beside the scribe who, after every token of sound, notes up to two letters or
nothing. Which instant a letter belongs to nobody told him: the loss sums over all ways to lay the
words along the sound (connectionist temporal classification, Graves et al. 2006, ICML, equations
6 to 8), repeated notes being one letter and blanks none. Used in training alone: what is heard so
early is soon answered too, and answers then err less than the notes (docs/lab-log.md). Words are
lower case, of letters, apostrophes and spaces alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LETTERS = " 'abcdefghijklmnopqrstuvwxyz"
# Notes a token of 40 ms: fast speech has 18 letters a second, and doubled ones a blank between.
NOTES = 2


class Speller(nn.Module):
    """Read tokens of sound to notes: 0 is the blank, `LETTERS` begin at 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, bias=False)
        self.notes = nn.Linear(width, NOTES * (1 + len(LETTERS)))

    def forward(self, x_LD: Float[Tensor, "L D"]) -> Float[Tensor, "T letters"]:
        """Return logits of the two notes of each token, behind each other."""
        return self.notes(self.norm(x_LD)).unflatten(-1, (NOTES, -1)).flatten(0, 1)


def letter_ids(text: str) -> list[int]:
    """Return the notes that spell ``text``; ValueError for a letter that there is none for."""
    if unknown := set(text) - set(LETTERS):
        raise ValueError(f"no note for {''.join(sorted(unknown))!r}: words are lower case letters")
    return [1 + LETTERS.index(letter) for letter in text]


def spelling_loss(logits: Sequence[Float[Tensor, "_ letters"]], texts: Sequence[str]) -> Tensor:
    """Return the mean over sounds of the nats a letter that their words cost.

    A sound too short for its words counts nothing. ValueError when there are not as many texts.
    """
    if len(logits) != len(texts) or not texts:
        raise ValueError(f"needed: one text for each of {len(logits)} sounds, got {len(texts)}")
    notes = nn.utils.rnn.pad_sequence([part.float() for part in logits])
    spelling = [torch.tensor(letter_ids(text)) for text in texts]
    return F.ctc_loss(
        notes.log_softmax(dim=-1),
        torch.cat(spelling),
        torch.tensor([len(part) for part in logits]),
        torch.tensor([len(letters) for letters in spelling]),
        zero_infinity=True,
    )
