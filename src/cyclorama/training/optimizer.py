"""Muon for the matrices inside blocks, AdamW for everything else, as one optimizer.

Muon (Jordan et al. 2024; scaling after Liu et al. 2025, arXiv 2502.16982, equation 4) replaces
the momentum of a matrix by its nearest semi-orthogonal matrix, found with five Newton-Schulz
steps, and scales it to the root mean square of an AdamW update so that one learning rate serves
both. Master weights are float32; the model that runs forward and backward may be a bfloat16 copy,
refreshed after each step by the loop.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from cyclorama.config import Config

# Quintic coefficients of Jordan et al. 2024: fast rather than exact, singular values end near one.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class OptimizerConfig(Config):
    """Learning rates and their course: linear warm-up, constant, linear decay ("WSD")."""

    lr: float = 1e-3
    muon: bool = True
    betas: tuple[float, float] = (0.9, 0.95)
    muon_momentum: float = 0.95
    weight_decay: float = 0.01
    warmup_steps: int = 100
    decay_share: float = 0.3
    clip_norm: float = 1.0


def learning_rate_factor(step: int, num_steps: int, *, config: OptimizerConfig) -> float:
    """Return the factor on the learning rate at ``step`` of ``num_steps``."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    left = (num_steps - step) / max(1.0, config.decay_share * num_steps)
    return warm * min(1.0, max(0.0, left))


@torch.no_grad()
def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Return roughly the nearest semi-orthogonal matrix, in bfloat16.

    ``matrix`` has two dimensions, or three: a stack of experts, each orthogonalised on its own.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; for matrices and stacks of them."""

    def __init__(
        self, params: Iterable[Tensor], *, lr: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Apply one update; ``closure`` is not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure: call backward() first")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"]
                momentum.lerp_(p.grad, 1 - group["momentum"])
                nesterov = p.grad.lerp(momentum, group["momentum"])
                update = orthogonalise(nesterov).to(p.dtype)
                # Root mean square 0.2, that of a typical AdamW update.
                scale = 0.2 * math.sqrt(max(p.shape[-2:]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


def is_block_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon should take a parameter: a matrix, or a stack of them, in a numbered block."""
    return (
        parameter.ndim in (2, 3)
        and any(part.isdigit() for part in name.split("."))
        and name.endswith("weight")
        and ".router." not in name  # a few rows that compete: to orthogonalise them is to shuffle
    )


def make_optimizers(model: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a model's float32 master weights."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for n, p in named if config.muon and is_block_matrix(n, p)]
    taken = {id(p) for p in matrices}
    decay = [p for n, p in named if id(p) not in taken and p.ndim >= 2]
    plain = [p for n, p in named if id(p) not in taken and p.ndim < 2]
    groups = [
        {"params": decay, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-8)
    ]
    if matrices:
        optimizers.append(
            Muon(
                matrices,
                lr=config.lr,
                momentum=config.muon_momentum,
                weight_decay=config.weight_decay,
            )
        )
    return optimizers
