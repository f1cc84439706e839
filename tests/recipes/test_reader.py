"""The reader's recipe: batches are a function of the step, and a run leaves weights that read."""

import numpy as np
import pytest
import torch

from cyclorama.config import override
from cyclorama.data.needle_words import TRAIN_TEMPLATES
from cyclorama.data.needles import ANSWER, QUESTION
from cyclorama.data.texts import generated_texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.models.lm import LMS
from cyclorama.recipes.reader import (
    STAGES,
    ReaderRun,
    ReadingBatches,
    ReadingConfig,
    open_reading,
    run,
    sequences,
)
from cyclorama.training.loop import LoopConfig
from cyclorama.weights.files import load_weights

READING = ReadingConfig(
    num_steps=2, batch=2, num_tokens=256, num_needles=3, num_questions=2, max_rows=64
)


@pytest.fixture(scope="module")
def texts():
    return generated_texts(20_000)


def test_a_batch_is_a_function_of_seed_and_step(texts):
    batches = ReadingBatches(texts, {"a": READING}, 0)
    one, again, other = batches(3), ReadingBatches(texts, {"a": READING}, 0)(3), batches(4)
    assert torch.equal(one.ids_BL, again.ids_BL)
    assert torch.equal(one.weights_BL, again.weights_BL)
    assert not torch.equal(one.ids_BL, other.ids_BL)
    assert (one.ids_BL == QUESTION).sum() == (one.ids_BL == ANSWER).sum() == 2 * 2
    assert (one.weights_BL > 1).any(dim=1).all()  # every sequence has answers to judge


def test_strangers_are_drawn_with_the_batch_and_never_judged(texts):
    config = READING.model_copy(update={"share": True, "extra": 3})
    batch = ReadingBatches(texts, {"a": config}, 0)(0)
    assert batch.ids_BL.shape == batch.weights_BL.shape == (2, 256)
    assert batch.extra_EL.shape == (3, 256)
    assert batch.crossbatch


def test_stages_leave_room_for_keys_of_several_values(texts):
    assert all(s.num_questions < s.num_needles for name, s in STAGES.items() if name != "a")
    rng, stage = np.random.default_rng(0), STAGES["c"]
    rows = [row for _ in range(4) for row in sequences(rng, texts, stage=stage)]
    asked = [question for row in rows for question in row.asked]
    assert max(len(q.about) for q in asked if q.kind == "multi_value") > 1


def test_a_run_leaves_weights_and_another_goes_on_from_them(texts, tmp_path):
    model = LMS["tiny"].model_copy(update={"vocabulary": 8192})
    config = ReaderRun(model=model, stages={"a": READING}, loop=LoopConfig(num_steps=2))
    said: list[str] = []
    path = run(config, texts, directory=tmp_path / "a", report=said.append)
    weights = load_weights(path, kind="reader")
    assert weights.model.config == model
    assert weights.facts["recipe"] == "reader"
    further = config.model_copy(update={"start": str(path), "loop": LoopConfig(num_steps=1)})
    assert run(further, texts, directory=tmp_path / "b", report=said.append).exists()


def test_stages_follow_each_other_and_the_last_goes_on(texts):
    short = READING.model_copy(update={"num_tokens": 200, "num_needles": 2})
    batches = ReadingBatches(texts, {"b": READING, "a": short}, 0)
    assert [batches(step).ids_BL.shape[1] for step in (0, 1, 2, 3, 4, 900)] == [
        200, 200, 256, 256, 256, 256,
    ]  # fmt: skip
    config = override(ReaderRun(), ["stages.e.extra=56", "stages.a.num_tokens=512"])
    assert (config.stages["e"].extra, config.stages["a"].num_tokens) == (56, 512)


def test_families_are_those_asked_for_and_tasks_take_their_share(texts):
    def said(**settings):
        stage = READING.model_copy(update=settings)
        batch = ReadingBatches(texts, {"a": stage}, 0)(0)
        rows = torch.cat((batch.ids_BL, batch.extra_EL))
        return [load_tokenizer().decode(row.tolist()) for row in rows]

    asks = {t.name: [q.split("{key}")[0] for q in (*t.questions, *t.plurals)]
            for t in TRAIN_TEMPLATES}  # fmt: skip
    for text in said(families=("trade", "birthplace"), absent_share=0.5, batch=4):
        questions = [part.split("<reserved1>")[0] for part in text.split("<reserved0>")[1:]]
        assert questions
        for question in questions:
            wordings = (*asks["trade"], *asks["birthplace"])
            assert any(question.strip().startswith(wording) for wording in wordings)
    assert all("not found" in text for text in said(absent_share=1.0))
    prose = [" was " in text or " the " in text for text in said(task_share=1.0, batch=4)]
    assert sum(prose) < 4
    shared = said(task_share=1.0, batch=4, share=True, extra=2)
    assert len(shared) == 6


def test_settings_and_data_that_cannot_be(texts, tmp_path):
    for changed, message in [
        ({"extra": 4}, r"stages\.a\.extra=4 has no effect without stages\.a\.share=true"),
        ({"families": ("trade", "ghost")}, r"stages\.a\.families: .* has no family ghost: choose"),
        ({"families": ("museum",)}, "has no family museum"),  # held out
    ]:
        config = ReaderRun(stages={"a": READING.model_copy(update=changed)})
        with pytest.raises(ValueError, match=message):
            run(config, texts, directory=tmp_path)
    with pytest.raises(ValueError, match="stages is empty"):
        run(ReaderRun(stages={}), texts, directory=tmp_path)
    with pytest.raises(ValueError, match="give generated, or a folder with"):
        open_reading(str(tmp_path))
