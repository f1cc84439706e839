"""What reading costs: beside a Llama of equal active size, by length, and after a memory is restored.

Prefill is everything before the first token of an answer. The peer is transformers'
`LlamaForCausalLM` with as many layers, the same width, heads and vocabulary, and a hidden layer
that makes its parameters equal to those that one token uses of ours; bfloat16, torch's fused
attention, its cache kept and only the last token's logits made. Both start from the same random
tokens and end with one token. A second table shows whether a token costs the same late in a long
text as early in it; a third how long a question waits after a memory on disk was opened. Speed does
not depend on what weights know, so both models are untrained.

Run: python benchmarks/reader_prefill.py [--tiny] [--threads 2] [--rounds 3]
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Watch, machine, matrix_peak_tflops
from page import command, commit, needed, opening, publish
from torch import nn
from training_step import parameters_in

from cyclorama.inference.files import ids_item
from cyclorama.inference.memory_file import open_reading, read_to_file
from cyclorama.inference.messages import Stream
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS, LMConfig
from cyclorama.nn.moe import Experts

SIDE_LENGTHS = (4_096, 32_768, 131_072)
FLAT_LENGTHS = (65_536, 262_144, 1_048_576)
RESTORED = 1_048_576
PROMPT = 16  # tokens of a question


@dataclass
class Length:
    """The seconds of both sides at one length, round by round."""

    num_tokens: int
    ours_s: list[float] = field(default_factory=list)
    peer_s: list[float] = field(default_factory=list)


def active_parameters(lm: LM) -> int:
    """Return the parameters that one token uses: of each layer's experts the chosen ones."""
    idle = 0
    for module in lm.modules():
        if isinstance(module, Experts):
            weights = module.up_weight.numel() + module.down_weight.numel()
            idle += weights - weights * module.top_k // module.up_weight.shape[0]
    return parameters_in(lm) - idle


def make_peer(config: LMConfig, *, num_parameters: int) -> Any:
    """Return a Llama of ``num_parameters``, as near as its hidden size allows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(hidden: int) -> Any:
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=config.vocabulary,
                hidden_size=config.width,
                intermediate_size=hidden,
                num_hidden_layers=config.depth + config.cross_depth,
                num_attention_heads=config.num_heads,
                num_key_value_heads=config.num_key_heads,
                max_position_embeddings=max(SIDE_LENGTHS) + 1,
                tie_word_embeddings=True,
                attn_implementation="sdpa",
            )
        )

    with torch.device("meta"):
        small, large = (parameters_in(make(hidden)) for hidden in (8, 16))
    hidden = 8 * max(1, round((num_parameters - 2 * small + large) / (large - small)))
    return make(hidden).bfloat16().eval()


def ours(reader: Reader, ids: np.ndarray) -> None:
    """Read all tokens and make the one that follows."""
    reading = read_tokens(reader, ids[:-1])
    continue_all(reader, reading, prompts=[[int(ids[-1])]], max_tokens=1)


@torch.inference_mode()
def peer(model: nn.Module, ids: np.ndarray) -> None:
    """Prefill a cache with all tokens and make the one that follows."""
    tokens = torch.from_numpy(ids.astype(np.int64))[None]
    model(tokens, use_cache=True, logits_to_keep=1).logits[:, -1].argmax()


def seconds(way: Callable[[], object]) -> float:
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


def side_by_side(
    reader: Reader, model: nn.Module, lengths: Sequence[int], *, num_rounds: int
) -> list[Length]:
    """Time both sides in turns; the longest length has one round after a short warm one."""
    rows = []
    for length in lengths:
        ids = random_ids(length, reader)
        row = Length(length)
        ours(reader, ids[:2048])
        peer(model, ids[:2048])
        for _ in range(1 if length == max(SIDE_LENGTHS) else num_rounds):
            row.ours_s.append(seconds(lambda ids=ids: ours(reader, ids)))
            row.peer_s.append(seconds(lambda ids=ids: peer(model, ids)))
        rows.append(row)
        print(f"{length:,} tokens: {row.ours_s} s and {row.peer_s} s", flush=True)
    return rows


def random_ids(num: int, reader: Reader) -> np.ndarray:
    rng = np.random.default_rng(num)
    return rng.integers(3, reader.lm.config.vocabulary, num).astype(np.uint16)


def side_table(rows: Sequence[Length]) -> list[str]:
    table = ["| tokens | ours, s | Llama, s | ours is faster by |", "|--:|--:|--:|--:|"]
    for row in rows:
        ratio = statistics.median(b / a for a, b in zip(row.ours_s, row.peer_s, strict=True))
        table.append(
            f"| {row.num_tokens:,} | {statistics.median(row.ours_s):.2f} | "
            f"{statistics.median(row.peer_s):.2f} | {ratio:.1f} |"
        )
    return table


def flat_table(reader: Reader, lengths: Sequence[int]) -> list[str]:
    """Read ever longer texts; the cost of a token beside the first length's."""
    table = [
        "| tokens | s | tokens/s | cost of a token, beside the first | peak memory, GB |",
        "|--:|--:|--:|--:|--:|",
    ]
    first = 0.0
    read_tokens(reader, random_ids(lengths[0], reader)[:8192], memory_dtype="int8")  # to be warm
    for length in lengths:
        ids = random_ids(length, reader)
        took = seconds(lambda ids=ids: read_tokens(reader, ids, memory_dtype="int8"))
        first = first or took / length
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        table.append(
            f"| {length:,} | {took:.1f} | {length / took:,.0f} | {took / length / first:.2f} | "
            f"{peak:.1f} |"
        )
        print(table[-1], flush=True)
    return table


def restored_table(reader: Reader, num_tokens: int) -> list[str]:
    """Keep a memory on disk, open it anew, and time one token of an answer."""
    table = ["| memory | opened, s | first token, s | each more, s |", "|---|--:|--:|--:|"]
    ids = random_ids(num_tokens, reader)
    prompt = [random_ids(PROMPT, reader).tolist()]
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("int8", "bfloat16"):
            path = Path(folder) / f"{dtype}.memory"
            read_to_file(reader, Stream((ids_item(ids),), ()), path=path, memory_dtype=dtype)
            begun = time.perf_counter()
            reading = open_reading(path, reader)
            opened = time.perf_counter() - begun
            first, one, five = (  # the first touches the mapped files
                seconds(
                    lambda n=n, r=reading: continue_all(reader, r, prompts=prompt, max_tokens=n)
                )
                for n in (1, 1, 5)
            )
            table.append(
                f"| {num_tokens:,} tokens, {dtype} | {opened:.2f} | {first:.2f} | "
                f"{(five - one) / 4:.2f} |"
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a quick try; writes no file")
    arguments = parser.parse_args()
    transformers = needed("transformers")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    tiny = arguments.tiny
    reader = Reader(LM(LMS["tiny" if tiny else "nano"]).eval().bfloat16(), checksum="untrained")
    active = active_parameters(reader.lm)
    model = make_peer(reader.lm.config, num_parameters=active)
    watch = Watch()
    peaks = [matrix_peak_tflops(seconds=1.0)]
    lengths = (512, 1024) if tiny else SIDE_LENGTHS
    flat = flat_table(reader, (2_048, 4_096) if tiny else FLAT_LENGTHS)  # before the peer's peak
    rows = side_by_side(reader, model, lengths, num_rounds=arguments.rounds)
    restored = restored_table(reader, 4_096 if tiny else RESTORED)
    peaks.append(matrix_peak_tflops(seconds=1.0))
    publish(
        [
            *opening("What reading costs", __doc__),
            f"Ours has {parameters_in(reader.lm) / 1e6:.2f} million parameters, of which a token "
            f"uses {active / 1e6:.2f};",
            f"the peer has {parameters_in(model) / 1e6:.2f} "
            f"({model.config.num_hidden_layers} layers, hidden size "
            f"{model.config.intermediate_size}). Medians of {arguments.rounds} rounds, one at "
            f"{max(SIDE_LENGTHS):,} tokens.",
            "",
            f"* command: `{command()}`",
            f"* commit: {commit()}; {machine(arguments.threads)}, transformers "
            f"{transformers.__version__}",
            f"* peak of bfloat16 matrix products before and after: {max(peaks):.2f} and "
            f"{min(peaks):.2f} TFLOP/s; other processes took {100 * watch.others_share():.0f} % of "
            "the machine's processor time",
            "",
            *side_table(rows),
            "",
            "Whether a token costs the same in a long text (cards kept as int8):",
            "",
            *flat,
            "",
            f"A memory restored from disk, its checksums verified, and a question of {PROMPT} tokens:",
            "",
            *restored,
            "",
        ],
        None if tiny else Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
