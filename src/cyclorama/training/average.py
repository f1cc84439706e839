"""A running average of the weights, which samples better than the last weights do.

``average <- d * average + (1 - d) * weights`` with ``d = min(decay, (1 + n) / (10 + n))`` after n
updates, so that the start of training is forgotten quickly.
"""

import torch
from torch import Tensor, nn


def start_average(model: nn.Module) -> dict[str, Tensor]:
    """Return a detached float32 copy of the parameters, by name."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@torch.no_grad()
def update_average(
    average: dict[str, Tensor], model: nn.Module, *, decay: float, num_updates: int
) -> None:
    """Move the average towards the model, in place."""
    d = min(decay, (1 + num_updates) / (10 + num_updates))
    names = list(average)
    parameters = dict(model.named_parameters())
    torch._foreach_lerp_(
        [average[name] for name in names], [parameters[name].detach() for name in names], 1 - d
    )
