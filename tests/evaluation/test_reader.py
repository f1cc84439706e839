"""The reader's examination at tiny size: every test end to end, the same for the same seed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cyclorama.cli.app import app
from cyclorama.data.needles import KINDS, dictionary_sequence
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.evaluation import examples, reader
from cyclorama.evaluation.bench import ReaderTests, length_name, parse_length
from cyclorama.evaluation.heat_map import draw_heat_map, found_by_depth
from cyclorama.evaluation.needle import Trial
from cyclorama.evaluation.reader import evaluate_reader
from cyclorama.evaluation.retrieval import best_passages, passages
from cyclorama.inference.text import Reader, load_reader
from cyclorama.media.image import read_image
from cyclorama.models.lm import LM, LMS
from cyclorama.weights.files import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "reader.safetensors"
    lm = LM(LMS["tiny"].model_copy(update={"vocabulary": 8192}))
    save_weights(path, lm, kind="reader", facts={})
    return str(path)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(reader, "GENERATED_TOKENS", 4_000)
    monkeypatch.setattr("cyclorama.evaluation.needle.MAX_ANSWER_TOKENS", 2)


def record(path):
    """Return a record without what depends on the machine and the moment."""
    row = json.loads(path.read_text())
    return {
        key: value
        for key, value in row.items()
        if not key.startswith(("environment.", "prefill_", "peak_"))
    }


def test_all_papers_of_an_untrained_reader(weights, tmp_path, capsys):
    config = ReaderTests(lengths=(1000, 1024), num_trials=10, num_haystacks=3)
    said: list[str] = []
    path = evaluate_reader(tmp_path, config, weights=weights, report=said.append)
    found = json.loads(path.read_text())
    for name in ("1000", "1k"):
        assert found[f"needle_text_{name}"] == 0.0
        assert found[f"needle_text_{name}_low"] == 0.0 < found[f"needle_text_{name}_high"] < 0.3
        asked = [found[f"{key}_text_{name}_asked"] for key in ("needle", "needles_1", "needles_10")]
        assert asked == [10, 3, 10]
        assert found[f"prefill_{name}_s"] > 0
        assert found[f"peak_memory_{name}_gb"] > 0.05
        for kind in KINDS[1:-1]:
            assert found[f"{kind}_text_{name}_asked"] == 2
        assert found[f"false_positive_text_{name}"] == 1.0  # it never says "not found"
    # Nothing is learned, so nothing is cheaper later: 13 bits a token, as for any of 8,192.
    assert [round(found[f"nats_{end}"], 0) for end in ("256", "512", "1k")] == [9.0] * 3
    assert found["dictionary_with"] == found["dictionary_without"] == 0.0
    assert found["shots_8_asked"] > 0
    trials = json.loads((tmp_path / "trials.json").read_text())
    assert len(trials["needle"]) == 2 * 10
    assert {"num_tokens", "depth", "answer", "found", "right"} <= set(trials["needle"][0])
    assert {row["num_tokens"] for row in trials["needle"]} == {1000, 1024}
    assert {row["haystack"] for row in trials["needle"]} == {0, 1, 2}
    assert len({row["depth"] for row in trials["many"] if row["num_tokens"] == 1000}) == 3 + 10
    assert read_image(tmp_path / "picture.png").std() > 0
    assert "needle_text_1k" in capsys.readouterr().out
    assert sum("haystack" in line for line in said) == 2 * (3 + 3 + 1 + 2)


def test_the_same_seed_asks_the_same_of_a_text_of_ones_own(weights, tmp_path):
    book = tmp_path / "book.txt"
    book.write_text("It was a dark night. The rain fell on the town. " * 40)
    config = ReaderTests(tests=("needle", "shots"), lengths=(400,), num_trials=2, haystack=book)
    found = []
    for name, changed in (("one", {}), ("two", {}), ("three", {"seed": 1})):
        settings = replace(config, **changed)
        path = evaluate_reader(tmp_path / name, settings, weights=weights, report=lambda line: None)
        found.append((record(path), json.loads((tmp_path / name / "trials.json").read_text())))
    assert found[0] == found[1]
    assert found[0][1]["needle"][0]["question"] != found[2][1]["needle"][0]["question"]
    assert found[0][0]["haystack"] == "book.txt"
    assert found[0][0]["needle_text_400_asked"] == 2


def test_retrieval_reads_the_passage_that_names_the_key(weights, tmp_path):
    pytest.importorskip("bm25s", reason="needs the extra retrieval")
    config = ReaderTests(tests=("retrieval",), lengths=(1024,), num_trials=2)
    found = record(evaluate_reader(tmp_path, config, weights=weights, report=lambda line: None))
    assert found["retrieval_text_1k_asked"] == found["whole_text_1k_asked"] == 2
    encode = load_tokenizer().encode
    ids = np.array(encode("The sun was warm and the road was long. " * 400), dtype=np.uint16)
    fact = encode(" The price of zimbelkraut is 77 crowns.")
    ids = np.concatenate((ids[:2100], fact, ids[2100:])).astype(np.uint16)
    cut = passages(ids)
    [best] = best_passages(cut, ["What is the price of zimbelkraut in crowns?"])
    text = [load_tokenizer().decode(cut[number].tolist()) for number in best]
    assert sum("zimbelkraut is 77 crowns" in passage for passage in text) >= 1
    assert best == sorted(best)
    assert np.array_equal(np.concatenate([cut[0], *(part[64:] for part in cut[1:])]), ids)


def test_an_answer_known_token_by_token_is_exact(weights, monkeypatch):
    row = dictionary_sequence(np.random.default_rng(0), num_tokens=600)
    truth = {place: row.ids[place] for a, b in row.answers for place in range(a, b + 1)}
    wrong = row.answers[2][1]  # the end mark of the third answer
    seen = []

    def knowing(_, ids, *, places, memory_dtype):
        seen.extend(places)
        return np.zeros(len(places)), np.array([truth[p] if p != wrong else -1 for p in places])

    monkeypatch.setattr(examples, "foresee", knowing)
    asked = [0, 2, 3]
    lm: Reader = load_reader(weights)
    assert examples.exact_answers(lm, row, asked=asked) == [True, False, True]
    assert len(seen) == sum(row.answers[n][1] + 1 - row.answers[n][0] for n in asked)


def test_heat_map_counts_fields(tmp_path):
    def trial(size, depth, found):
        return Trial(size, 0, depth, "single", "number", "?", "7", found)

    trials = [
        trial(100, 0.0, "7"),
        trial(100, 0.05, "8"),
        trial(200, 1.0, "7"),
        trial(200, None, "7"),
    ]
    shares = found_by_depth(trials, (100, 200))
    assert (shares[0, 0], shares[9, 1]) == (0.5, 1.0)
    assert np.isnan(shares).sum() == 18
    draw_heat_map(trials, tmp_path / "map.png", names=("100", "200"))
    assert read_image(tmp_path / "map.png").std() > 0
    with pytest.raises(ValueError, match="2 lengths were tried, 1 are named"):
        draw_heat_map(trials, tmp_path / "map.png", names=("100",))


def test_lengths_have_names():
    for text, size in (("600", 600), ("64k", 65_536), ("1m", 1 << 20), ("10M", 10 << 20)):
        assert parse_length(text) == size
        assert length_name(size) == text.lower()
    for text in ("", "k", "0", "-4", "1.5m", "many"):
        with pytest.raises(ValueError, match="number of tokens such as 4096, 64k or 10m"):
            parse_length(text)


def test_the_command_and_what_it_refuses(weights, tmp_path):
    def run(*words):
        words = ("evaluate", "reader", "--out", tmp_path, "--weights", weights, *words)
        return CliRunner().invoke(app, [str(word) for word in words])

    done = run(
        "--tests", "needle,position", "--length", "300,512", "--trials", 2, "--dtype", "int8"
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "record.json").is_file()
    found = []
    for words in ((), ("--quote",)):
        done = run("--tests", "needle", "--length", 300, "--trials", 2, *words)
        assert done.exit_code == 0, done.output
        assert json.loads((tmp_path / "record.json").read_text())["quote"] is bool(words)
        rows = json.loads((tmp_path / "trials.json").read_text())["needle"]
        found.append([row["found"] for row in rows])
    assert found[0] != found[1]
    for words, message in [
        (("--tests", "needle,haircut"), "no test haircut: there are needle, many"),
        (("--length", "3h"), "hours need --tests video or audio"),
        (("--tests", "video"), "test video: these weights read text and no pictures"),
        (("--speech", tmp_path), "has no effect without --tests speech"),
        (("--length", "long"), "such as 3h, 90min or 75s, got 'long'"),
        (("--length", "64", "--trials", 40), "fill half of 64: ask fewer --trials"),
        (("--quote", "--tests", "needle,shots"), "those of shots need not"),
        (("--dtype", "float8"), "bfloat16, int8, got 'float8'"),
        (("--trials", 0), "at least 1 trial"),
        (("--num-haystacks", 0), "1 haystack"),
        (("--haystack", tmp_path / "none.txt"), "no text file at"),
        (("--num", 3, "--split", "val_id"), "--num, --split: for cyclorama evaluate autoencoder"),
    ]:
        done = run(*words)
        assert done.exit_code == 2
        assert message in done.stderr
