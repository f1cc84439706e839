"""How well the reader foresees tokens of a stream that stand there already.

Picture a finger moving along a page that is known: at chosen places it stops, and the reader says
what comes next from everything before it. Nothing is generated, so thousands of places share one
reading: the stream is walked once, the rows before the chosen places are kept, and at the end they
ask the memory, each as far as its own position. The answer to a question that stands in the stream
would be written exactly so if, and only if, the likeliest token is right at each of its places.
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
    memory = open_memory(len(tokens), reader.lm.config.memory_size, dtype=memory_dtype)
    state, kept = None, []
    for start in range(0, len(tokens), piece):
        part = tokens[start : start + piece]
        x_BLD, k_BLK, v_BLK, state = reader.lm.read(reader.lm.embed(part[None]), state)
        memory.append(k_BLK[0], v_BLK[0])
        inside = rows[(rows >= start) & (rows < start + piece)] - start
        kept.append(x_BLD[0, torch.from_numpy(inside)])
    x_RD, row_R = torch.cat(kept), torch.from_numpy(rows)
    nats, likeliest = [], []
    for x_PD, row_P in zip(x_RD.split(ROWS), row_R.split(ROWS), strict=True):
        logits_PV = reader.lm.answer(x_PD, _up_to(memory, row_P, dtype=x_PD.dtype)).float()
        nats.append(F.cross_entropy(logits_PV, tokens[row_P + 1], reduction="none"))
        likeliest.append(logits_PV.argmax(dim=-1))
    return torch.cat(nats).numpy(), torch.cat(likeliest).numpy()


def _up_to(memory: Memory, row_P: Tensor, *, dtype: torch.dtype) -> Look:
    """Show rows the cards up to their own; chunks behind the last of them are not walked."""
    last = int(row_P[-1])

    def walked() -> Iterator[Chunk]:
        return takewhile(lambda chunk: chunk[2] <= last, memory.chunks(dtype))

    return Look(walked, row_P, row_P + 1)
