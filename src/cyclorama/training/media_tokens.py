"""The reader's loss with pictures and sound between the words.

A batch is a `TokenBatch` in which some places are no words: there the id is negative, -1 for the
batch's first medium token, -2 for its second, and so on through all sequences, strangers included.
Before the loss is computed all media go through their stems once; then the model that
`next_token_loss` is given looks up words in its table and the rest among those. What a frame or a
second looks like is never foreseen (such places have no weight), only read. Sounds with words are
also spelled where they are read (`nn.spelling`), which teaches hearing long before answers do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.media_rows import MediaRow
from cyclorama.data.passages import MEDIUM
from cyclorama.models.lm import LM, ReadState
from cyclorama.nn.recall import Look
from cyclorama.nn.spelling import spelling_loss
from cyclorama.training.next_token import TokenBatch, next_token_loss


@dataclass(frozen=True, eq=False)
class MediaBatch:
    """Token sequences with negative ids for media, and the media in the order of these ids."""

    tokens: TokenBatch
    media: tuple[Tensor, ...]  # frames uint8 (T, H, W, 3) and seconds of sound (B, 16352)
    num_places: int
    kind: str = "media"  # of what its rows are
    said: tuple[str, ...] = ()  # the words in each sequence's sound, "" where there are none


@dataclass(frozen=True, eq=False)
class Illustrated:
    """A reader before which a batch's media lie embedded; to a loss it is the reader itself."""

    lm: LM
    tokens_MD: Tensor
    walked: list[Tensor] = field(default_factory=list)  # sequences as read, in their order

    def embed(self, ids_BL: Tensor) -> Tensor:
        """Return the tokens of words and media."""
        is_medium_BL = ids_BL < 0
        x_BLD = self.lm.embed(ids_BL.clamp(min=0))
        return x_BLD.index_put((is_medium_BL,), self.tokens_MD[-1 - ids_BL[is_medium_BL]])

    def read(self, x_BLD: Tensor) -> tuple[Tensor, Tensor, Tensor, ReadState]:
        """Read as the reader does."""
        found = self.lm.read(x_BLD)
        self.walked.extend(found[0])
        return found

    def answer(self, x_RD: Tensor, look: Look) -> Tensor:
        """Answer as the reader does."""
        return self.lm.answer(x_RD, look)


def number_media(tokens: TokenBatch, media: Sequence[np.ndarray]) -> MediaBatch:
    """Return the batch in which each id `MEDIUM` is numbered, in the order of sequences.

    ``media`` come in that order too, those of the extra sequences last. ValueError when a medium
    token is to be foreseen.
    """
    ids = torch.cat((tokens.ids_BL.flatten(), tokens.extra_EL.flatten()))
    if bool((tokens.weights_BL[tokens.ids_BL == MEDIUM] > 0).any()):
        raise ValueError("a frame or a sound has a weight: only words can be foreseen")
    is_medium = ids == MEDIUM
    ids = torch.where(is_medium, -is_medium.cumsum(0), ids)
    judged, extra = ids.split([tokens.ids_BL.numel(), tokens.extra_EL.numel()])
    numbered = replace(
        tokens,
        ids_BL=judged.view_as(tokens.ids_BL),
        extra_EL=extra.view_as(tokens.extra_EL),
    )
    arrays = tuple(torch.from_numpy(medium) for medium in media)
    return MediaBatch(numbered, arrays, int(is_medium.sum()))


def media_token_loss(
    model: LM, batch: MediaBatch, *, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Return `next_token_loss` of a batch with media, and what spelling its words costs.

    ValueError when places and media differ.
    """
    tokens_MD = model.embed_media(batch.media) if batch.media else model.embed.weight[:0]
    if len(tokens_MD) != batch.num_places:
        raise ValueError(
            f"the media have {len(tokens_MD)} tokens, the batch places for {batch.num_places}"
        )
    illustrated = Illustrated(model, tokens_MD)
    loss, metrics = next_token_loss(illustrated, batch.tokens, generator=generator)
    if not any(batch.said):
        return loss, metrics
    assert model.speller is not None  # these weights were given sound
    places_BL = batch.tokens.ids_BL < 0
    sequences = zip(batch.said, illustrated.walked, places_BL, strict=False)  # then come strangers
    spoken = [(model.speller(x_LD[place_L]), words) for words, x_LD, place_L in sequences if words]
    spelling = spelling_loss(*zip(*spoken, strict=True))
    return loss + spelling, {**metrics, "letters_nats": spelling.item()}


def media_batch(
    rows: Sequence[MediaRow], *, max_rows: int = 1536, share: bool = False
) -> MediaBatch:
    """Return rows of one length as a batch; each sees only itself, or all with ``share``."""
    ids = torch.from_numpy(np.stack([row.sequence.ids for row in rows]).astype(np.int64))
    weights = torch.from_numpy(np.stack([row.sequence.weights for row in rows]))
    tokens = TokenBatch(ids, weights, ids[:0], share, max_rows)
    batch = number_media(tokens, [medium for row in rows for medium in row.media])
    return replace(batch, said=tuple(row.said for row in rows))
