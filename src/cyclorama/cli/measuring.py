"""From the name of a model to its evaluation: which options belong to which."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWNERS = {"autoencoder": ("clips",), "maker": ("clips", "maker"), "reader": ("reader",)}


def measure(
    what: str,
    out: Path,
    *,
    seed: int,
    weights: str,
    options: Mapping[str, Mapping[str, Any]],
) -> Path:
    """Evaluate ``what`` and return the record's path.

    ``options`` are grouped by whom they belong to, None where not given. ValueError for an unknown
    model, and for an option that would have no effect.
    """
    if what not in OWNERS:
        raise ValueError(f"cannot evaluate {what!r}: give {', '.join(OWNERS)}")
    given: dict[str, Any] = {}
    for owner, group in options.items():
        chosen = {name: value for name, value in group.items() if value is not None}
        if chosen and owner not in OWNERS[what]:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in chosen)
            users = " and ".join(name for name, owners in OWNERS.items() if owner in owners)
            raise ValueError(f"{names}: for cyclorama evaluate {users}, not {what}")
        given |= chosen
    if what == "reader":
        return _measure_reader(out, seed=seed, weights=weights, given=given)
    from cyclorama.evaluation.suite import evaluate_autoencoder, evaluate_maker

    run = evaluate_autoencoder if what == "autoencoder" else evaluate_maker
    return run(out, seed=seed, weights=weights, **given)


def _measure_reader(out: Path, *, seed: int, weights: str, given: Mapping[str, Any]) -> Path:
    from cyclorama.cli.show import say
    from cyclorama.evaluation.bench import TEXT_TESTS, ReaderTests, parse_duration, parse_length
    from cyclorama.evaluation.reader import evaluate_reader

    settings: dict[str, Any] = {"seed": seed}
    if "tests" in given:
        settings["tests"] = tuple(name.strip() for name in given["tests"].split(","))
    if "length" in given:
        seconds = {text: parse_duration(text) for text in given["length"].split(",")}
        durations_s = tuple(value for value in seconds.values() if value is not None)
        lengths = tuple(parse_length(text) for text, value in seconds.items() if value is None)
        tests = set(settings.get("tests", ReaderTests().tests))
        if durations_s and not {"video", "audio"} & tests:
            raise ValueError(f"--length {given['length']}: hours need --tests video or audio")
        if lengths and not {*TEXT_TESTS, "shots"} & tests:
            raise ValueError(
                f"--length {given['length']}: tokens have no effect on --tests {given['tests']}; "
                "hours do, as in --tests video --length 3h"
            )
        settings |= {"durations_s": durations_s} if durations_s else {}
        settings |= {"lengths": lengths} if lengths else {}
    for option, name in (
        ("trials", "num_trials"),
        ("num_haystacks", "num_haystacks"),
        ("haystack", "haystack"),
        ("speech", "speech"),
        ("dtype", "memory_dtype"),
        ("quote", "quote"),
    ):
        if option in given:
            settings[name] = given[option]
    return evaluate_reader(out, ReaderTests(**settings), weights=weights, report=say)
