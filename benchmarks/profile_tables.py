"""A profile of training steps as tables: parts of the step, kinds of work, the largest operators.

Shares are of the processor time of the thread that was profiled. `training_step` marks the batch
and the forward pass by name; what neither they nor the optimizers nor the backward pass take is
the copy of the weights, clipping and the average.
"""

import torch

KINDS = (  # what a name begins with -> kind; the first that fits
    (
        ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn::", "mkl::"),
        "matrix products",
    ),
    (("aten::_softmax", "aten::_scaled_dot_product", "aten::_flash"), "softmax, fused attention"),
    (("graph_", "cpp_fused", "kernel"), "compiled elementwise loops"),
    (
        (
            "aten::copy_",
            "aten::_to_copy",
            "aten::to",
            "aten::cat",
            "aten::clone",
            "aten::fill_",
            "aten::zero_",
            "aten::_foreach_copy_",
            "aten::contiguous",
        ),
        "copies and casts",
    ),
    (("aten::index", "aten::_index", "aten::embedding"), "gathers and scatters"),
    (("aten::",), "elementwise and reductions"),
    (("bench: batch",), "making the batch"),
)


def kind_of(name: str) -> str:
    for starts, kind in KINDS:
        if name.startswith(starts):
            return kind
    return "python and dispatch"


def profile_lines(
    title: str, profile: torch.profiler.profile, *, num_steps: int, num_rows: int = 8
) -> list[str]:
    """Return a table of the step's parts, one of kinds of work, and the largest operators."""
    averages = profile.key_averages()
    total = sum(event.self_cpu_time_total for event in averages)
    whole = {event.key: event.cpu_time_total for event in averages}
    backward = sum(
        t for name, t in whole.items() if name.startswith("autograd::engine::evaluate_function")
    )
    parts = {
        "batch": whole.get("bench: batch", 0.0),
        "forward, loss": whole.get("bench: forward", 0.0),
        "backward": backward,
        "Muon": whole.get("Optimizer.step#Muon.step", 0.0),
        "AdamW": whole.get("Optimizer.step#AdamW.step", 0.0),
    }
    parts["weights' copy, clipping, average"] = max(0.0, total - sum(parts.values()))
    kinds: dict[str, float] = {}
    for event in averages:
        kind = kind_of(event.key)
        kinds[kind] = kinds.get(kind, 0.0) + event.self_cpu_time_total
    top = sorted(averages, key=lambda event: -event.self_cpu_time_total)[:num_rows]

    def share(value: float) -> str:
        return f"{100 * value / total:.0f} %"

    return [
        f"### {title}",
        "",
        "| part of the step | share |",
        "|---|--:|",
        *(f"| {name} | {share(value)} |" for name, value in parts.items()),
        "",
        "| kind of work | share |",
        "|---|--:|",
        *(
            f"| {name} | {share(value)} |"
            for name, value in sorted(kinds.items(), key=lambda item: -item[1])
        ),
        "",
        "| operator | share | calls a step | ms a step |",
        "|---|--:|--:|--:|",
        *(
            f"| `{event.key[:70]}` | {share(event.self_cpu_time_total)} | "
            f"{event.count / num_steps:.0f} | "
            f"{event.self_cpu_time_total / 1e3 / num_steps:.1f} |"
            for event in top
        ),
        "",
    ]
