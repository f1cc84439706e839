"""The reader: a decoder-decoder whose cost for a token it merely reads does not grow.

Picture a scribe and an inquirer. The scribe (*self-decoder*: sliding windows, short convolutions,
mixtures of experts) walks through the stream once and leaves one card a token in a shared memory:
a key of unit length and a value. The inquirer (*cross-decoder*) has no walk of its own: each token
that must answer asks all cards at once. In `forward` every token does both, which is training and
short input; a long document is only walked (`read`), and only the question's tokens ask
(`answer`). After YOCO (Sun et al. 2024, arXiv 2405.05254, section 3).

The inquirer knows no positions. Then attention over a memory is the same sum whatever the memory's
length, but the temperature must grow with it: a score is ``s_h ln(n) / ln(4096) cos(q, k)`` for n
cards (Scalable-Softmax, Nakanishi 2025, arXiv 2501.19399, equation 2), else ten million strangers
outweigh the one that matches. Some heads also have a learned bias on the logarithm of the
distance, so that "the last one" can be asked for. A sigmoid gate on the heads' output replaces the
attention sink (Qiu et al. 2025, arXiv 2505.06708).

A card's key starts as the token *before* it, its value as the token itself: whoever has just read
what stood before an answer then finds the answer, half of an induction head from the first step on
("smeared keys", Olsson et al. 2022, arXiv 2209.11895). The keys' own convolution may unlearn it.

A card that is written at once cannot know what its token is about when that is said later: of "it
was Ann Lee who filed patent 7" no card of the name knows the patent. With ``hindsight`` a card's
key is written some tokens late, and knows these: what is read is written so (`write`), what is
being said is not (rows never see a card that knows what follows them).

Frames and sound enter by stems (`nn.stems`) as tokens between words; which of them a weight file
was trained with, its configuration says (``reads``), and others are refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from pydantic import field_validator
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.nn.mlp import SwiGLU
from cyclorama.nn.moe import Experts
from cyclorama.nn.naming import Namer
from cyclorama.nn.recall import Look, recall
from cyclorama.nn.spelling import Speller
from cyclorama.nn.stems import FrameStem, SoundStem
from cyclorama.nn.window import Past, ShortConvolution, next_past, window_attention

# On processors torch has a kernel for it; its `rms_norm` is a chain of float32 passes, and took a
# quarter of a training step (docs/lab-log.md).
LayerNorm = partial(nn.LayerNorm, bias=False)


class LMConfig(Config):
    """Sizes of the reader."""

    vocabulary: int = 8192
    width: int = 256
    depth: int = 4
    num_heads: int = 4
    num_key_heads: int = 1
    head_size: int = 64
    window: int = 128
    taps: int = 4
    num_experts: int = 4
    top_k: int = 1
    expert_hidden: int = 224
    shared_hidden: int = 256
    memory_size: int = 128
    cross_depth: int = 2
    cross_heads: int = 4
    distant_heads: int = 1  # of the cross heads, how many have the bias on distance
    cross_hidden: int = 512
    hindsight: int = 0  # tokens that a card's key waits for, its own being one; 0: none
    experts: Literal["sparse", "soft"] = "sparse"
    reads: tuple[Literal["pictures", "sound"], ...] = ()  # besides text
    stem_hidden: int = 256

    @field_validator("experts")
    @classmethod
    def _experts_must_be_causal(cls, experts: str) -> str:
        if experts == "soft":
            raise ValueError(
                "soft experts mix every token with those after it, and a reader that has seen the "
                "answer cannot learn to foresee it: take sparse (a DiT may have soft_experts)"
            )
        return experts


@dataclass(frozen=True)
class ReadState:
    """Where a reading stands: each layer's `Past`, the memory's own tail, and tokens read."""

    layers: tuple[Past, ...]
    tail_BJD: Float[Tensor, "B J D"]
    num_read: int

    def take(self, rows_R: Int[Tensor, "R"]) -> "ReadState":
        """Return the state of rows, in any order and as often as they are named."""
        layers = tuple(past.take(rows_R) for past in self.layers)
        return ReadState(layers, self.tail_BJD[rows_R], self.num_read)


class Scribe(nn.Module):
    """One layer of the self-decoder."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.width, config.head_size
        self.norm_attention, self.norm_mlp = LayerNorm(width), LayerNorm(width)
        self.convolution = ShortConvolution(width, config.taps)
        self.q = nn.Linear(width, config.num_heads * size, bias=False)
        self.kv = nn.Linear(width, 2 * config.num_key_heads * size, bias=False)
        self.out = nn.Linear(config.num_heads * size, width, bias=False)
        self.norm_q, self.norm_k = LayerNorm(size), LayerNorm(size)
        self.experts = Experts(
            width,
            config.expert_hidden,
            num_experts=config.num_experts,
            top_k=config.top_k,
            shared_hidden=config.shared_hidden,
        )

    def forward(self, x_BLD: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """Return the tokens after this layer, and what the next piece must know of this one."""
        config = self.config
        normed = self.norm_attention(x_BLD)
        hidden = self.convolution(normed, None if past is None else past.tail_BJD)
        q = rearrange(self.q(hidden), "B L (N K) -> B L N K", K=config.head_size)
        k, v = rearrange(self.kv(hidden), "B L (two G K) -> two B L G K", two=2, K=config.head_size)
        q, k = self.norm_q(q), self.norm_k(k)
        mixed = window_attention(q, k, v_BLGK=v, window=config.window, past=past)
        x_BLD = x_BLD + self.out(mixed.flatten(2))
        after = next_past(past, k, v_BLGK=v, x_BLD=normed, window=config.window, taps=config.taps)
        return x_BLD + self.experts(self.norm_mlp(x_BLD).flatten(0, 1)).view_as(x_BLD), after


class Hindsight(nn.Module):
    """Attention of each token to those that follow it: a sliding window, read backwards."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        width, size = config.width, config.head_size
        self.q = nn.Linear(width, config.num_heads * size, bias=False)
        self.kv = nn.Linear(width, 2 * config.num_key_heads * size, bias=False)
        self.out = nn.Linear(config.num_heads * size, width, bias=False)
        self.norm_q, self.norm_k = LayerNorm(size), LayerNorm(size)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Return what each of L tokens learns from itself and the ``hindsight - 1`` behind it."""
        config = self.config
        x_BLD = x_BLD.flip(1)
        q = rearrange(self.q(x_BLD), "B L (N K) -> B L N K", K=config.head_size)
        k, v = rearrange(self.kv(x_BLD), "B L (two G K) -> two B L G K", two=2, K=config.head_size)
        q, k = self.norm_q(q), self.norm_k(k)
        mixed = window_attention(q, k, v_BLGK=v, window=config.hindsight, past=None)
        return self.out(mixed.flatten(2)).flip(1)


class Inquirer(nn.Module):
    """One layer of the cross-decoder: every row asks the memory on its own."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        width, inner = config.width, config.cross_heads * config.memory_size
        self.norm_attention, self.norm_mlp = LayerNorm(width), LayerNorm(width)
        self.q = nn.Linear(width, inner, bias=False)
        self.gate = nn.Linear(width, inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.log_scale_N = nn.Parameter(torch.full((config.cross_heads,), math.log(START_SCALE)))
        self.slope_M = nn.Parameter(torch.zeros(config.distant_heads))
        self.mlp = SwiGLU(width, config.cross_hidden)

    def forward(self, x_RD: Tensor, look: Look) -> Tensor:
        """Return rows after this layer; ``look`` is the memory and which part each row sees."""
        hidden = self.norm_attention(x_RD)
        q_RNK = rearrange(self.q(hidden), "R (N K) -> R N K", K=self.config.memory_size)
        scale_N = self.log_scale_N.float().exp().clamp(max=MAX_SCALE)
        q_RNK = F.normalize(q_RNK.float(), dim=-1).to(x_RD.dtype)
        mixed = recall(q_RNK, look, scale_N=scale_N, slope_M=self.slope_M.float())
        x_RD = x_RD + self.out(self.gate(hidden).sigmoid() * mixed.flatten(1))
        return x_RD + self.mlp(self.norm_mlp(x_RD))


def cannot_read(what: Literal["pictures", "sound"], config: LMConfig) -> str:
    """Return the sentence that refuses media which weights of ``config`` were not trained with."""
    known = " and ".join(("text", *config.reads))
    return (
        f"these weights read {known} and no {what}: pass --weights with a reader trained on {what} "
        f"(its configuration lists them under reads)"
    )


class LM(nn.Module):
    """Read a stream into a memory, and answer from it."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed = nn.Embedding(config.vocabulary, width)
        hidden, reads = config.stem_hidden, config.reads
        self.frames = FrameStem(width, hidden) if "pictures" in reads else None
        self.sounds = SoundStem(width, hidden) if "sound" in reads else None
        self.namer = Namer(width) if "pictures" in reads else None
        self.speller = Speller(width) if "sound" in reads else None
        self.scribes = nn.ModuleList(Scribe(config) for _ in range(config.depth))
        self.norm_memory = LayerNorm(width)
        self.convolution_k = ShortConvolution(width, config.taps)
        self.convolution_v = ShortConvolution(width, config.taps)
        self.hindsight = Hindsight(config) if config.hindsight else None
        self.memory_k = nn.Linear(width, config.memory_size, bias=False)
        self.memory_v = nn.Linear(width, config.memory_size, bias=False)
        self.inquirers = nn.ModuleList(Inquirer(config) for _ in range(config.cross_depth))
        self.norm_out = LayerNorm(width)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Xavier; what adds to the stream starts small, so that a deep stack starts near none."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        nn.init.normal_(self.embed.weight, std=EMBED_SCALE)
        for stem in filter(None, (self.frames, self.sounds)):
            stem.norm_out.weight.fill_(EMBED_SCALE)  # a token is as loud as a word
        if self.config.taps > 1:  # the key is the token before
            self.convolution_k.taps[:2] = torch.tensor([[-1.0], [1.0]])
        if self.hindsight is not None:  # as if it were not there
            nn.init.zeros_(self.hindsight.out.weight)
        for layer in (*self.scribes, *self.inquirers):
            layer.out.weight.mul_((2 * len(self.scribes) + 2 * len(self.inquirers)) ** -0.5)

    def embed_media(self, media: Sequence[Tensor]) -> Float[Tensor, "M D"]:
        """Return the tokens of media in order: frames uint8 (T, H, W, 3), sound float (B, S).

        Those of one shape go through their stem together. ValueError when these weights do not
        read such media.
        """
        parts: dict[int, Tensor] = {}
        for shape in dict.fromkeys(medium.shape[1:] for medium in media):
            alike = [i for i, medium in enumerate(media) if medium.shape[1:] == shape]
            is_frames = len(shape) == 3
            stem = self.frames if is_frames else self.sounds
            if stem is None:
                raise ValueError(cannot_read("pictures" if is_frames else "sound", self.config))
            together = torch.cat([media[i] for i in alike])
            tokens = torch.cat([stem(some) for some in together.split(STEM_ROWS)])
            parts |= zip(alike, tokens.split([len(media[i]) for i in alike]), strict=True)
        return torch.cat([parts[i].flatten(0, 1) for i in range(len(media))])

    def embed_stream(
        self, ids_L: Int[Tensor, "L"], media: Sequence[Tensor], *, is_medium_L: Bool[Tensor, "L"]
    ) -> Float[Tensor, "L D"]:
        """Return a stream's tokens: those of ids, and where marked those of media in their order.

        ValueError when the media have another number of tokens than are marked.
        """
        x_LD = self.embed(ids_L)
        if not media and not is_medium_L.any():
            return x_LD
        tokens_MD = self.embed_media(media) if media else x_LD[:0]
        if len(tokens_MD) != int(is_medium_L.sum()):
            raise ValueError(
                f"the media have {len(tokens_MD)} tokens and the stream has places for "
                f"{int(is_medium_L.sum())}: pass the media that belong to these ids"
            )
        return x_LD.index_put((is_medium_L,), tokens_MD)

    def read(
        self, x_BLD: Float[Tensor, "B L D"], state: ReadState | None = None
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L K"], Float[Tensor, "B L K"], ReadState]:
        """Walk through embedded tokens; return them, their keys and values, and the new state.

        Keys are those of cards written at once; see `write`. Reading in pieces, each with the
        state of the one before, equals reading at once.
        """
        layers = []
        for number, scribe in enumerate(self.scribes):
            x_BLD, past = scribe(x_BLD, None if state is None else state.layers[number])
            layers.append(past)
        normed, tail = self.norm_memory(x_BLD), self._tail(x_BLD, state)
        k_BLK, v_BLK = self._cards(normed, tail[:, self.config.hindsight :])
        tail = torch.cat((tail, normed), dim=1)[:, normed.shape[1] :]  # as long as it was
        num_read = x_BLD.shape[1] + (0 if state is None else state.num_read)
        return x_BLD, k_BLK, v_BLK, ReadState(tuple(layers), tail, num_read)

    def write(
        self, x_BLD: Float[Tensor, "B L D"], state: ReadState | None = None, *, ended: bool = True
    ) -> tuple[Float[Tensor, "B W K"], Float[Tensor, "B W K"]]:
        """Return the cards that a memory keeps, with hindsight.

        ``x_BLD`` are tokens as `read`, ``state`` that before them. Cards begin ``hindsight``
        tokens before these and go on to as many before their end, or, where the stream has
        ``ended``, to the end: if it goes on all the same, these come once more and know more.
        Written in pieces equals written at once.
        """
        wait, normed = self.config.hindsight, self.norm_memory(x_BLD)
        tail = self._tail(x_BLD, state)
        cut = tail.shape[1] - wait
        known = torch.cat((tail[:, cut:], normed), dim=1)
        later = 0 if self.hindsight is None else self.hindsight(known)
        k_BWK, v_BWK = self._cards(known, tail[:, :cut], later)
        first = wait - min(wait, 0 if state is None else state.num_read)  # none stands before it
        last = known.shape[1] - (0 if ended else wait)
        return k_BWK[:, first:last], v_BWK[:, first:last]

    def _tail(self, x_BLD: Tensor, state: ReadState | None) -> Tensor:
        """Return what stands before these tokens and is still needed, nothing at the beginning."""
        if state is not None:
            return state.tail_BJD
        return x_BLD.new_zeros(
            x_BLD.shape[0], self.config.taps - 1 + self.config.hindsight, x_BLD.shape[2]
        )

    def _cards(
        self, normed_BLD: Tensor, tail_BJD: Tensor, later_BLD: Tensor | int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return keys and values of tokens behind a tail, the keys with what comes later."""
        k_BLK = self.memory_k(self.convolution_k(normed_BLD, tail_BJD) + later_BLD)
        # Before the first token is none: its key starts as nought, whose gradient needs a floor.
        k_BLK = F.normalize(k_BLK.float(), dim=-1, eps=KEY_FLOOR).to(k_BLK.dtype)
        return k_BLK, self.memory_v(self.convolution_v(normed_BLD, tail_BJD))

    def answer(self, x_RD: Float[Tensor, "R D"], look: Look) -> Float[Tensor, "R V"]:
        """Return next-token logits of rows that were read, each asking what ``look`` shows it."""
        for inquirer in self.inquirers:
            x_RD = inquirer(x_RD, look)
        return F.linear(self.norm_out(x_RD), self.embed.weight) * self.config.width**-0.5

    def forward(self, ids_BL: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Return next-token logits of every token, each seeing its own row up to itself."""
        batch, length = ids_BL.shape
        x_BLD, k_BLK, v_BLK, _ = self.read(self.embed(ids_BL))
        late_BLK, _ = self.write(x_BLD)
        place, wait = torch.arange(length, device=ids_BL.device), self.config.hindsight
        looks = [
            Look.behind([], own=own, place_R=place, wait=wait)
            for own in zip(late_BLK, k_BLK, v_BLK, strict=True)
        ]
        return torch.stack([self.answer(x_BLD[b], looks[b]) for b in range(batch)])


START_SCALE, MAX_SCALE, KEY_FLOOR = 16.0, 96.0, 1e-2
EMBED_SCALE = 0.5
STEM_ROWS = 128  # frames or seconds at once: what lies between a stem's layers then stays small

LMS = {
    "tiny": LMConfig(
        vocabulary=512,
        width=64,
        depth=2,
        num_heads=2,
        head_size=32,
        window=8,
        num_experts=2,
        expert_hidden=64,
        shared_hidden=64,
        memory_size=32,
        cross_heads=2,
        cross_hidden=64,
    ),
    "nano": LMConfig(hindsight=64),
    "base": LMConfig(
        hindsight=64,
        width=512,
        depth=6,
        num_heads=8,
        num_key_heads=2,
        window=512,
        num_experts=8,
        expert_hidden=1024,
        shared_hidden=1024,
        cross_depth=4,
        cross_heads=8,
        distant_heads=2,
        cross_hidden=1408,
    ),
}
