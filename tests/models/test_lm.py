"""The reader: causal; pieces of any cut = whole; forward = reading, then answering."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from cyclorama.models.lm import LM, LMS, LMConfig
from cyclorama.nn.recall import Look
from cyclorama.training.optimizer import is_block_matrix

TINY = LMS["tiny"]
LENGTH = 29  # more than three windows, and no multiple of one
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # scores of the memory are float32


@pytest.fixture(scope="module")
def lm(shaken):
    torch.manual_seed(0)
    model = shaken(LM(TINY).double())
    with torch.no_grad():
        for layer in model.scribes:
            layer.experts.votes_E.copy_(torch.tensor([30, -30]))  # as if it had been trained
    return model


@pytest.fixture(scope="module")
def ids():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, TINY.vocabulary, (3, LENGTH), generator=generator)


@pytest.fixture(scope="module")
def logits(lm, ids):
    with torch.no_grad():
        return lm(ids)


@torch.no_grad()
def read_in_pieces(lm, ids, cuts):
    """Read a stream piece by piece; return rows, keys, values joined, and the last state."""
    parts, state = [], None
    for start, stop in zip([0, *cuts], [*cuts, ids.shape[1]], strict=True):
        *part, state = lm.read(lm.embed(ids[:, start:stop]), state)
        parts.append(part)
    return [torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True)], state


def test_no_token_sees_a_later_one(lm, ids, logits):
    for place in (0, 8, LENGTH - 1):
        other = ids.clone()
        other[:, place:] = (other[:, place:] + 1) % TINY.vocabulary
        with torch.no_grad():
            changed = lm(other)
        torch.testing.assert_close(changed[:, :place], logits[:, :place], **CLOSE)
        assert (changed[:, place] - logits[:, place]).abs().amax(dim=-1).min() > 1e-3


def test_every_token_sees_far_beyond_the_windows(lm, ids, logits):
    other = ids.clone()
    other[:, 0] = (other[:, 0] + 1) % TINY.vocabulary
    with torch.no_grad():
        changed = lm(other)
    assert (changed[:, -1] - logits[:, -1]).abs().amax(dim=-1).min() > 1e-4


def test_samples_of_a_batch_do_not_see_each_other(lm, ids, logits):
    with torch.no_grad():
        torch.testing.assert_close(lm(ids[1:2]), logits[1:2], **CLOSE)


@settings(max_examples=8, deadline=None)
@given(st.sets(st.integers(1, LENGTH - 1), max_size=6))
def test_pieces_of_any_cut_are_the_whole(lm, ids, cuts):
    whole, end = read_in_pieces(lm, ids, [])
    parts, last = read_in_pieces(lm, ids, sorted(cuts))
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    assert last.num_read == end.num_read == LENGTH
    torch.testing.assert_close(last.tail_BJD, end.tail_BJD, **CLOSE)
    for past, wanted in zip(last.layers, end.layers, strict=True):
        torch.testing.assert_close(past.k_BWGK, wanted.k_BWGK, **CLOSE)
        torch.testing.assert_close(past.num_valid_B, wanted.num_valid_B)


def test_token_by_token_is_the_whole(lm, ids):
    whole, _ = read_in_pieces(lm, ids, [])
    parts, _ = read_in_pieces(lm, ids, list(range(1, LENGTH)))
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_states_of_rows_are_taken_in_any_order_and_often(lm, ids):
    first, then = lm.embed(ids[:, :5]), lm.embed(ids[:1, 5:])
    state = lm.read(first)[3]
    rows = torch.tensor([1, 0, 1])
    together = lm.read(then.expand(3, -1, -1), state.take(rows))
    for number, row in enumerate(rows.tolist()):
        alone = lm.read(then, lm.read(first[row : row + 1])[3])
        for found, wanted in zip(together[:3], alone[:3], strict=True):
            torch.testing.assert_close(found[number], wanted[0], **CLOSE)


def test_pieces_are_the_whole_without_a_convolution(shaken, ids):
    torch.manual_seed(0)
    model = shaken(LM(TINY.model_copy(update={"taps": 1})).double())
    whole, end = read_in_pieces(model, ids, [])
    parts, _ = read_in_pieces(model, ids, [3, 20])
    assert end.tail_BJD.shape[1] == 0
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_forward_is_reading_then_answering_from_a_memory_in_chunks(lm, ids, logits):
    (x, k, v), _ = read_in_pieces(lm, ids, [7])
    rows = torch.tensor([3, 11, LENGTH - 1])
    for sample in range(3):
        pieces = [(k[sample, a:b], v[sample, a:b], a) for a, b in [(0, 10), (10, 12), (12, LENGTH)]]
        look = Look(lambda pieces=pieces: iter(pieces), rows, rows + 1)
        with torch.no_grad():
            found = lm.answer(x[sample, rows], look)
        torch.testing.assert_close(found, logits[sample, rows], **CLOSE)


def test_keys_have_unit_length(lm, ids):
    (_, k, _), _ = read_in_pieces(lm, ids, [])
    torch.testing.assert_close(k.norm(dim=-1), torch.ones(3, LENGTH, dtype=k.dtype), **CLOSE)


def test_the_inquirer_knows_no_order_but_distance(lm, ids):
    """Without the bias on distance, cards in another order give the same answer."""
    (x, k, v), _ = read_in_pieces(lm, ids, [])
    row, place = x[:1, -1], torch.tensor([LENGTH - 1])
    order = torch.randperm(LENGTH, generator=torch.Generator().manual_seed(2))
    slopes = [layer.slope_M.detach().clone() for layer in lm.inquirers]

    @torch.no_grad()
    def both():
        return [
            lm.answer(row, Look.causal(k[0, at], v[0, at], position_R=place))
            for at in (torch.arange(LENGTH), order)
        ]

    try:
        with torch.no_grad():
            for layer in lm.inquirers:
                layer.slope_M.zero_()
        torch.testing.assert_close(*both(), **CLOSE)
        with torch.no_grad():
            for layer in lm.inquirers:
                layer.slope_M.fill_(2.0)
        ordered, shuffled = both()
        assert (ordered - shuffled).abs().max() > 1e-4
    finally:
        with torch.no_grad():
            for layer, slope in zip(lm.inquirers, slopes, strict=True):
                layer.slope_M.copy_(slope)


def test_every_weight_learns(ids):
    torch.manual_seed(0)
    model = LM(TINY)
    logits = model(ids)
    torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.norm() > 0, name


@pytest.mark.parametrize("name", sorted(LMS))
def test_named_sizes_are_whole(name):
    config = LMS[name]
    with torch.device("meta"):  # sizes without memory: "base" is not for a test's machine
        model = LM(config)
    for layer in model.scribes:
        assert layer.q.weight.shape[0] == config.num_heads * config.head_size
    assert len(model.inquirers) == config.cross_depth
    assert LMConfig.from_json(config.to_json()) == config
    assert config.num_heads % config.num_key_heads == 0
    assert 0 <= config.distant_heads <= config.cross_heads


def test_nano_is_small_enough_to_ship():
    model = LM(LMS["nano"])
    num = sum(p.numel() for p in model.parameters())
    idle = sum(
        s.experts.up_weight.numel() + s.experts.down_weight.numel() for s in model.scribes
    ) * (1 - model.config.top_k / model.config.num_experts)
    assert 2 * num < 30e6  # bytes in bfloat16: the budget of the bundled reader
    assert num - idle < 8e6  # parameters at work for a token
    muon = [name for name, p in model.named_parameters() if is_block_matrix(name, p)]
    assert "scribes.0.experts.up_weight" in muon
    assert not any("router" in name or "taps" in name for name in muon)


def test_a_new_model_s_keys_are_those_of_the_token_before(ids):
    torch.manual_seed(0)
    model = LM(TINY)
    with torch.no_grad():
        _, k, _, _ = model.read(model.embed(ids))
        x, _, _, _ = model.read(model.embed(ids[:, :-1]))
        expected = model.memory_k(model.norm_memory(x))
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(k[:, 1:], expected, rtol=1e-4, atol=1e-5)
    assert k[:, 0].abs().max() == 0  # nothing stands before the first


def test_the_first_key_passes_on_gradients_of_an_ordinary_size(ids):
    torch.manual_seed(0)
    model = LM(TINY)
    torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
    assert all(p.grad.abs().max() < 100 for p in model.parameters() if p.grad is not None)


def test_soft_experts_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="mix every token with those after it"):
        LMConfig(experts="soft")
