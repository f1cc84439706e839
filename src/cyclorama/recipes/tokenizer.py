"""The shipped tokenizer: half of its training text is books, half captions of the engine's clips.

``python -m cyclorama.recipes.tokenizer BOOK.txt ... --clips CACHE --to FILE`` with three public
domain books (Don Quixote, Bleak House, Middlemarch) and a cache of 7,200 clips of the "stage"
domain made the shipped file, in about ten seconds on one core. Each book gives an equal share, from
its start, of as many bytes as all captions have; so every word of a caption is one token, and the
rest of the entries serve English text at large.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cyclorama.data.tokenizer import Tokenizer, mix_texts, train_tokenizer
from cyclorama.data.worlds_cache import open_worlds_cache


def run(books: Sequence[Path], clips: Path, *, to: Path) -> Tokenizer:
    """Train on the books and on the captions of a cache of clips, and write ``to``."""
    cache = open_worlds_cache(clips)
    captions = [text for i in range(len(cache)) for text in cache[i].captions.values()]
    share_bytes = sum(len(text.encode()) for text in captions) // len(books) - 200
    texts = [book.read_bytes()[:share_bytes].decode(errors="ignore") for book in books]
    tokenizer = train_tokenizer(mix_texts(texts, captions))
    tokenizer.save(to)
    return tokenizer


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the shipped tokenizer.")
    parser.add_argument("books", nargs="+", type=Path)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    run(arguments.books, arguments.clips, to=arguments.to)


if __name__ == "__main__":
    main()
