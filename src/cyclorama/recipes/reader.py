"""The reader: ``cyclorama train reader --data BOOKS --out runs/reader``.

Train the decoder-decoder on text with needles in it. ``--data`` is a folder of text files, or
``generated`` for prose that a grammar makes (then nothing but this package is needed). Stage A
(``reading.share=false``) lets each row see its own sequence; stage B lets it see every sequence of
the batch and of ``reading.extra`` more, so that a step is a haystack as long as all of them. No
file is bundled yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cyclorama.config import Config
from cyclorama.data.needles import Weights, needle_batch
from cyclorama.data.texts import Texts, generated_texts, open_texts
from cyclorama.models.lm import LM, LMS, LMConfig
from cyclorama.training.loop import Hook, LoopConfig, train
from cyclorama.training.next_token import TokenBatch, next_token_loss
from cyclorama.training.optimizer import OptimizerConfig
from cyclorama.weights.files import facts_as_text, save_weights, start_from_weights

GENERATED_TOKENS = 4_000_000


class ReadingConfig(Config):
    """How batches are drawn."""

    batch: int = 8
    num_tokens: int = 1024
    num_needles: int = 14
    num_questions: int = 14
    text_weight: float = 0.3
    answer_weight: float = 5.0
    share: bool = False  # whether a row sees the other sequences of its batch
    extra: int = 0  # sequences of strangers, read without gradients; of use only when shared
    max_rows: int = 1536


class ReaderRun(Config):
    """Everything that decides the result."""

    model: LMConfig = LMS["nano"]
    start: str = ""  # a bundled name or a path to go on from; empty: from nothing
    reading: ReadingConfig = ReadingConfig()
    loop: LoopConfig = LoopConfig(
        num_steps=3000, optimizer=OptimizerConfig(lr=3e-3, warmup_steps=100), average_decay=0.995
    )


@dataclass(frozen=True, eq=False)
class ReadingBatches:
    """Draw the batches of a run: step -> TokenBatch, a pure function of seed and step."""

    texts: Texts
    config: ReadingConfig
    seed: int

    def __call__(self, step: int) -> TokenBatch:
        """Return the batch of ``step``."""
        config = self.config
        rows = needle_batch(
            np.random.default_rng([self.seed, step]),
            self.texts,
            batch=config.batch + config.extra,
            num_tokens=config.num_tokens,
            num_needles=config.num_needles,
            num_questions=config.num_questions,
            weights=Weights(text=config.text_weight, answer=config.answer_weight),
        )
        ids = torch.from_numpy(np.stack([row.ids for row in rows]).astype(np.int64))
        weights = torch.from_numpy(np.stack([row.weights for row in rows[: config.batch]]))
        judged, extra = ids[: config.batch], ids[config.batch :]
        return TokenBatch(judged, weights, extra, config.share, config.max_rows)


def open_reading(spec: str, *, report: Callable[[str], None] = print) -> Texts:
    """Open ``generated`` prose or the text files (.txt, .md) of a folder.

    Raises ValueError when it is neither.
    """
    if spec == "generated":
        report(f"makes up prose of {GENERATED_TOKENS:,} tokens")
        return generated_texts(GENERATED_TOKENS)
    folder = Path(spec)
    paths = sorted(p for p in folder.glob("**/*") if p.suffix in (".txt", ".md"))
    if not paths:
        raise ValueError(f"--data {spec!r}: give generated, or a folder with .txt or .md files")
    return open_texts(paths)


def run(
    config: ReaderRun,
    texts: Texts,
    *,
    directory: Path,
    report: Callable[[str], None] = print,
    hook: Hook | None = None,
) -> Path:
    """Train the reader on ``texts`` and return the path of its weights."""
    reading = config.reading
    if reading.extra and not reading.share:
        raise ValueError(f"reading.extra={reading.extra} has no effect without reading.share=true")
    torch.manual_seed(config.loop.seed)
    model = LM(config.model)
    if config.start and (unlike := start_from_weights(model, config.start, kind="reader")):
        report(f"goes on from {config.start}; {unlike}")
    trained = train(
        model,
        next_token_loss,
        batches=ReadingBatches(texts, reading, config.loop.seed),
        config=config.loop,
        directory=directory,
        hook=hook,
        report=report,
    )
    path = directory / "reader.safetensors"
    facts = {"recipe": "reader", "run": config.model_dump(mode="json")}
    save_weights(path, trained, kind="reader", facts=facts_as_text(facts))
    return path
