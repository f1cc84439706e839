"""A run's record survives kills and says enough to repeat the run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama import record
from cyclorama.config import Config


class Optimizer(Config):
    lr: float = 1e-3


class Run(Config):
    steps: int = 10
    optimizer: Optimizer = Optimizer()


rows = st.lists(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.none()),
        max_size=4,
    ),
    max_size=6,
)


@given(rows)
def test_rows_come_back(tmp_path_factory, some_rows):
    path = tmp_path_factory.mktemp("rows") / "metrics.jsonl"
    path.touch()
    for row in some_rows:
        record.append_jsonl(path, row)
    assert record.read_jsonl(path) == some_rows


@given(rows.filter(bool), st.data())
def test_a_file_cut_anywhere_keeps_every_whole_row(tmp_path_factory, some_rows, data):
    path = tmp_path_factory.mktemp("torn") / "metrics.jsonl"
    for row in some_rows:
        record.append_jsonl(path, row)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    # A line counts from its closing brace on: only its newline may be missing.
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    num_whole = sum(end <= cut for end in ends)
    assert record.read_jsonl(path) == some_rows[:num_whole]
    record.append_jsonl(path, {"after": 1})
    assert record.read_jsonl(path) == [*some_rows[:num_whole], {"after": 1}]


def test_a_long_torn_line_is_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "' + b"x" * 10_000)
    record.append_jsonl(path, {"c": 2})
    assert path.read_bytes() == b'{"a": 1}\n{"c": 2}\n'


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"a": 1}\nno\n{"b": 2}\n')
    with pytest.raises(ValueError, match=r"line 2: not a JSON object"):
        record.read_jsonl(path)


def test_a_killed_writer_leaves_readable_rows(tmp_path):
    path = tmp_path / "metrics.jsonl"
    code = (
        "import itertools, sys; from cyclorama import record\n"
        "for i in itertools.count():\n"
        "    record.append_jsonl(sys.argv[1], {'step': i, 'text': 'x' * 500})\n"
        "    if i == 20: print('go', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        os.kill(child.pid, signal.SIGKILL)
    steps = [row["step"] for row in record.read_jsonl(path)]
    assert steps == list(range(len(steps)))
    assert len(steps) > 20


def test_write_json_has_flat_keys_and_plain_numbers(tmp_path):
    path = tmp_path / "deep" / "record.json"
    record.write_json(
        path, {"psnr_db": np.float32(30.5), "n": np.int64(3), "a": {"b": {"c": [1, 2]}, "d": None}}
    )
    assert json.loads(path.read_text()) == {"psnr_db": 30.5, "n": 3, "a.b.c": [1, 2], "a.d": None}
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]


def test_write_json_refuses_two_equal_keys_and_unknown_things(tmp_path):
    with pytest.raises(ValueError, match=r"flat key 'a.b'"):
        record.write_json(tmp_path / "r.json", {"a.b": 1, "a": {"b": 2}})
    with pytest.raises(TypeError, match="object cannot be recorded"):
        record.write_json(tmp_path / "r.json", {"a": object()})
    assert list(tmp_path.glob("*.json")) == []


def test_start_record_names_the_run_and_guards_its_folder(tmp_path):
    run = Run(steps=3)
    path = record.start_record(tmp_path, run, name="tiny", seeds={"data": 7}, device="cpu")
    row = json.loads(path.read_text())
    assert row["config_digest"] == run.digest()
    assert row["config.optimizer.lr"] == 1e-3
    assert (row["name"], row["seed.data"], row["device"]) == ("tiny", 7, "cpu")
    assert "resumed_at" not in row
    record.start_record(tmp_path, run, name="tiny", seeds={"data": 7}, device="cpu")
    again = json.loads(path.read_text())
    assert again.pop("resumed_at") >= row["started_at"]
    assert again == row


def test_a_run_of_other_settings_is_refused_and_named(tmp_path):
    def start(run: Run) -> None:
        record.start_record(
            tmp_path, run, name="tiny", seeds={}, device="cpu", may_differ=("steps",)
        )

    start(Run(steps=3))
    start(Run(steps=4))
    assert json.loads((tmp_path / "record.json").read_text())["config.steps"] == 4
    with pytest.raises(ValueError, match=r"\(optimizer.lr 0.001 not 0.1\): repeat its settings"):
        start(Run(optimizer=Optimizer(lr=0.1)))


def test_environment_names_this_machine():
    facts = record.environment()
    assert facts["num_cores"] >= 1
    assert facts["memory_bytes"] > 2**28
    assert facts["torch"].startswith("2.")
    assert facts["cpu"]


def test_the_commit_is_the_checkout_s():
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert record.environment()["commit"] == head.stdout.strip()
