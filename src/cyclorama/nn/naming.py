"""Things named: what lies in every square of a frame, told while it is read, without a question.

Picture a guide beside the scribe who points at each square of a picture and has it say what lies
there: which shape of which colour, what that thing does, where to, and what has just befallen it;
and what the camera does. An answer names one thing of a clip, a guide names what fills its squares.
Used in training alone, as letters are of sound (`spelling`): the engine knows what every pixel
shows; the words stand in `data.named_squares`.
Supervision of every place beside the answers' own after Johnson et al. 2016 ("DenseCap", arXiv
1511.07571).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

# Words of each kind of name: shape (the first is nothing), colour, motion, direction, the steps on
# the screen across and along, the camera's motion (the first is none), and events (likewise).
NUM_WORDS = (8, 12, 9, 5, 3, 3, 12, 7)
MOSTLY_FIRST = (0, 6, 7)  # kinds whose first word is mostly right: shape, camera, event
UNNAMED = -100  # what nobody is asked for


class Namer(nn.Module):
    """Read tokens of frames to a score for each word of each kind."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, bias=False)
        self.words = nn.Linear(width, sum(NUM_WORDS))

    def forward(self, x_LD: Float[Tensor, "L D"]) -> tuple[Float[Tensor, "L _"], ...]:
        """Return logits of each kind of name, in the order of `NUM_WORDS`."""
        return self.words(self.norm(x_LD)).split(NUM_WORDS, dim=-1)


def naming_loss(
    logits: tuple[Float[Tensor, "L _"], ...], names_LN: Int[Tensor, "L N"]
) -> tuple[Tensor, list[float | None]]:
    """Return the mean over kinds of the nats a name, and which share of each kind is right.

    ``names_LN`` holds a word's number for each kind, or `UNNAMED`. Where the first word is mostly
    right (`MOSTLY_FIRST`) it counts as a kind of its own, and has no share: whoever always says it
    would seldom be wrong and never of use.
    """
    losses: list[Tensor] = []
    right: list[float | None] = []
    for number, (scores, wanted) in enumerate(zip(logits, names_LN.T, strict=True)):
        things = wanted > 0 if number in MOSTLY_FIRST else wanted != UNNAMED
        groups = (things, wanted == 0) if number in MOSTLY_FIRST else (things,)
        losses += [F.cross_entropy(scores[g].float(), wanted[g]) for g in groups if bool(g.any())]
        told = scores.detach().argmax(dim=-1)[things] == wanted[things]
        right.append(told.float().mean().item() if len(told) else None)
    mean = torch.stack(losses).mean() if losses else names_LN.new_zeros((), dtype=torch.float32)
    return mean, right
