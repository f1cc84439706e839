"""The reader's examination: ``cyclorama evaluate reader --out DIR``.

Six papers, and more on request. *needle*: single facts at every depth of every length.
*many*: one, ten and a hundred facts in one haystack. *kinds*: one fact among keys of its own
family, among keys one letter away, several values of one key, several keys in one question, and a
key that is nowhere. *position*, *shots*, *dictionary*: see `examples`. *retrieval*: the needles'
questions answered from the best passages alone, and from everything read. *video* and *audio* hide
cards and words in hours (`hidden`); *questions*, *captions* and *speech* are about clips and voices
(`media`); these only when named. All facts are of families that no training saw. DIR gets
``record.json`` (flat keys, docs/evaluation.md), every question with its answer in ``trials.json``,
and heat maps of the needles: ``picture.png`` for text, ``picture_video.png`` and
``picture_audio.png``. Texts, facts and questions are functions of the seed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cyclorama.data.needles import KINDS, Needle, Question, draw_set
from cyclorama.data.texts import generated_texts, open_texts
from cyclorama.evaluation import media
from cyclorama.evaluation.bench import (
    ANSWERS_STAND_IN_TEXT,
    HIDES_IN,
    Bench,
    ReaderTests,
    check_reads,
    duration_name,
    is_text_file,
    length_name,
    media_haystack,
    portions,
)
from cyclorama.evaluation.examples import many_shots, nats_by_position, translate
from cyclorama.evaluation.heat_map import draw_heat_map
from cyclorama.evaluation.needle import singles
from cyclorama.evaluation.outcome import Outcome, flat_keys, merged, print_outcome, raw_rows
from cyclorama.evaluation.retrieval import ask_retrieved, load_bm25s
from cyclorama.inference.text import Reader, load_reader, read_tokens
from cyclorama.record import environment, write_json

MANY = (1, 10, 100)
SET_SIZE = 3
EXAMPLE_TOKENS = 24_576  # of a label map or a dictionary: some 2,000 shots
PAGE_TOKENS = 256
GENERATED_TOKENS = 1 << 20
PROSE_SEED = 1_000  # training makes its prose from seed 0


def _needle(bench: Bench) -> Outcome:
    """Ask single facts at even depths of the haystacks of every length."""
    outcome, config = Outcome(), bench.config
    for length in config.lengths:
        name, costs = length_name(length), []
        for number, num in enumerate(portions(config.num_trials, config.num_haystacks)):
            needles = draw_set(bench.rng(0, length, number), num=num, split="test").needles
            trials, cost, _ = bench.attempt(
                length, number, needles=needles, questions=singles(needles)
            )
            outcome.add(f"needle_text_{name}", trials)
            costs.append(cost)
        outcome.figures |= {
            f"prefill_{name}_s": float(np.mean([cost.prefill_s for cost in costs])),
            f"peak_memory_{name}_gb": costs[-1].peak_memory_gb,
        }
    return outcome


def _many(bench: Bench) -> Outcome:
    """Hide 1, 10 and 100 facts in haystacks of every length, and ask for each alone."""
    outcome, config = Outcome(), bench.config
    for length in config.lengths:
        for num in [num for num in MANY if num <= config.num_trials]:
            for number in range(min(config.num_haystacks, config.num_trials // num)):
                needles = draw_set(bench.rng(1, length, num, number), num=num, split="test").needles
                trials, _, _ = bench.attempt(
                    length, number, needles=needles, questions=singles(needles)
                )
                outcome.add(f"needles_{num}_text_{length_name(length)}", trials)
    return outcome


def _kinds(bench: Bench) -> Outcome:
    """Ask equally many questions of each harder kind; an answer to what is absent is false."""
    outcome, config = Outcome(), bench.config
    kinds = KINDS[1:]
    each = math.ceil(config.num_trials / len(kinds))
    for length in config.lengths:
        for number, num in enumerate(portions(each, config.num_haystacks)):
            needles, questions = _mixed(bench.rng(2, length, number), kinds, num=num)
            trials, _, _ = bench.attempt(length, number, needles=needles, questions=questions)
            outcome.add_kinds(f"text_{length_name(length)}", trials)
    return outcome


def _position(bench: Bench) -> Outcome:
    """Measure nats a token by position, in the longest text."""
    ids = bench.text(max(bench.config.lengths))
    nats = nats_by_position(bench.reader, ids, memory_dtype=bench.config.memory_dtype)
    return Outcome(figures={f"nats_{length_name(end)}": value for end, value in nats.items()})


def _shots(bench: Bench) -> Outcome:
    """Ask label maps after more and more shots: 1, 2 to 3, 4 to 7, ..."""
    outcome, config = Outcome(), bench.config
    shots = many_shots(
        bench.reader,
        num_tokens=min(EXAMPLE_TOKENS, max(config.lengths)),
        num_asked=config.num_trials,
        seed=config.seed,
        memory_dtype=config.memory_dtype,
    )
    for shot in sorted(shots, key=lambda shot: shot.num_before):
        outcome.count(f"shots_{1 << (shot.num_before.bit_length() - 1)}", [shot.right])
    outcome.rows = shots
    return outcome


def _dictionary(bench: Bench) -> Outcome:
    """Ask for words of an invented language with and without its dictionary."""
    outcome, config = Outcome(), bench.config
    page = read_tokens(bench.reader, bench.text(PAGE_TOKENS))
    known, guessed = translate(
        bench.reader,
        page,
        num_tokens=min(EXAMPLE_TOKENS, max(config.lengths)),
        num_asked=config.num_trials,
        seed=config.seed,
        memory_dtype=config.memory_dtype,
    )
    outcome.add("dictionary_with", known)
    outcome.add("dictionary_without", guessed)
    return outcome


def _retrieval(bench: Bench) -> Outcome:
    """Ask a haystack's facts twice: after reading all of it, and the best passages alone."""
    load_bm25s()  # before an hour of reading, not after
    outcome, config = Outcome(), bench.config
    for length in config.lengths:
        num = min(config.num_trials, MANY[-1])
        needles = draw_set(bench.rng(3, length), num=num, split="test").needles
        whole, _, ids = bench.attempt(length, 0, needles=needles, questions=singles(needles))
        found = ask_retrieved(bench.reader, ids, questions=[trial.question for trial in whole])
        parts = [
            replace(trial, kind="retrieval", found=text)
            for trial, text in zip(whole, found, strict=True)
        ]
        name = length_name(length)
        outcome.add(f"whole_text_{name}", whole)
        outcome.add(f"retrieval_text_{name}", parts)
    return outcome


TESTS: dict[str, Callable[[Bench], Outcome]] = {
    "needle": _needle,
    "many": _many,
    "kinds": _kinds,
    "position": _position,
    "shots": _shots,
    "dictionary": _dictionary,
    "retrieval": _retrieval,
    **media.TESTS,
}


def evaluate_reader(
    out: Path,
    config: ReaderTests,
    *,
    weights: str = "reader",
    report: Callable[[str], None] = print,
) -> Path:
    """Examine a reader, print a table, and return the record's path.

    ValueError for a test, a file or weights that do not exist, for lengths that have no room, and
    for weights that do not read what a test shows; ImportError naming the extra that a test needs.
    """
    _check(config)
    reader = replace(load_reader(weights), quotes=config.quote)
    check_reads(config.tests, reader.lm.config)
    bench = _open_bench(reader, config, report)
    outcomes: dict[str, Outcome] = {}
    for name in config.tests:  # each is written at once: the next may take an hour
        outcomes[name] = TESTS[name](bench)
        _write(out, bench, outcomes)
    print_outcome(
        merged(outcomes.values()), title="the reader, facts of families that no training saw"
    )
    return out / "record.json"


def _open_bench(reader: Reader, config: ReaderTests, report: Callable[[str], None]) -> Bench:
    """Return the bench with the user's haystack, of which every test that hides makes use."""
    path = config.haystack
    if path is None or not is_text_file(path):
        texts = generated_texts(GENERATED_TOKENS, seed=PROSE_SEED + config.seed)
        config_lm = reader.lm.config
        item = media_haystack(path, config.tests, config=config_lm) if path else None
        return Bench(reader, texts, config, report, item)
    uses = {HIDES_IN[test] for test in config.tests if test in HIDES_IN}
    if uses != {"text"}:
        others = [test for test in config.tests if HIDES_IN.get(test) != "text"]
        raise ValueError(
            f"{path} is text, in which {', '.join(others)} hide nothing: leave these out of --tests"
        )
    return Bench(reader, open_texts([path]), config, report)


def _write(out: Path, bench: Bench, outcomes: Mapping[str, Outcome]) -> None:
    """Write what was found up to now: heat map, questions, record."""
    config, found = bench.config, merged(outcomes.values())
    texts = [length_name(length) for length in sorted(set(config.lengths))]
    hours = [duration_name(duration_s) for duration_s in sorted(set(config.durations_s))]
    for test, (picture, names) in {
        "needle": ("picture.png", texts),
        "video": ("picture_video.png", hours),
        "audio": ("picture_audio.png", hours),
    }.items():
        if test in outcomes:
            draw_heat_map(outcomes[test].rows, out / picture, names=names)
    write_json(out / "trials.json", {name: raw_rows(one) for name, one in outcomes.items()})
    write_json(
        out / "record.json",
        {
            **flat_keys(found),
            "name": "evaluate reader",
            **asdict(config),
            "tests": list(outcomes),
            "haystack": config.haystack.name if config.haystack else "generated",
            "speech": config.speech.name if config.speech else None,
            "haystack_tokens": len(bench.texts),
            "weights_sha256": bench.reader.checksum,
            "environment": environment(),
        },
    )


def _check(config: ReaderTests) -> None:
    if config.speech and "speech" not in config.tests:
        raise ValueError(f"--speech {config.speech} has no effect without --tests speech")
    if config.speech:  # a folder that holds none says so before an hour of other tests
        next(media.read_recordings(config.speech, np.random.default_rng(0), num=1))
    if unknown := [name for name in config.tests if name not in TESTS]:
        raise ValueError(f"no test {', '.join(unknown)}: there are {', '.join(TESTS)}")
    others = [name for name in config.tests if name not in ANSWERS_STAND_IN_TEXT]
    if config.quote and others:
        raise ValueError(
            f"--quote holds answers to what a text says; those of {', '.join(others)} need not: "
            f"give --tests {','.join(ANSWERS_STAND_IN_TEXT)} or some of them"
        )
    numbers = (config.num_trials, config.num_haystacks)
    if not config.tests or not config.lengths or min(numbers) < 1 or config.seed < 0:
        raise ValueError(
            "need a test, a length, at least 1 trial and 1 haystack and a seed of at least 0: got "
            f"{list(config.tests)}, {list(config.lengths)}, {numbers}, {config.seed}"
        )


def _mixed(
    rng: np.random.Generator, kinds: Sequence[str], *, num: int
) -> tuple[list[Needle], list[Question]]:
    """Return ``num`` questions of every kind and the needles of their sets, sets in any order."""
    taken: dict[str, str] = {}
    sets = []
    for kind in kinds:
        missing = num
        while missing:
            drawn = draw_set(rng, num=SET_SIZE, kind=kind, split="test", taken=taken)
            alone = kind in ("multi_value", "multi_query")
            questions = drawn.questions[: 1 if alone else missing]
            missing -= len(questions)
            sets.append((drawn.needles, questions))
    needles: list[Needle] = []
    asked: list[Question] = []
    for place in rng.permutation(len(sets)):
        facts, questions = sets[place]
        offset = len(needles)
        asked += [replace(q, about=tuple(offset + n for n in q.about)) for q in questions]
        needles += facts
    return needles, asked
