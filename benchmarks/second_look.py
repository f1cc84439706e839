"""A long memory looked at once, twice and three times, and quoted from: answers to the same questions, from the same reading.

With one look every token of an answer attends to the whole memory. With two the memory is walked
once a question and behind each comma of an answer, which is read from the blocks where heads
looked hardest (`inference/second_look`, decision 0013). With three an answer of which the reader is unsure
is settled by the pages where heads looked, read anew (`inference/third_look`, decision 0018). "Quoted" is with three looks too,
and an answer is words of what lies there, or "not found" (`inference/quotes`). Facts are of held-out families, in a text of the user's
(which begins again where it is too short), at even depths; an answer counts when it is the fact's,
letter for letter, case apart. Of what is nowhere "not found" is right. Seconds are of all the
questions together, after the reading.

Run: python benchmarks/second_look.py [--weights reader] [--lengths 64k,1m] [--num 100] BOOK
"""

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from machine import machine
from page import command, commit, opening, publish

from cyclorama.data.needles import Needle, Question, draw_set
from cyclorama.data.texts import Texts, open_texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation.bench import length_name, parse_length
from cyclorama.evaluation.needle import ask, plant, singles
from cyclorama.inference.text import Reader, load_reader, read_tokens

SET_SIZE = 3
WAYS = "once", "twice", "thrice", "quoted"
SETS = {
    "one fact": "single",
    "three keys in one question": "multi_query",
    "all three values of a key": "multi_value",
    "what is nowhere": "absent",
}


@dataclass(frozen=True)
class Asked:
    """A question, and whether each way answered it rightly."""

    sort: str
    once: bool
    twice: bool
    thrice: bool
    quoted: bool


def drawn(rng: np.random.Generator, num: int) -> tuple[list[Needle], list[tuple[str, Question]]]:
    """Return facts for one text, and ``num`` questions about one fact, a quarter of each other."""
    taken: dict[str, str] = {}
    needles: list[Needle] = []
    questions: list[tuple[str, Question]] = []
    for sort, kind in SETS.items():
        if kind == "single":
            found = draw_set(rng, num=num, split="test", taken=taken).needles
            needles += found
            questions += [(sort, question) for question in singles(found)]
            continue
        for _ in range(max(1, num // 4)):
            some = draw_set(rng, num=SET_SIZE, kind=kind, split="test", taken=taken)
            needles += some.needles
            questions.append((sort, some.questions[0]))
    return needles, questions


def compare(
    reader: Reader, texts: Texts, num_tokens: int, *, num: int
) -> tuple[list[Asked], dict[str, float]]:
    """Read one text and ask it everything in each way; return what was right, and the seconds."""
    needles, questions = drawn(np.random.default_rng(num_tokens), num)
    told = [load_tokenizer().encode(" " + needle.statement) for needle in needles]
    depths = [(number + 0.5) / len(needles) for number in range(len(needles))]
    haystack = texts.stream(num_tokens - sum(map(len, told)))
    reading = read_tokens(reader, plant(haystack, told, depths=depths), memory_dtype="int8")
    right, seconds = {}, {}
    ways = {
        "once": replace(reader, two_looks=False),
        "twice": replace(reader, three_looks=False),
        "thrice": reader,
        "quoted": replace(reader, quotes=True),
    }
    for way, asked in ways.items():
        begun = time.perf_counter()
        found = ask(asked, reading, questions=[question.text for _, question in questions])
        seconds[way] = time.perf_counter() - begun
        right[way] = [
            answer.lower() == question.answer.lower()
            for answer, (_, question) in zip(found, questions, strict=True)
        ]
    sorts = (sort for sort, _ in questions)
    return [Asked(*one) for one in zip(sorts, *right.values(), strict=True)], seconds


def table(num_tokens: int, asked: list[Asked], seconds: dict[str, float]) -> list[str]:
    by_sort: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_sort[one.sort].append(one)
    lines = []
    for sort, some in by_sort.items():
        counts = (sum(getattr(one, way) for one in some) for way in WAYS)
        lost = sum(one.twice and not one.thrice for one in some)
        cells = " | ".join(map(str, counts))
        lines.append(f"| {num_tokens:,} | {sort} | {len(some)} | {cells} | {lost} | |")
    lines.append(
        f"| | seconds | {len(asked)} | {' | '.join(f'{seconds[way]:.1f}' for way in WAYS)} | | "
        f"{seconds['once'] / seconds['thrice']:.1f} times as fast |"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("book", type=Path, help="a text to hide facts in")
    parser.add_argument("--weights", default="reader")
    parser.add_argument("--lengths", default="64k,1m", help="of the text, in tokens")
    parser.add_argument("--num", type=int, default=100, help="questions about one fact")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    reader, texts = load_reader(arguments.weights), open_texts([arguments.book])
    lines = [
        "| tokens | asked | questions | right, one look | two looks | three | quoted | right with two looks, not with three | |",
        "|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for length in map(parse_length, arguments.lengths.split(",")):
        lines += table(length, *compare(reader, texts, length, num=arguments.num))
        print(f"{length_name(length)}: {lines[-1]}", flush=True)
    publish(
        [
            *opening("One look, two, three, and quotations", __doc__),
            f"* command: `{command()}`",
            f"* commit: {commit()}; weights {reader.checksum[:12]}; {machine(arguments.threads)}",
            "",
            *lines,
            "",
        ],
        Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
