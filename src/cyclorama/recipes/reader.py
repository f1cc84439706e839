r"""The reader: ``cyclorama train reader --data BOOKS --out runs/reader``.

Train the decoder-decoder on text with needles in it. ``--data`` is a folder of text files, or
``generated`` for prose that a grammar makes (then nothing but this package is needed). The run is
a curriculum, stage after stage in the order of their names: few families in short sequences; mostly
families that a grammar makes anew for every batch, and tasks that only examples tell; longer
sequences, most families written, at times with other names in the books; and at last (``share``)
every row sees every sequence of its batch and of ``extra`` more, so that a step is a haystack as
long as all of them. A stage is data: ``--set stages.e.extra=56``. How the bundled file came about,
its card says: it had stages like these, in several sittings.

Media come second: a reader that was trained on text goes on with stems added, its own weights
copied, and draws steps of media by shares beside its steps of text (`reader_media`)::

    cyclorama train reader --data BOOKS --out runs/reader
    cyclorama train reader --data BOOKS --out runs/reader-media \
      --set start=runs/reader/reader.safetensors --set 'model.reads=["pictures","sound"]' \
      --set stages.a.num_steps=0 \
      --set 'stages.b.media={"cards":0.2,"clips":0.2,"digits":0.2,"sentences":0.1}' \
      --set 'stages.c.media={"cards":0.04,"clips":0.2,"captions":0.1,"images":0.03,"films":0.1,
      "digits":0.06,"sentences":0.05,"sounds":0.15}'
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field

from cyclorama.config import Config
from cyclorama.data.needles import (
    Plan,
    Sequence,
    Weights,
    dictionary_sequence,
    family_names,
    label_map_sequence,
    needle_batch,
)
from cyclorama.data.texts import Texts, generated_texts, open_texts
from cyclorama.models.lm import LM, LMS, LMConfig
from cyclorama.recipes.reader_media import (
    TEXT,
    MediaConfig,
    Shelves,
    check_media,
    draw_batch,
    draw_kind,
    drawn_kinds,
    open_shelves,
)
from cyclorama.training.loop import Hook, LoopConfig, train
from cyclorama.training.media_tokens import MediaBatch, media_token_loss
from cyclorama.training.next_token import TokenBatch, next_token_loss
from cyclorama.training.optimizer import OptimizerConfig
from cyclorama.weights.files import facts_as_text, save_weights, start_from_weights

GENERATED_TOKENS = 4_000_000


class ReadingConfig(Config):
    """A stage: how batches are drawn, and for how many steps."""

    num_steps: int  # the last stage goes on to the end of the run
    batch: int = 8
    num_tokens: int = 1024
    families: tuple[str, ...] = ()  # of needles; empty: all that training may see
    made_share: float = 0.0  # of the families, made up by a grammar for a batch
    aside_share: float = 0.0  # of a batch's wordings, with an aside in them
    renamed_share: float = 0.0  # of the batches, with other names in their text
    reworded_share: float = 0.0  # of a batch's families, with other words in place of some
    shared_share: float = 0.0  # of keys, ones told of by another line, where one fits
    num_needles: int = 14  # a sequence
    num_questions: int = 11  # fewer than needles: else no key can have several values
    absent_share: float = 0.1  # of the questions, without an answer: about a key that is nowhere
    untold_share: float = 0.0  # of those, about a key of which other things are told
    task_share: float = 0.0  # of the sequences, a label map or a dictionary in place of needles
    text_weight: float = 0.3
    answer_weight: float = 5.0
    share: bool = False  # whether a row sees the other sequences of its batch
    extra: int = 0  # sequences of strangers, read without gradients; of use only when shared
    max_rows: int = 1536
    # Of the steps, by kind (see reader_media.NEEDS); the rest is text.
    media: dict[str, float] = Field(default_factory=dict)


class ReaderRun(Config):
    """Everything that decides the result."""

    model: LMConfig = LMS["nano"]
    start: str = ""  # a bundled name or a path to go on from; empty: from nothing
    stages: dict[str, ReadingConfig] = Field(default_factory=lambda: dict(STAGES))
    media: MediaConfig = MediaConfig()
    loop: LoopConfig = LoopConfig(
        num_steps=4300, optimizer=OptimizerConfig(lr=3e-3, warmup_steps=100), average_decay=0.995
    )


@dataclass(frozen=True, eq=False)
class ReadingBatches:
    """Draw the batches of a run: step -> batch, a pure function of seed, step and shelves."""

    texts: Texts
    stages: dict[str, ReadingConfig]
    seed: int
    shelves: Shelves | None = None  # needed by stages with media

    def stage(self, step: int) -> ReadingConfig:
        """Return the stage that ``step`` belongs to."""
        *earlier, last = (self.stages[name] for name in sorted(self.stages))
        for stage in earlier:
            if step < stage.num_steps:
                return stage
            step -= stage.num_steps
        return last

    def __call__(self, step: int) -> TokenBatch | MediaBatch:
        """Return the batch of ``step``."""
        stage = self.stage(step)
        rng = np.random.default_rng([self.seed, step])
        if stage.media and (kind := draw_kind(rng, stage.media)) != TEXT:
            assert self.shelves is not None  # `run` opens what its stages draw
            return draw_batch(
                rng,
                self.shelves,
                kind=kind,
                batch=stage.batch,
                num_tokens=stage.num_tokens,
                max_rows=stage.max_rows,
                share=stage.share,
                extra=stage.extra,
            )
        rows = sequences(rng, self.texts, stage=stage)
        ids = torch.from_numpy(np.stack([row.ids for row in rows]).astype(np.int64))
        weights = torch.from_numpy(np.stack([row.weights for row in rows[: stage.batch]]))
        judged, extra = ids[: stage.batch], ids[stage.batch :]
        return TokenBatch(judged, weights, extra, stage.share, stage.max_rows)


def sequences(rng: np.random.Generator, texts: Texts, *, stage: ReadingConfig) -> list[Sequence]:
    """Return the batch's sequences and then the strangers; tasks are among the first."""
    weights = Weights(text=stage.text_weight, answer=stage.answer_weight)
    tasks = (label_map_sequence, dictionary_sequence)
    num_tasks = int(rng.binomial(stage.batch, stage.task_share))
    if stage.share:
        num_tasks = min(num_tasks, len(tasks))  # two label maps in one document contradict
    plan = Plan(
        num_tokens=stage.num_tokens,
        num_needles=stage.num_needles,
        num_questions=stage.num_questions,
        families=stage.families,
        absent_share=stage.absent_share,
        untold_share=stage.untold_share,
        made_share=stage.made_share,
        aside_share=stage.aside_share,
        renamed_share=stage.renamed_share,
        reworded_share=stage.reworded_share,
        shared_share=stage.shared_share,
        weights=weights,
    )
    first = int(rng.integers(len(tasks)))
    drawn = [
        tasks[(first + number) % len(tasks)](rng, num_tokens=stage.num_tokens, weights=weights)
        for number in range(num_tasks)
    ]
    num_plain = stage.batch + stage.extra - num_tasks
    return [*drawn, *needle_batch(rng, texts, batch=num_plain, plan=plan)]


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
    """Train the reader on ``texts`` and return the path of its weights.

    Clips and voices that its stages draw are kept beside ``directory``. Raises ValueError for a
    stage that cannot be drawn, before the first step.
    """
    _check_stages(config.stages, config.model.reads)
    kinds = {kind for stage in config.stages.values() for kind in drawn_kinds(stage.media)}
    shelves = open_shelves(config.media, kinds, directory=directory.parent, report=report)
    torch.manual_seed(config.loop.seed)
    model = LM(config.model)
    if config.start and (unlike := start_from_weights(model, config.start, kind="reader")):
        report(f"goes on from {config.start}; {unlike}")
    trained = train(
        model,
        reading_loss,
        batches=ReadingBatches(texts, config.stages, config.loop.seed, shelves),
        config=config.loop,
        directory=directory,
        hook=hook,
        report=report,
    )
    path = directory / "reader.safetensors"
    facts = {"recipe": "reader", "run": config.model_dump(mode="json")}
    save_weights(path, trained, kind="reader", facts=facts_as_text(facts))
    return path


def reading_loss(
    model: LM, batch: TokenBatch | MediaBatch, *, generator: torch.Generator
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of a batch of either sort; what media are asked is told by their kind."""
    if isinstance(batch, TokenBatch):
        return next_token_loss(model, batch, generator=generator)
    loss, metrics = media_token_loss(model, batch, generator=generator)
    told = {"nats": "answer_nats", "right": "answer_right", "letters": "letters_nats"}
    told |= {"names": "names_nats", "shapes": "shape_right", "motions": "motion_right"}
    told |= {"cameras": "camera_right", "events": "event_right"}
    return loss, {f"{batch.kind}_{a}": metrics[b] for a, b in told.items() if b in metrics}


def _check_stages(stages: dict[str, ReadingConfig], reads: tuple[str, ...]) -> None:
    if not stages:
        raise ValueError("a run needs a stage: stages is empty")
    for name, stage in stages.items():
        if stage.extra and not stage.share:
            raise ValueError(
                f"stages.{name}.extra={stage.extra} has no effect without stages.{name}.share=true"
            )
        try:
            family_names("train", stage.families)
        except ValueError as error:
            raise ValueError(f"stages.{name}.families: {error}") from None
        try:
            check_media(stage.media, num_tokens=stage.num_tokens, reads=reads)
        except ValueError as error:
            raise ValueError(f"stages.{name}.media: {error}") from None


LONG: dict[str, Any] = {
    "batch": 4, "num_tokens": 2048, "num_needles": 26, "num_questions": 20,
    "made_share": 0.25, "aside_share": 0.2, "renamed_share": 0.5,
    "reworded_share": 0.4, "shared_share": 0.35, "untold_share": 0.3, "task_share": 0.05,
}  # fmt: skip
STAGES = {
    "a": ReadingConfig(
        num_steps=400,
        batch=16,
        num_tokens=384,
        families=("meaning", "magic_number", "telephone", "access_code"),
        num_needles=6,
        num_questions=6,
        absent_share=0.0,
        text_weight=0.1,
        max_rows=1024,
    ),
    "b": ReadingConfig(num_steps=2000, made_share=0.85, task_share=0.1),
    "c": ReadingConfig(num_steps=1600, **LONG),
    "d": ReadingConfig(num_steps=200, **LONG, share=True, max_rows=512),
    "e": ReadingConfig(num_steps=100, **LONG, share=True, extra=12, max_rows=256),
}
