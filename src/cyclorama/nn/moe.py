"""Mixtures of experts: each token's feed-forward layer is chosen among several.

*Sparse* (`Experts`): a router scores the experts with a sigmoid, each token goes to its best few
and to one shared expert that sees every token. Nothing is dropped: tokens are sorted by expert
and one grouped product does all experts at their true sizes. Balance needs no loss: each expert
has a vote count that rises while it gets less than its share and falls while it gets more, and
only the *choice* looks at it, never the weight (Wang et al. 2024, "Auxiliary-loss-free load
balancing", arXiv 2408.15664, algorithm 1). Votes are integers, so every dtype holds them exactly.

*Soft* (`SoftExperts`): every expert gets slots, each slot a weighted mean of all tokens, each
token a weighted mean of all slots (Puigcerver et al. 2024, arXiv 2308.00951, equations 1 to 3).
It is smooth and never unbalanced, but every token mixes with every other: not for causal models.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from cyclorama.nn.mlp import SwiGLU

# How much one vote moves an expert's score when it is chosen. Votes are cast in each call: a step
# that reads its sequences in four calls casts four, each on the load of that call.
VOTE = 1e-3
STEP = 64  # rows of an expert are filled up to a multiple


def grouped_product(
    x_LD: Float[Tensor, "L D"], weight_EDH: Float[Tensor, "E D H"], *, ends_E: Int[Tensor, "E"]
) -> Float[Tensor, "L H"]:
    """Multiply rows [ends[e-1], ends[e]) of ``x`` by ``weight[e]``.

    One kernel in bfloat16, a loop over experts otherwise (the kernel knows no other dtype).
    """
    if x_LD.dtype == torch.bfloat16 and len(x_LD):
        return F.grouped_mm(x_LD, weight_EDH, offs=ends_E.int())
    bounds = [0, *ends_E.tolist()]
    parts = [x_LD[a:b] @ w for (a, b), w in zip(pairwise(bounds), weight_EDH, strict=True)]
    return torch.cat(parts)


def _spaced(load_E: Int[Tensor, "E"]) -> tuple[Int[Tensor, "L"], Int[Tensor, "E"]]:
    """Return where sorted rows go when each expert's begin at a multiple of `STEP`, and the ends.

    On a processor a kernel is made for every new number of rows, which takes as long as the product
    itself; so there are few such numbers. What lies between is computed and left out.
    """
    room_E = load_E.add(STEP - 1).div(STEP, rounding_mode="floor") * STEP
    before_E = (room_E - load_E).cumsum(0) - (room_E - load_E)
    rows = torch.arange(int(load_E.sum()), device=load_E.device)
    return rows + before_E.repeat_interleave(load_E), room_E.cumsum(0)


class Experts(nn.Module):
    """Top-k experts and a shared one, dropless; votes move only in training mode."""

    def __init__(
        self, width: int, hidden: int, *, num_experts: int, top_k: int, shared_hidden: int
    ) -> None:
        super().__init__()
        if not 1 <= top_k <= num_experts:
            raise ValueError(f"top_k must lie in [1, {num_experts}] (the experts), got {top_k}")
        self.top_k = top_k
        self.router = nn.Linear(width, num_experts, bias=False)
        self.up_weight = nn.Parameter(torch.empty(num_experts, width, 2 * hidden))
        self.down_weight = nn.Parameter(torch.empty(num_experts, hidden, width))
        self.shared = SwiGLU(width, shared_hidden)
        self.register_buffer("votes_E", torch.zeros(num_experts, dtype=torch.int64))
        for weight in (self.up_weight, self.down_weight):
            for matrix in weight.data:
                nn.init.xavier_uniform_(matrix)

    def route(self, x_LD: Float[Tensor, "L D"]) -> tuple[Tensor, Tensor]:
        """Return each token's experts (L, k) and their weights (L, k), which sum to one for k > 1.

        With one expert its raw score is the weight, so that the router has a gradient.
        """
        scores_LE = F.linear(x_LD.float(), self.router.weight.float()).sigmoid()
        chosen_Lk = (scores_LE.detach() + VOTE * self.votes_E).topk(self.top_k).indices
        weight_Lk = scores_LE.gather(1, chosen_Lk)
        if self.top_k > 1:
            weight_Lk = weight_Lk / weight_Lk.sum(dim=1, keepdim=True)
        return chosen_Lk, weight_Lk

    def forward(self, x_LD: Float[Tensor, "L D"]) -> Float[Tensor, "L D"]:
        """Return the layer's output, token by token."""
        chosen_Lk, weight_Lk = self.route(x_LD)
        load_E = torch.bincount(chosen_Lk.flatten(), minlength=len(self.votes_E))
        if self.training:
            self.votes_E += torch.sign(chosen_Lk.numel() - load_E * len(load_E))
        order = chosen_Lk.flatten().argsort(stable=True)
        token = order // self.top_k
        place, ends_E = _spaced(load_E)
        rows = token.new_zeros(int(ends_E[-1])).index_copy(0, place, token)
        hidden = grouped_product(x_LD[rows], self.up_weight, ends_E=ends_E)
        gate, up = hidden.chunk(2, dim=-1)
        out = grouped_product(F.silu(gate) * up, self.down_weight, ends_E=ends_E)[place]
        out = out * weight_Lk.flatten()[order, None].to(out.dtype)
        return self.shared(x_LD).index_add(0, token, out)


class SoftExperts(nn.Module):
    """Experts over soft slots; mixes all tokens of a sample, so only for bidirectional stacks."""

    def __init__(self, width: int, hidden: int, *, num_experts: int, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.phi = nn.Parameter(torch.randn(width, num_experts * slots) * width**-0.5)
        self.scale = nn.Parameter(torch.ones(()))
        self.experts = nn.ModuleList(SwiGLU(width, hidden) for _ in range(num_experts))

    def forward(self, x_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Return the layer's output; tokens and slots are compared as unit vectors (ibid. 2.3)."""
        keys = F.normalize(x_BLD, dim=-1)
        logits_BLS = keys @ (self.scale * F.normalize(self.phi, dim=0))
        slots_BSD = logits_BLS.softmax(dim=1).transpose(1, 2) @ x_BLD
        parts = slots_BSD.split(self.slots, dim=1)
        out_BSD = torch.cat([e(p) for e, p in zip(self.experts, parts, strict=True)], dim=1)
        return logits_BLS.softmax(dim=2) @ out_BSD
