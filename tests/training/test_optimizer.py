"""Muon orthogonalises, every weight has one optimizer, and the learning rate takes its course."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.models.dit import DITS, DiT
from cyclorama.models.lm import LM, LMS
from cyclorama.training.optimizer import (
    Muon,
    OptimizerConfig,
    is_block_matrix,
    learning_rate_factor,
    make_optimizers,
    orthogonalise,
)


@pytest.mark.parametrize("shape", [(16, 16), (64, 16), (16, 48)])
def test_singular_values_end_near_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    result = orthogonalise(matrix).float()
    assert result.shape == shape
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_directions_stay():
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(24, 12), full_matrices=False)
    matrix = left @ torch.diag(torch.linspace(0.5, 4, 12)) @ right
    turned = left.T @ orthogonalise(matrix).float() @ right.T
    off_diagonal = turned - torch.diag(turned.diagonal())
    assert turned.diagonal().min() > 0.5
    assert off_diagonal.abs().max() < 0.05


def test_scale_does_not_matter_and_zero_stays_zero():
    torch.manual_seed(0)
    matrix = torch.randn(8, 8)
    torch.testing.assert_close(
        orthogonalise(matrix), orthogonalise(1024 * matrix), atol=0.02, rtol=0.02
    )
    assert not orthogonalise(torch.zeros(8, 8)).any()


def test_one_step_of_muon_is_its_formula():
    torch.manual_seed(0)
    start, gradient = torch.randn(32, 8), torch.randn(32, 8)
    weight = torch.nn.Parameter(start.clone())
    weight.grad = gradient.clone()
    Muon([weight], lr=0.1, momentum=0.95, weight_decay=0.5).step()
    # Nesterov's momentum after one step is the gradient times 0.05 + 0.95 * 0.05.
    update = orthogonalise(gradient * (0.05 + 0.95 * 0.05)).float()
    expected = start * (1 - 0.1 * 0.5) - 0.1 * 0.2 * 32**0.5 * update
    torch.testing.assert_close(weight.detach(), expected, atol=2e-3, rtol=0)
    # The root mean square of the update is about that of AdamW's, whatever the shape.
    step = (weight.detach() - start * 0.95) / 0.1
    assert step.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.15)


def test_muon_finds_the_least_squares():
    torch.manual_seed(0)
    goal = torch.randn(6, 4)
    weight = torch.nn.Parameter(torch.zeros(6, 4))
    optimizer = Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.0)
    for step in range(300):
        optimizer.zero_grad()
        (weight - goal).square().sum().backward()
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), goal, atol=0.02, rtol=0)


def test_muon_takes_no_closure():
    with pytest.raises(ValueError, match="no closure"):
        Muon([torch.nn.Parameter(torch.zeros(2, 2))], lr=1, momentum=0, weight_decay=0).step(
            lambda: 0.0
        )


@pytest.mark.parametrize(
    "model", [Autoencoder(AUTOENCODERS["tiny"]), DiT(DITS["tiny"])], ids=["autoencoder", "dit"]
)
@pytest.mark.parametrize("muon", [True, False])
def test_each_weight_has_exactly_one_optimizer(model, muon):
    optimizers = make_optimizers(model, OptimizerConfig(muon=muon))
    assert len(optimizers) == 1 + muon
    taken = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(taken) == sorted(id(p) for p in model.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    for group in optimizers[0].param_groups:
        assert all(p.ndim >= 2 for p in group["params"]) or group["weight_decay"] == 0
    if muon:
        matrices = [p for g in optimizers[1].param_groups for p in g["params"]]
        assert {names[id(p)] for p in matrices} == {
            name for name, p in model.named_parameters() if is_block_matrix(name, p)
        }
        assert all("block" in names[id(p)] or "coder" in names[id(p)] for p in matrices)
        assert matrices


@pytest.mark.parametrize("shape", [(3, 8, 20), (3, 20, 8)])
def test_a_stack_of_experts_is_each_of_them_alone(shape):
    torch.manual_seed(0)
    stack = torch.nn.Parameter(torch.randn(shape))
    alone = [torch.nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    gradient = torch.randn(shape) * torch.tensor([1.0, 1e-3, 1e3])[:, None, None]
    stack.grad = gradient
    for matrix, part in zip(alone, gradient, strict=True):
        matrix.grad = part
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    Muon([stack], **settings).step()
    Muon(alone, **settings).step()
    for matrix, part in zip(alone, stack, strict=True):
        torch.testing.assert_close(part, matrix, rtol=0.0, atol=2e-3)


def test_each_weight_of_the_reader_has_one_optimizer_and_muon_has_its_matrices():
    model = LM(LMS["tiny"])
    rest, muon = make_optimizers(model, OptimizerConfig())
    taken = [id(p) for o in (rest, muon) for g in o.param_groups for p in g["params"]]
    assert sorted(taken) == sorted(id(p) for p in model.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    by_muon = {names[id(p)] for g in muon.param_groups for p in g["params"]}
    assert {"scribes.1.experts.up_weight", "scribes.0.q.weight", "inquirers.1.out.weight"} < by_muon
    assert not any(
        part in name
        for name in by_muon
        for part in ("router", "embed", "taps", "norm", "log_scale")
    )


def test_the_learning_rates_course():
    config = OptimizerConfig(warmup_steps=10, decay_share=0.25)
    course = [learning_rate_factor(step, 100, config=config) for step in range(100)]
    assert course[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert course[10:75] == [1.0] * 65
    assert course[75:] == pytest.approx([n / 25 for n in range(25, 0, -1)])


@given(st.integers(1, 400), st.integers(0, 500), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_the_factor_is_never_zero_before_the_end(num_steps, warmup, decay, at):
    config = OptimizerConfig(warmup_steps=warmup, decay_share=decay)
    assert 0 < learning_rate_factor(int(at * num_steps), num_steps, config=config) <= 1
