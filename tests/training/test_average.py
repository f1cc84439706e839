"""The running average of the weights, against its recursion."""

import torch

from cyclorama.training.average import start_average, update_average


def test_it_is_its_recursion():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    average = start_average(model)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for number in range(40):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn(p.shape))
        update_average(average, model, decay=0.9, num_updates=number)
        d = min(0.9, (1 + number) / (10 + number))
        for name, p in model.named_parameters():
            expected[name] = d * expected[name] + (1 - d) * p.detach()
    for name, value in expected.items():
        torch.testing.assert_close(average[name], value)


def test_resting_weights_are_their_own_average():
    model = torch.nn.Linear(3, 2)
    average = start_average(model)
    update_average(average, model, decay=0.99, num_updates=5)
    assert all(torch.equal(average[name], p) for name, p in model.named_parameters())


def test_the_average_is_a_copy():
    model = torch.nn.Linear(3, 2)
    before = model.weight.detach().clone()
    average = start_average(model)
    torch.nn.init.zeros_(model.weight)
    assert torch.equal(average["weight"], before)
    assert not average["weight"].requires_grad
