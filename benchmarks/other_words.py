"""Do the words of a fact matter? Held-out facts as they were written, and with other words in them.

Whoever has read a thousand facts knows the words that facts are told in, and may take one that he
never met for the answer: of "was given the baggage tag V" none of eight was right, of "was given
the baggage label V" all (docs/lab-log.md). So the facts of all held-out families are
asked for twice, in one text each of a book of the user's: as written, and with one to three words
of each family changed (`disguise.with_other_words`: the same in question and statement, drawn from
rare words of training's families, from the words that are values, and from invented ones). Who
reads "the baggage tombola QOB-11916" and is asked for the tombola must answer as before. An answer
counts when it is the fact's, letter for letter, case apart.

Run: python benchmarks/other_words.py [--weights reader,FILE] [--length 64k] [--num 300] BOOK
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from machine import machine
from page import command, commit, opening, publish

from cyclorama.data.disguise import with_other_words
from cyclorama.data.needle_families import TEMPLATES
from cyclorama.data.needle_sets import Known, set_of
from cyclorama.data.needles import Needle
from cyclorama.data.texts import Texts, open_texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation.bench import parse_length
from cyclorama.evaluation.needle import try_haystack
from cyclorama.inference.text import Reader, load_reader


def drawn(num: int, *, share: float) -> tuple[Needle, ...]:
    """Return ``num`` facts of held-out families, of which ``share`` have other words each time."""
    rng, known = np.random.default_rng(num), Known({})
    needles: list[Needle] = []
    while len(needles) < num:
        families = [with_other_words(rng, one, share=share) for one in TEMPLATES["test"]]
        lot = min(len(families), num - len(needles))
        needles += set_of(rng, families, num=lot, kind="single", split="test", known=known).needles
    return tuple(needles)


def num_right(reader: Reader, texts: Texts, num_tokens: int, *, needles: Sequence[Needle]) -> int:
    """Read one text with the facts in it, and count the answers that are right."""
    told = sum(len(load_tokenizer().encode(" " + needle.statement)) for needle in needles)
    haystack = texts.stream(num_tokens - told)
    trials, _, _ = try_haystack(reader, haystack, needles=needles, memory_dtype="int8")
    return sum(trial.found.strip().lower() == trial.answer.lower() for trial in trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("book", type=Path, help="a text to hide facts in")
    parser.add_argument("--weights", default="reader", help="one or more, with commas")
    parser.add_argument("--length", default="64k", help="of the text, in tokens")
    parser.add_argument("--num", type=int, default=300, help="facts in a text")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    texts, length = open_texts([arguments.book]), parse_length(arguments.length)
    lines = [
        "| weights | tokens | facts | as written | with other words |",
        "|---|--:|--:|--:|--:|",
    ]
    for weights in arguments.weights.split(","):
        reader = load_reader(weights)
        right = [
            num_right(reader, texts, length, needles=drawn(arguments.num, share=share))
            for share in (0.0, 1.0)
        ]
        lines.append(
            f"| {reader.checksum[:12]} | {length:,} | {arguments.num} | {right[0]} | {right[1]} |"
        )
        print(lines[-1], flush=True)
    publish(
        [
            *opening("Do the words of a fact matter", __doc__),
            f"* command: `{command()}`",
            f"* commit: {commit()}; {machine(arguments.threads)}",
            "",
            *lines,
            "",
        ],
        Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
