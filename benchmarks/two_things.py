"""Does the question decide? Facts that tell two things of a key, asked for one of them.

Each statement tells two things ("The dinghy K belongs to B, yet all summer V was at the oars"),
often of one kind, and the question asks for one. Who finds the statement by its key and answers
with either is right half of the time, as a coin is; so besides what is right it is counted how
often the other thing of the same statement was told. The lines (``two_things.jsonl``, 39, asked
from both sides) were written like those of training (decision 0015) and are kept out of it, their
questions too. Keys are of the held-out split, the facts at even depths of a text of the user's. An
answer counts when it is the fact's, letter for letter, case apart. A third as many questions ask of
a key what its line does not tell but another one could: "not found" is right (untold).

Run: python benchmarks/two_things.py [--weights reader,FILE] [--lengths 16k,1m] [--num 200] BOOK
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from machine import machine
from page import command, commit, opening, publish

from cyclorama.data.needle_families import families_in
from cyclorama.data.needle_sets import Known, set_of, untold_question
from cyclorama.data.needles import ABSENT, Needle, Question
from cyclorama.data.texts import Texts, open_texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation.bench import parse_length
from cyclorama.evaluation.needle import singles, try_haystack
from cyclorama.inference.text import Reader, load_reader

LINES = Path(__file__).with_suffix(".jsonl")
SORTS = ("right", "the other thing", ABSENT, "something else")


def drawn(num: int) -> tuple[tuple[Needle, ...], list[Question]]:
    """Return ``num`` facts of the lines' families, of either side, and questions untold."""
    lines = LINES.read_text("utf-8").splitlines()
    families = [family for line in lines for family in families_in(line)]
    rng, known = np.random.default_rng(num), Known({})
    needles = set_of(rng, families, num=num, kind="single", split="test", known=known).needles
    asked = (
        untold_question(rng, families, needles=[needle], known=known) for needle in needles[::3]
    )
    return needles, [question for question in asked if question]


def sort_of(needle: Needle, answer: str) -> str:
    """Return the entry of `SORTS` that an answer belongs to."""
    said = answer.strip().lower()
    if said == needle.answer.lower():
        return "right"
    if said == ABSENT:
        return ABSENT
    return "the other thing" if said == needle.beside.lower() else "something else"


def answered(reader: Reader, texts: Texts, num_tokens: int, *, num: int) -> list[int]:
    """Read one text with the facts in it; return counts of `SORTS`, of untold, of these refused."""
    needles, untold = drawn(num)
    told = sum(len(load_tokenizer().encode(" " + needle.statement)) for needle in needles)
    trials, _, _ = try_haystack(
        reader,
        texts.stream(num_tokens - told),
        needles=needles,
        questions=[*singles(needles), *untold],
        memory_dtype="int8",
    )
    counts = Counter(
        sort_of(needle, trial.found) for needle, trial in zip(needles, trials, strict=False)
    )
    refused = sum(trial.found.strip().lower() == ABSENT for trial in trials[num:])
    return [*(counts[sort] for sort in SORTS), len(untold), refused]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("book", type=Path, help="a text to hide facts in")
    parser.add_argument("--weights", default="reader", help="one or more, with commas")
    parser.add_argument("--lengths", default="64k,1m", help="of the text, in tokens")
    parser.add_argument("--num", type=int, default=200, help="facts in a text")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    texts = open_texts([arguments.book])
    lines = [
        f"| weights | tokens | questions | {' | '.join(SORTS)} | untold | not found |",
        "|---|--:|--:|" + "--:|" * 6,
    ]
    for weights in arguments.weights.split(","):
        reader = load_reader(weights)
        for length in map(parse_length, arguments.lengths.split(",")):
            cells = " | ".join(map(str, answered(reader, texts, length, num=arguments.num)))
            lines.append(f"| {reader.checksum[:12]} | {length:,} | {arguments.num} | {cells} |")
            print(lines[-1], flush=True)
    publish(
        [
            *opening("Does the question decide", __doc__),
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
