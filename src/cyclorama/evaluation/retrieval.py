"""The same questions by retrieval: find a few likely passages by their words, and read only those.

Picture an index at the end of a book in place of the book: the stream is cut into overlapping
passages, each question's words rank them (BM25, Robertson and Zaragoza 2009, as `bm25s` counts it:
Lu 2024, arXiv 2407.03618), and the reader reads the best few in their order and answers. This is
what reading everything has to beat. The extra ``retrieval`` holds bm25s. Leaves out embeddings.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation.needle import ask
from cyclorama.inference.text import Reader, read_tokens

PASSAGE_TOKENS, OVERLAP_TOKENS = 512, 64
NUM_PASSAGES = 4


def load_bm25s() -> Any:
    """Return the module bm25s; ModuleNotFoundError naming the extra when it is absent."""
    try:
        import bm25s
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the test retrieval needs bm25s: pip install 'cyclorama[retrieval]'"
        ) from error
    return bm25s


def passages(ids: np.ndarray) -> list[np.ndarray]:
    """Cut a stream into passages of 512 tokens that overlap by 64, so that no fact is cut."""
    step = PASSAGE_TOKENS - OVERLAP_TOKENS
    return [
        ids[start : start + PASSAGE_TOKENS]
        for start in range(0, max(1, len(ids) - OVERLAP_TOKENS), step)
    ]


def best_passages(cut: Sequence[np.ndarray], questions: Sequence[str]) -> list[list[int]]:
    """Return for each question the numbers of its best passages, in the order of the text."""
    bm25s, decode = load_bm25s(), load_tokenizer().decode
    quiet: dict[str, Any] = {"show_progress": False}
    texts = [decode(passage.tolist()) for passage in cut]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, **quiet), **quiet)
    words = bm25s.tokenize(list(questions), **quiet)
    found, _ = index.retrieve(words, k=min(NUM_PASSAGES, len(cut)), **quiet)
    return [sorted(int(number) for number in numbers) for numbers in found]


def ask_retrieved(
    reader: Reader, ids: np.ndarray, *, questions: Sequence[str], memory_dtype: str = "bfloat16"
) -> list[str]:
    """Return the answers to questions, each from its best passages of the stream alone."""
    cut = passages(ids)
    answers = []
    for question, numbers in zip(questions, best_passages(cut, questions), strict=True):
        found = np.concatenate([cut[number] for number in numbers])
        reading = read_tokens(reader, found, memory_dtype=memory_dtype)
        answers += ask(reader, reading, questions=[question])
    return answers
