"""Experts: grouped = loop, top-k = dense with masked gates, votes balance, soft = the paper's."""

import pytest
import torch
import torch.nn.functional as F

from cyclorama.nn.moe import VOTE, Experts, SoftExperts, grouped_product
from cyclorama.nn.norm import RMSNorm

WIDTH, HIDDEN = 16, 24


def experts(*, num=4, top_k=1, seed=0):
    torch.manual_seed(seed)
    return Experts(WIDTH, HIDDEN, num_experts=num, top_k=top_k, shared_hidden=8)


def dense(layer, x_LD, gates_LE):
    """Run every expert on every token and weigh the outcome: sum_e gate_e expert_e(x)."""
    total = layer.shared(x_LD)
    for expert in range(gates_LE.shape[1]):
        gate, up = (x_LD @ layer.up_weight[expert]).chunk(2, dim=-1)
        total = total + gates_LE[:, expert, None] * (
            (F.silu(gate) * up) @ layer.down_weight[expert]
        )
    return total


@pytest.mark.parametrize("counts", [(3, 0, 5, 1), (0, 0, 9, 0), (1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_grouped_product_is_a_loop_over_experts(counts, dtype):
    torch.manual_seed(0)
    x = torch.randn(sum(counts), WIDTH, dtype=dtype)
    weight = torch.randn(len(counts), WIDTH, HIDDEN, dtype=dtype)
    found = grouped_product(x, weight, ends_E=torch.tensor(counts).cumsum(0))
    owner = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    wanted = torch.stack([row @ weight[e] for row, e in zip(x, owner, strict=True)])
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted)


def test_the_grouped_products_gradients_are_those_of_the_loop():
    torch.manual_seed(0)
    x, weight = torch.randn(9, WIDTH), torch.randn(3, WIDTH, HIDDEN)
    ends = torch.tensor([4, 4, 9])
    gradients = []
    for dtype in (torch.float64, torch.bfloat16):
        leaves = [t.bfloat16().to(dtype).requires_grad_() for t in (x, weight)]
        grouped_product(leaves[0], leaves[1], ends_E=ends).float().square().sum().backward()
        gradients.append([leaf.grad.double() for leaf in leaves])
    for exact, rounded in zip(*gradients, strict=True):
        assert exact.norm() > 0
        assert (exact - rounded).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_top_k_is_the_dense_mixture_with_masked_gates(top_k):
    layer = experts(top_k=top_k).double().eval()
    x = torch.randn(50, WIDTH, dtype=torch.float64)
    scores = (x.float() @ layer.router.weight.float().T).sigmoid()
    kept = torch.zeros_like(scores).scatter(1, scores.topk(top_k).indices, 1.0) * scores
    gates = kept / kept.sum(dim=1, keepdim=True) if top_k > 1 else kept
    torch.testing.assert_close(layer(x), dense(layer, x, gates.double()))


def test_nothing_is_dropped_when_all_tokens_want_one_expert():
    layer = experts().double().eval()
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[2, 0] = 9.0
    x = torch.randn(40, WIDTH, dtype=torch.float64)
    x[:, 0] = 1 + x[:, 0].abs()
    assert torch.equal(layer.route(x)[0], torch.full((40, 1), 2))
    gates = torch.zeros(40, 4, dtype=torch.float64)
    gates[:, 2] = (9.0 * x[:, 0]).float().sigmoid().double()
    torch.testing.assert_close(layer(x), dense(layer, x, gates))


def test_tokens_do_not_see_each_other():
    layer = experts(top_k=2).double().eval()
    x = torch.randn(30, WIDTH, dtype=torch.float64)
    whole = layer(x)
    torch.testing.assert_close(torch.cat([layer(row[None]) for row in x]), whole)
    order = torch.randperm(30)
    torch.testing.assert_close(layer(x[order]), whole[order])


def test_votes_choose_but_do_not_weigh():
    layer = experts().double().eval()
    x = torch.randn(20, WIDTH, dtype=torch.float64)
    layer.votes_E[1] = round(2 / VOTE)  # more than any score can be ahead
    chosen, weight = layer.route(x)
    assert (chosen == 1).all()
    scores = (x.float() @ layer.router.weight.float().T).sigmoid()
    assert torch.equal(weight, scores[:, 1:2])


def test_votes_balance_a_skewed_router():
    layer = experts(top_k=2).train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        layer.router.weight.mul_(0.3)
        layer.router.weight[0, 0] += 0.5  # one expert is liked by nearly all, one by none
        layer.router.weight[3, 0] -= 0.5

    def share():
        x = torch.randn(256, WIDTH, generator=generator)
        x[:, 0] = 1.0
        load = torch.bincount(layer.route(x)[0].flatten(), minlength=4)
        with torch.no_grad():
            layer(x)
        return load / load.sum()

    before = share()
    assert before.max() > 0.4
    assert before.min() < 0.1
    for _ in range(400):
        share()
    after = torch.stack([share() for _ in range(20)]).mean(dim=0)
    assert (after - 0.25).abs().max() < 0.03
    assert layer.votes_E[0] < 0 < layer.votes_E[3]


def test_a_vote_is_one_step_towards_balance():
    layer = experts().train()
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[2, 0] = 1.0
    x = torch.ones(8, WIDTH)
    layer(x)
    assert layer.votes_E.tolist() == [1, 1, -1, 1]
    layer(x)
    assert layer.votes_E.tolist() == [2, 2, -2, 2]


def test_no_votes_outside_training_and_none_lost_in_bfloat16():
    layer = experts().eval()
    layer(torch.randn(9, WIDTH))
    assert layer.votes_E.tolist() == [0] * 4
    layer.votes_E.copy_(torch.tensor([257, -1, 513, 3]))  # 257 and 513 are no bfloat16 numbers
    assert layer.bfloat16().votes_E.tolist() == [257, -1, 513, 3]


def test_the_router_learns_even_with_one_expert_a_token():
    layer = experts()
    layer(torch.randn(30, WIDTH)).square().mean().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.norm() > 0


@pytest.mark.parametrize("top_k", [0, 5])
def test_more_experts_than_there_are_is_an_error(top_k):
    with pytest.raises(ValueError, match=f"got {top_k}"):
        experts(top_k=top_k)


def soft(*, num=3, slots=2):
    torch.manual_seed(0)
    layer = SoftExperts(WIDTH, HIDDEN, num_experts=num, slots=slots).double()
    with torch.no_grad():
        layer.scale.fill_(3.0)
    return layer


def test_soft_experts_are_the_papers_equations():
    layer = soft()
    x = torch.randn(2, 7, WIDTH, dtype=torch.float64)
    unit_x = x / x.norm(dim=-1, keepdim=True)
    unit_phi = layer.scale * layer.phi / layer.phi.norm(dim=0, keepdim=True)
    for x_b, unit_b, found in zip(x, unit_x, layer(x), strict=True):
        logits = torch.einsum("md,ds->ms", unit_b, unit_phi)
        dispatch = logits.exp() / logits.exp().sum(dim=0, keepdim=True)  # eq. 1: over tokens
        combine = logits.exp() / logits.exp().sum(dim=1, keepdim=True)  # eq. 2: over slots
        slots = torch.einsum("ms,md->sd", dispatch, x_b)
        out = torch.stack([layer.experts[s // layer.slots](slots[s]) for s in range(6)])
        torch.testing.assert_close(found, torch.einsum("ms,sd->md", combine, out))


def test_soft_experts_know_no_order_and_no_neighbouring_sample():
    layer = soft()
    x = torch.randn(2, 9, WIDTH, dtype=torch.float64)
    whole = layer(x)
    order = torch.randperm(9)
    torch.testing.assert_close(layer(x[:, order]), whole[:, order])
    torch.testing.assert_close(layer(x[1:]), whole[1:])
    changed = x.clone()
    changed[0, 8] += 1.0
    assert not torch.allclose(layer(changed)[0, 0], whole[0, 0])  # every token mixes with all


def test_soft_experts_compare_directions_only():
    layer = soft(num=1, slots=1)  # one slot: its value is a mean by direction, then an expert
    x = torch.randn(1, 5, WIDTH, dtype=torch.float64)
    norm = RMSNorm(WIDTH).double()
    torch.testing.assert_close(layer(norm(x)).std(dim=1).amax(), torch.tensor(0.0).double())
