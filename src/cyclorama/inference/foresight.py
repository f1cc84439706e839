"""How well the reader foresees tokens of a stream that stand there already.

Picture a finger moving along a page that is known: at chosen places it stops, and the reader says
what comes next from everything before it. Nothing is generated, so thousands of places share one
reading: the stream is walked once, the rows before the chosen places are kept, and at the end they
ask the memory, each as far as its own position. The answer to a question that stands in the stream
would be written exactly so if, and only if, the likeliest token is right at each of its places; but
for a reader with ``hindsight``, whose nearest cards are written at once here, and with what it
knows of them where a stream has ended and is asked (`text`); and but for long streams, of which an
answer sees the places that were found alone (`second_look`), and a place here everything.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclorama.inference.text import PIECE, Reader
from cyclorama.nn.cache import Memory, open_memory
from cyclorama.nn.recall import Chunk, Look

ROWS = 64  # that ask together: their scores of a chunk are 64 MB


@torch.inference_mode()
def foresee(
    reader: Reader,
    ids: Sequence[int] | np.ndarray,
    *,
    places: Sequence[int] | np.ndarray,
    memory_dtype: str = "bfloat16",
    piece: int = PIECE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return nats of the token at each place, and the likeliest token there; (R,) each.

    Places ascend and lie in [1, len(ids)), else ValueError: nothing stands before the first token.
    """
    rows = np.asarray(places, dtype=np.int64) - 1
    tokens = torch.from_numpy(np.asarray(ids).astype(np.int64))
    if not len(rows) or rows[0] < 0 or rows[-1] + 1 >= len(tokens) or (np.diff(rows) < 0).any():
        raise ValueError(f"places must ascend in [1, {len(tokens)}), got {places!r}")
    lm, wait = reader.lm, reader.lm.config.hindsight
    memory = open_memory(len(tokens), lm.config.memory_size, dtype=memory_dtype)
    state, kept = None, []
    near_k_LK = near_v_LK = lm.embed.weight.new_zeros(wait, lm.config.memory_size)
    for start in range(0, len(tokens), piece):
        part = tokens[start : start + piece]
        x_BLD, k_BLK, v_BLK, following = lm.read(lm.embed(part[None]), state)
        late_BWK, late_v_BWK = lm.write(x_BLD, state, ended=start + piece >= len(tokens))
        memory.append(late_BWK[0], late_v_BWK[0])
        state = following
        inside = torch.from_numpy(rows[(rows >= start) & (rows < start + piece)] - start)
        near = [torch.cat(two) for two in ((near_k_LK, k_BLK[0]), (near_v_LK, v_BLK[0]))]
        last = inside[:, None] + torch.arange(1, wait + 1)
        kept.append((x_BLD[0, inside], near[0][last], near[1][last]))
        near_k_LK, near_v_LK = (cards[len(cards) - wait :] for cards in near)
    (x_RD, *near_RWK), row_R = map(torch.cat, zip(*kept, strict=True)), torch.from_numpy(rows)
    nats, likeliest = [], []
    near_k, near_v = near_RWK
    groups = (every.split(ROWS) for every in (x_RD, row_R, near_k, near_v))
    for x_PD, row_P, *near_PWK in zip(*groups, strict=True):
        logits_PV = lm.answer(x_PD, _up_to(memory, row_P, near_PWK)).float()
        nats.append(F.cross_entropy(logits_PV, tokens[row_P + 1], reduction="none"))
        likeliest.append(logits_PV.argmax(dim=-1))
    return torch.cat(nats).numpy(), torch.cat(likeliest).numpy()


def _up_to(memory: Memory, row_P: Tensor, near_PWK: Sequence[Tensor]) -> Look:
    """Show rows the cards up to their own; chunks behind the last of them are not walked.

    The nearest W, which the memory has written late, each row sees as they are written at once.
    """
    last, base, (num, wait) = int(row_P[-1]), memory.num_cards, near_PWK[0].shape[:2]

    def walked() -> Iterator[Chunk]:
        chunks = memory.chunks(near_PWK[0].dtype)
        yield from takewhile(lambda chunk: chunk[2] <= last, chunks)
        if wait:
            near_k, near_v = (cards.flatten(0, 1) for cards in near_PWK)
            yield near_k, near_v, base

    def view(first: int, length: int) -> tuple[Tensor | None, Tensor]:
        if first < base:
            distance = row_P[:, None] - torch.arange(first, first + length)
            return distance >= wait, distance
        back = torch.arange(wait - 1, -1, -1).repeat(num)[None]
        mine = torch.arange(num).repeat_interleave(wait) == torch.arange(num)[:, None]
        return mine & (back <= row_P[:, None]), back.expand(num, -1)

    return Look(walked, row_P, row_P + 1, view=view)
