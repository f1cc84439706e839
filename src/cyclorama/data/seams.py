"""Where a sentence can be set into a text: at another's end when one is near, else between words.

Picture a printer who may slip a line into a page that is set: never into a word, and between two
sentences rather than into one. Places are those of tokens.
"""

from functools import lru_cache

import numpy as np

from cyclorama.data.tokenizer import load_tokenizer

_NEAR_TOKENS = 64  # how far a sentence may move from its drawn place to stand at another's end


@lru_cache(maxsize=1)
def _seams() -> tuple[np.ndarray, np.ndarray]:
    """Return which ids begin with white space and which end a sentence, bool (V,) each."""
    tokenizer = load_tokenizer()
    texts = [tokenizer.token(index) for index in range(len(tokenizer))]
    ends = [text.rstrip("\"'_)\n").endswith((".", "!", "?")) or "\n" in text for text in texts]
    return np.array([text[:1].isspace() for text in texts]), np.array(ends)


def at_seams(ids: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return places moved to a sentence's end when one is near, else between two words."""
    opens, ends = _seams()
    words = np.append(np.flatnonzero(opens[ids[1:]]) + 1, len(ids))
    stops = words[:-1][ends[ids[words[:-1] - 1]]]
    snapped = words[np.minimum(np.searchsorted(words, places), len(words) - 1)]
    if len(stops):
        nearest = stops[np.minimum(np.searchsorted(stops, places), len(stops) - 1)]
        snapped = np.where(np.abs(nearest - places) <= _NEAR_TOKENS, nearest, snapped)
    return snapped
