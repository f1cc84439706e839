"""Samplers: ways to follow a velocity field from noise to data, each a plain function.

A sampler knows nothing of networks. It gets ``velocity(x, t)`` and a falling list of times, and
returns x at the last of them; ``on_step(number, x, t)`` sees each step (progress, previews).
"""

from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
OnStep = Callable[[int, Tensor, float], None]


def _ignore(number: int, x: Tensor, time: float) -> None:
    """See a step and do nothing."""


def euler(velocity: Velocity, x: Tensor, *, times: Tensor, on_step: OnStep = _ignore) -> Tensor:
    """First order: one evaluation a step, error of order h."""
    for number, (t, t_next) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True)):
        x = x + (t_next - t) * velocity(x, t)
        on_step(number, x, t_next)
    return x


def heun(velocity: Velocity, x: Tensor, *, times: Tensor, on_step: OnStep = _ignore) -> Tensor:
    """Second order, two evaluations a step (Karras et al. 2022, algorithm 1, no churn).

    The last step is Euler's: at t = 0 the field of a finite network means nothing.
    """
    pairs = list(zip(times[:-1].tolist(), times[1:].tolist(), strict=True))
    for number, (t, t_next) in enumerate(pairs):
        v = velocity(x, t)
        proposal = x + (t_next - t) * v
        if t_next > 0:
            proposal = x + (t_next - t) * (v + velocity(proposal, t_next)) / 2
        x = proposal
        on_step(number, x, t_next)
    return x


def multistep(velocity: Velocity, x: Tensor, *, times: Tensor, on_step: OnStep = _ignore) -> Tensor:
    """Second order with one evaluation a step: Adams-Bashforth for unequal steps.

    The velocity before is extrapolated linearly; the first step is Euler's.
    """
    before: Tensor | None = None
    step_before = 0.0
    for number, (t, t_next) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True)):
        v, step = velocity(x, t), t_next - t
        slope = v if before is None else v + (v - before) * (step / (2 * step_before))
        x = x + step * slope
        before, step_before = v, step
        on_step(number, x, t_next)
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {"euler": euler, "heun": heun, "multistep": multistep}
