"""Recall: chunks = one softmax, merging in any order, and the formula of temperature and bias."""

import math

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from cyclorama.nn.recall import Look, merge, recall

ROWS, HEADS, SIZE, CARDS = 3, 4, 16, 60
SCALE = torch.tensor([4.0, 9.0, 16.0, 30.0])
SLOPE = torch.tensor([0.7, -0.3])


def cards(*, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    q = F.normalize(torch.randn(ROWS, HEADS, SIZE, dtype=dtype), dim=-1)
    k = F.normalize(torch.randn(CARDS, SIZE, dtype=dtype), dim=-1)
    return q, k, torch.randn(CARDS, SIZE, dtype=dtype)


def formula(q, k, v, *, seen, distance, count):
    """Score every row, head and card by the formula; one softmax over what is seen."""
    out = torch.zeros_like(q)
    for row in range(q.shape[0]):
        for head in range(HEADS):
            scores = SCALE[head].item() * math.log(count[row]) / math.log(4096) * (k @ q[row, head])
            if head >= HEADS - len(SLOPE):
                slope = SLOPE[head - HEADS + len(SLOPE)].item()
                far = torch.log2(1 + distance[row].clamp(min=0).double() / 64)
                scores = scores - slope * far
            scores = scores.masked_fill(~seen[row], float("-inf"))
            out[row, head] = scores.softmax(dim=0) @ v
    return out


def in_chunks(k, v, *, cuts):
    starts, stops = [0, *cuts], [*cuts, len(k)]
    return lambda: iter([(k[a:b], v[a:b], a) for a, b in zip(starts, stops, strict=True)])


CAUSAL = torch.tensor([CARDS - 1, 30, 7])


def causal_formula(q, k, v):
    distance = CAUSAL[:, None] - torch.arange(CARDS)
    count = (CAUSAL + 1).tolist()
    return formula(q, k, v, seen=distance >= 0, distance=distance, count=count)


def test_one_memory_in_hand_is_the_formula():
    q, k, v = cards()
    look = Look.causal(k, v, position_R=CAUSAL)
    found = recall(q, look, scale_N=SCALE, slope_M=SLOPE)
    torch.testing.assert_close(found, causal_formula(q, k, v), rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(1, CARDS - 1), max_size=7))
def test_chunks_of_any_cut_are_one_softmax(cuts):
    # Rows at 7 and 30 see nothing in the chunks that lie wholly after them.
    q, k, v = cards()
    look = Look(in_chunks(k, v, cuts=sorted(cuts)), CAUSAL, CAUSAL + 1)
    found = recall(q, look, scale_N=SCALE, slope_M=SLOPE)
    torch.testing.assert_close(found, causal_formula(q, k, v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cuts", [(), (20,), (20, 40)])
def test_a_view_says_what_is_seen_and_how_far_it_is(cuts):
    q, k, v = cards()
    torch.manual_seed(3)
    seen = torch.rand(ROWS, CARDS) < 0.4
    seen[:, :20] = False  # with the first chunk dark to all, and the second to one
    seen[1, 20:40] = False
    distance = torch.randint(0, 10_000_000, (ROWS, CARDS))
    count = torch.tensor([50, 5_000, 10_000_000])
    look = Look(
        in_chunks(k, v, cuts=cuts),
        CAUSAL,
        count,
        view=lambda first, length: (
            seen[:, first : first + length],
            distance[:, first : first + length],
        ),
    )
    found = recall(q, look, scale_N=SCALE, slope_M=SLOPE)
    wanted = formula(q, k, v, seen=seen, distance=distance, count=count.tolist())
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_chunks_in_any_order_and_without_slopes():
    q, k, v = cards()
    pieces = [(k[a : a + 20], v[a : a + 20], a) for a in (40, 0, 20)]
    none = torch.zeros(0)
    one = recall(q, Look.causal(k, v, position_R=CAUSAL), scale_N=SCALE, slope_M=none)
    other = recall(q, Look(lambda: iter(pieces), CAUSAL, CAUSAL + 1), scale_N=SCALE, slope_M=none)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def parts(*, seed=0):
    torch.manual_seed(seed)
    return [(torch.randn(2, 3, 4).double(), torch.randn(2, 3).double() * 40) for _ in range(3)]


def test_merging_is_associative_and_commutative():
    a, b, c = parts()
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(merge(a, b), merge(b, a), strict=True):
        torch.testing.assert_close(one, other)


def test_what_saw_nothing_changes_nothing():
    a, _, _ = parts()
    nothing = torch.zeros_like(a[0]), torch.full_like(a[1], float("-inf"))
    for one, other in zip(merge(a, nothing), a, strict=True):
        torch.testing.assert_close(one, other)
    mean, lse = merge(nothing, nothing)
    assert torch.equal(mean, torch.zeros_like(mean))  # and no NaN from infinity less infinity
    assert (lse == float("-inf")).all()


def test_a_needle_stands_out_among_a_growing_crowd():
    torch.manual_seed(0)
    size, scale = 128, torch.tensor([16.0])
    q = F.normalize(torch.randn(1, 1, size), dim=-1)
    shares = []
    for num in (4_096, 65_536):
        k = F.normalize(torch.randn(num, size), dim=-1)
        k[0] = q[0, 0]
        v = torch.zeros(num, size)
        v[0] = 1.0
        look = Look.causal(k, v, position_R=torch.tensor([num - 1]))
        shares.append(recall(q, look, scale_N=scale, slope_M=torch.zeros(0))[0, 0, 0].item())
    assert min(shares) > 0.99
    # A temperature that did not grow would lose it, the crowd being 16 times larger.
    growth = math.log(65_536) / math.log(4_096)
    fixed = recall(q, look, scale_N=scale / growth, slope_M=torch.zeros(0))[0, 0, 0].item()
    assert 1 - fixed > 3 * (1 - shares[1])


def test_an_empty_memory_is_an_error():
    q, _, _ = cards()
    look = Look(lambda: iter([]), CAUSAL, CAUSAL + 1)
    with pytest.raises(ValueError, match="the memory is empty"):
        recall(q, look, scale_N=SCALE, slope_M=SLOPE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_the_formulas_in_the_memorys_dtype(dtype):
    q, k, v = cards()
    slope = SLOPE.double().requires_grad_()
    ours = [t.to(dtype).requires_grad_() for t in (q, k, v)]
    # The same rounded numbers go into the formula, in float64.
    exact = [t.detach().double().requires_grad_() for t in ours]
    distance = CAUSAL[:, None] - torch.arange(CARDS)
    length = (CAUSAL + 1).double().log() / math.log(4096)
    scores = (
        torch.einsum("rnk,sk->rns", exact[0], exact[1]) * length[:, None, None] * SCALE[:, None]
    )
    far = torch.log2(1 + distance.clamp(min=0).double() / 64)
    bias = F.pad(slope, (HEADS - len(SLOPE), 0))[:, None] * far[:, None]
    weights = (scores - bias).masked_fill((distance < 0)[:, None], float("-inf")).softmax(dim=-1)
    (weights @ exact[2]).square().sum().backward()
    mine = SLOPE.clone().requires_grad_()
    look = Look.causal(ours[1], ours[2], position_R=CAUSAL)
    recall(ours[0], look, scale_N=SCALE, slope_M=mine).float().square().sum().backward()
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.3}
    for found, wanted in zip([*ours, mine], [*exact, slope], strict=True):
        torch.testing.assert_close(found.grad.double(), wanted.grad, **near)


@pytest.mark.parametrize("slope", [SLOPE, SLOPE[:0]])
def test_gradients_of_few_rows_at_a_time_are_those_of_merged_chunks(slope, monkeypatch):
    monkeypatch.setattr("cyclorama.nn.recall.ROWS_AT_ONCE", 2)
    given = [*cards(), SCALE, slope]
    out_grad = torch.randn(ROWS, HEADS, SIZE, dtype=torch.float64)

    def gradients(cuts):
        q, k, v, scale, slope = leaves = [one.clone().requires_grad_() for one in given]
        look = Look(in_chunks(k, v, cuts=cuts), CAUSAL, CAUSAL + 1)
        found = recall(q, look, scale_N=scale, slope_M=slope)
        return torch.autograd.grad(found, [one for one in leaves if len(one)], out_grad)

    for one, other in zip(gradients(()), gradients((20, 40)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_row_that_sees_nothing_leaves_the_others_their_gradients():
    q, k, v = cards()
    seen = torch.ones(ROWS, CARDS, dtype=torch.bool)
    seen[1] = False
    distance, count = torch.zeros(ROWS, CARDS, dtype=torch.int64), torch.full((ROWS,), CARDS)

    def gradients(rows):
        leaves = [one.clone().requires_grad_() for one in (q[rows], k, v)]
        view = Look(
            in_chunks(leaves[1], leaves[2], cuts=()),
            CAUSAL[rows],
            count[rows],
            view=lambda _first, _length: (seen[rows], distance[rows]),
        )
        found = recall(leaves[0], view, scale_N=SCALE, slope_M=SLOPE)
        return torch.autograd.grad(found.sum(), leaves)

    every, others = gradients(torch.arange(ROWS)), gradients(torch.tensor([0, 2]))
    assert (every[0][1] == 0).all()
    for one, other in zip(every[1:], others[1:], strict=True):
        torch.testing.assert_close(one, other)


def test_keys_in_bfloat16_are_multiplied_as_such_and_others_as_ever():
    """And what the process had set for its products stands again, also after an error."""
    before = torch.backends.mkldnn.matmul.fp32_precision
    q, k, v = (t.bfloat16() for t in cards())
    look = Look.causal(k, v, position_R=CAUSAL)
    found = recall(q, look, scale_N=SCALE, slope_M=SLOPE)
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    exact = causal_formula(*(t.double() for t in (q, k, v)))
    torch.testing.assert_close(found.double(), exact, rtol=0.02, atol=0.05)
    with pytest.raises(RuntimeError):
        recall(q[..., :-1], look, scale_N=SCALE, slope_M=SLOPE)
    assert torch.backends.mkldnn.matmul.fp32_precision == before
