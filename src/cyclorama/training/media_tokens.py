"""The reader's loss with pictures and sound between the words.

A batch is a `TokenBatch` in which some places are no words: there the id is negative, -1 for the
batch's first medium token, -2 for its second, and so on through all sequences, strangers included.
Before the loss is computed all media go through their stems once; then the model that
`next_token_loss` is given looks up words in its table and the rest among those. What a frame or a
second looks like is never foreseen (such places have no weight), only read. Sounds with words are
also spelled where they are read (`nn.spelling`), which teaches hearing long before answers do, and
what lies in the squares of frames is named (`nn.naming`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from cyclorama.data.media_rows import MediaRow
from cyclorama.data.named_squares import NAMES
from cyclorama.data.needle_stream import joined
from cyclorama.data.passages import MEDIUM
from cyclorama.models.lm import LM, LMConfig, ReadState
from cyclorama.nn.naming import naming_loss
from cyclorama.nn.recall import Look
from cyclorama.nn.spelling import spelling_loss
from cyclorama.training.next_token import Asked, TokenBatch, next_token_loss

# Continuations, and rows that end with padding, are as long as a multiple: a kernel is made for
# every new length.
EVEN_TOKENS = 32


@dataclass(frozen=True, eq=False)
class MediaBatch:
    """Token sequences with negative ids for media, and the media in the order of these ids."""

    tokens: TokenBatch
    media: tuple[Tensor, ...]  # frames uint8 (T, H, W, 3) and seconds of sound (B, 16352)
    num_places: int
    num_own: int  # of the media; then come the strangers', embedded without gradients
    kind: str = "media"  # of what its rows are
    said: tuple[str, ...] = ()  # the words in each sequence's sound, "" where there are none
    names: tuple[Tensor | None, ...] = ()  # of the squares of each sequence's frames


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

    def read(
        self, x_BLD: Tensor, state: ReadState | None = None
    ) -> tuple[Tensor, Tensor, Tensor, ReadState]:
        """Read as the reader does."""
        found = self.lm.read(x_BLD, state)
        if state is None:  # what continues a sequence has words only
            self.walked.extend(found[0])
        return found

    def write(self, x_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Write the cards of whole sequences as the reader does."""
        return self.lm.write(x_BLD)

    @property
    def config(self) -> LMConfig:
        """The reader's own."""
        return self.lm.config

    def answer(self, x_RD: Tensor, look: Look) -> Tensor:
        """Answer as the reader does."""
        return self.lm.answer(x_RD, look)


def number_media(
    tokens: TokenBatch, media: Sequence[np.ndarray], *, strangers: Sequence[np.ndarray] = ()
) -> MediaBatch:
    """Return the batch in which each id `MEDIUM` is numbered, in the order of sequences.

    ``media`` come in that order too, and ``strangers`` are those of the extra sequences. ValueError
    when a medium token is to be foreseen.
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
    arrays = tuple(torch.from_numpy(medium) for medium in (*media, *strangers))
    return MediaBatch(numbered, arrays, int(is_medium.sum()), len(media))


def media_token_loss(
    model: LM, batch: MediaBatch, *, generator: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Return `next_token_loss` of a batch with media, and what spelling its words costs.

    ValueError when places and media differ.
    """
    tokens_MD = _embedded(model, batch.media[: batch.num_own])
    with torch.no_grad():
        strangers_MD = _embedded(model, batch.media[batch.num_own :])
    tokens_MD = torch.cat((tokens_MD, strangers_MD))
    if len(tokens_MD) != batch.num_places:
        raise ValueError(
            f"the media have {len(tokens_MD)} tokens, the batch places for {batch.num_places}"
        )
    illustrated = Illustrated(model, tokens_MD)
    loss, metrics = next_token_loss(illustrated, batch.tokens, generator=generator)
    places_BL = batch.tokens.ids_BL < 0
    own = illustrated.walked[: len(places_BL)]  # then come strangers
    read = [x_LD[at_L] for x_LD, at_L in zip(own, places_BL, strict=True)]
    if any(batch.said):
        spelling = _spelling(model, read, batch.said)
        loss, metrics["letters_nats"] = loss + spelling, spelling.item()
    if any(names_LN is not None for names_LN in batch.names):
        naming, right = _naming(model, read, batch.names)
        loss, metrics["names_nats"] = loss + naming, naming.item()
        told = zip(NAMES, right, strict=True)
        metrics |= {f"{kind}_right": share for kind, share in told if share is not None}
    return loss, metrics


def media_batch(
    rows: Sequence[MediaRow],
    *,
    strangers: Sequence[MediaRow] = (),
    max_rows: int = 1536,
    share: bool = False,
) -> MediaBatch:
    """Return rows of one length as a batch; each sees only itself, or all with ``share``.

    ``strangers`` are seen as well then, and read without gradients; ValueError without ``share``,
    for rows of several lengths, and for those that share or weigh though they are asked apart.
    """
    if strangers and not share:
        raise ValueError(f"{len(strangers)} strangers are seen by nobody: give share=True")
    everyone = [*rows, *strangers]
    if len(lengths := {len(row.sequence.ids) for row in everyone}) > 1:
        raise ValueError(f"rows of one length make a batch, these have {sorted(lengths)} tokens")
    ids = torch.from_numpy(np.stack([row.sequence.ids for row in everyone]).astype(np.int64))
    weights = torch.from_numpy(np.stack([row.sequence.weights for row in rows]))
    asked = _asked(rows)
    if asked is not None and (share or bool(weights.any())):
        raise ValueError("rows that are asked apart cannot share, and nothing else in them weighs")
    tokens = TokenBatch(ids[: len(rows)], weights, ids[len(rows) :], share, max_rows, asked)
    media, theirs = ([m for row in some for m in row.media] for some in (rows, strangers))
    batch = number_media(tokens, media, strangers=theirs)
    names = tuple(None if row.names is None else torch.from_numpy(row.names) for row in rows)
    return replace(batch, said=tuple(row.said for row in rows), names=names)


def _asked(rows: Sequence[MediaRow]) -> Asked | None:
    """Return what is asked of rows apart, all as long as the longest."""
    parts = [(number, part) for number, row in enumerate(rows) for part in row.asked]
    if not parts:
        return None
    longest = max(len(part.ids) for _, part in parts)
    longest = -(-longest // EVEN_TOKENS) * EVEN_TOKENS
    filled = [joined([part], longest) for _, part in parts]
    return Asked(
        torch.from_numpy(np.stack([one.ids for one in filled]).astype(np.int64)),
        torch.from_numpy(np.stack([one.weights for one in filled])),
        torch.tensor([number for number, _ in parts]),
    )


def _embedded(model: LM, media: Sequence[Tensor]) -> Tensor:
    return model.embed_media(media) if media else model.embed.weight[:0]


def _spelling(model: LM, read: Sequence[Tensor], said: Sequence[str]) -> Tensor:
    assert model.speller is not None  # these weights were given sound
    pairs = zip(read, said, strict=True)
    spelled = [(model.speller(x_LD), words) for x_LD, words in pairs if words]
    return spelling_loss(*zip(*spelled, strict=True))


def _naming(
    model: LM, read: Sequence[Tensor], names: Sequence[Tensor | None]
) -> tuple[Tensor, list[float | None]]:
    assert model.namer is not None  # these weights were given pictures
    pairs = zip(read, names, strict=True)
    seen = [(x_LD, names_LN) for x_LD, names_LN in pairs if names_LN is not None]
    for x_LD, names_LN in seen:
        if len(x_LD) != len(names_LN):
            raise ValueError(f"a row has {len(x_LD)} squares and names for {len(names_LN)}")
    x_LD, names_LN = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return naming_loss(model.namer(x_LD), names_LN)
