"""Asking a memory: greedy in a batch = the plain forward's argmax, question by question."""

import numpy as np
import pytest
import torch

from cyclorama.inference import text
from cyclorama.inference.text import Reader, continue_all, load_reader, read_tokens
from cyclorama.models.lm import LM, LMS
from cyclorama.nn import cache
from cyclorama.weights.files import save_weights

TINY = LMS["tiny"]
NUM_NEW = 5


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(TINY).double()), "none")


@pytest.fixture(autouse=True)
def exact_shelf(monkeypatch):
    """Let a memory be kept in float64 too, so that equal means equal."""
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)


def ids(num, *, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(TINY.vocabulary, size=num).astype(np.uint16)


def prompts(*lengths):
    return [ids(length, seed=100 + number).tolist() for number, length in enumerate(lengths)]


def read(reader, tokens, **more):
    return read_tokens(reader, tokens, memory_dtype="float64", **more)


@torch.no_grad()
def plain_greedy(reader, document, prompt, num=NUM_NEW):
    """Return the continuation by running everything through the plain forward each time."""
    tokens = [*map(int, document), *prompt]
    for _ in range(num):
        tokens.append(int(reader.lm(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[-num:]


def test_a_batch_of_questions_is_the_plain_forward_one_by_one(reader):
    document, asked = ids(37), prompts(3, 11, 1, 3)
    found = continue_all(
        reader, read(reader, document, piece=10), prompts=asked, max_tokens=NUM_NEW
    )
    assert found == [plain_greedy(reader, document, prompt) for prompt in asked]
    assert len({tuple(answer) for answer in found}) > 1  # they do depend on the question


def test_distances_in_a_question_are_the_plain_forwards(shaken, monkeypatch):
    torch.manual_seed(0)
    steep = Reader(shaken(LM(TINY).double()), "none")
    with torch.no_grad():
        for layer in steep.lm.inquirers:
            layer.slope_M.fill_(60.0)  # one place more or less is seen in the logits
    document, asked, seen = ids(37), prompts(3, 9), []
    choose = text._choose
    monkeypatch.setattr(
        text, "_choose", lambda logits, *how: (seen.append(logits), choose(logits, *how))[1]
    )
    continue_all(steep, read(steep, document), prompts=asked, max_tokens=1)
    with torch.no_grad():
        wanted = [steep.lm(torch.tensor([[*map(int, document), *p]]))[0, -1] for p in asked]
    torch.testing.assert_close(seen[0], torch.stack(wanted).float(), rtol=1e-4, atol=1e-4)


def test_a_document_shorter_than_a_window(reader):
    document, asked = ids(2), prompts(2, 1)
    found = continue_all(reader, read(reader, document), prompts=asked, max_tokens=NUM_NEW)
    assert found == [plain_greedy(reader, document, prompt) for prompt in asked]


def test_asking_leaves_the_reading_as_it_was(reader):
    reading, asked = read(reader, ids(37)), prompts(3, 4)
    first = continue_all(reader, reading, prompts=asked, max_tokens=NUM_NEW)
    assert reading.memory.num_cards == 37
    assert continue_all(reader, reading, prompts=asked[::-1], max_tokens=NUM_NEW) == first[::-1]


@pytest.mark.parametrize("chunk", [5, 16])
def test_chunks_of_the_memory_do_not_matter(reader, monkeypatch, chunk):
    reading, asked = read(reader, ids(37)), prompts(3, 5)
    whole = continue_all(reader, reading, prompts=asked, max_tokens=NUM_NEW)
    chunks = cache.Memory.chunks
    monkeypatch.setattr(cache.Memory, "chunks", lambda self, dtype: chunks(self, dtype, chunk))
    assert continue_all(reader, reading, prompts=asked, max_tokens=NUM_NEW) == whole


def assert_same_reading(one, other):
    for name in ("k_SK", "v_SK"):
        torch.testing.assert_close(
            getattr(one.memory, name), getattr(other.memory, name), rtol=1e-4, atol=1e-5
        )
    assert np.array_equal(one.ids, other.ids)
    assert one.memory.num_cards == other.memory.num_cards == one.state.num_read
    for past, wanted in zip(one.state.layers, other.state.layers, strict=True):
        torch.testing.assert_close(past.k_BWGK, wanted.k_BWGK, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("piece", [5, 36, 37])
def test_pieces_do_not_matter(reader, piece):
    assert_same_reading(read(reader, ids(37), piece=piece), read(reader, ids(37)))


def test_one_after_the_other_is_both_at_once(reader):
    document = ids(37)
    both = read(reader, document[15:], after=read(reader, document[:15]))
    assert_same_reading(both, read(reader, document))
    nothing_more = read(reader, [], after=both)
    assert_same_reading(nothing_more, both)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_going_on_does_not_round_the_first_cards_again(reader, dtype):
    first = read_tokens(reader, ids(15), memory_dtype=dtype)
    both = read_tokens(reader, ids(9, seed=1), after=first, memory_dtype=dtype)
    for name in ("k_SK", "v_SK", "scales_S2")[: 3 if dtype == "int8" else 2]:
        assert torch.equal(getattr(both.memory, name)[:15], getattr(first.memory, name))
    other = read_tokens(reader, ids(9, seed=1), after=first, memory_dtype="float64")
    kept = torch.cat([k for k, _, _ in first.memory.chunks(torch.float32)])
    assert torch.equal(other.memory.k_SK[:15].float(), kept)


def test_progress_is_told_after_each_piece(reader):
    seen = []
    read(reader, ids(25), piece=10, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_a_stop_ends_each_answer_on_its_own(reader):
    reading, asked = read(reader, ids(37)), prompts(3, 11, 1, 3)
    free = continue_all(reader, reading, prompts=asked, max_tokens=NUM_NEW)
    stop = free[1][2]
    shown = []
    found = continue_all(
        reader, reading, prompts=asked, max_tokens=NUM_NEW, stop=stop, stream=shown.append
    )
    for answer, wanted in zip(found, free, strict=True):
        assert answer == (wanted[: wanted.index(stop)] if stop in wanted else wanted)
    assert len(found[1]) <= 2 < NUM_NEW
    streamed = [[token for token in column if token >= 0] for column in zip(*shown, strict=True)]
    assert streamed == found


def test_samples_are_those_of_their_seed(reader):
    reading, asked = read(reader, ids(37)), prompts(3, 5)

    def sample(seed, temperature=1.0):
        return continue_all(
            reader, reading, prompts=asked, max_tokens=5, temperature=temperature, seed=seed
        )

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert sample(1, 1e-6) == sample(2, 0.0)  # cold is greedy


def test_samples_are_as_frequent_as_the_forward_says(reader):
    document, prompt, num = ids(37), prompts(4)[0], 600
    with torch.no_grad():
        logits = reader.lm(torch.tensor([[*map(int, document), *prompt]]))[0, -1]
    temperature = float(logits.std()) / 2
    wanted = (logits / temperature).softmax(dim=0)
    answers = continue_all(
        reader,
        read(reader, document),
        prompts=[prompt] * num,
        max_tokens=1,
        temperature=temperature,
    )
    counts = torch.bincount(torch.tensor(answers).flatten(), minlength=TINY.vocabulary)
    top = wanted.topk(40).indices
    for share, chance in [
        (counts[top].sum() / num, wanted[top].sum()),
        (counts[top[:5]].sum() / num, wanted[top[:5]].sum()),
    ]:
        assert 0.02 < chance < 0.98
        assert abs(share - chance) < 4 * (chance * (1 - chance) / num) ** 0.5


def test_what_cannot_be_is_an_error(reader):
    reading = read(reader, ids(5))
    with pytest.raises(ValueError, match="nothing to read"):
        read_tokens(reader, [])
    for wrong in ([[1], []], []):
        with pytest.raises(ValueError, match="needs at least one token"):
            continue_all(reader, reading, prompts=wrong)
    with pytest.raises(ValueError, match="temperature must be 0"):
        continue_all(reader, reading, prompts=[[1]], temperature=-1.0)


def test_a_reader_is_loaded_from_its_file(tmp_path, shaken):
    torch.manual_seed(0)
    model = shaken(LM(TINY))
    model.scribes[0].experts.votes_E.copy_(torch.tensor([1025, -3]))
    path = tmp_path / "small.safetensors"
    checksum = save_weights(path, model, kind="reader", facts={})
    loaded = load_reader(str(path))
    assert loaded.checksum == checksum
    assert loaded.lm.scribes[0].experts.votes_E.tolist() == [1025, -3]
    assert torch.equal(loaded.lm.embed.weight, model.embed.weight.bfloat16())
    assert not loaded.lm.training
