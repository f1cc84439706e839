"""The reader's recipe: batches are a function of the step, and a run leaves weights that read."""

import pytest
import torch

from cyclorama.data.needles import ANSWER, QUESTION
from cyclorama.data.texts import generated_texts
from cyclorama.models.lm import LMS
from cyclorama.recipes.reader import ReaderRun, ReadingBatches, ReadingConfig, open_reading, run
from cyclorama.training.loop import LoopConfig
from cyclorama.weights.files import load_weights

READING = ReadingConfig(batch=2, num_tokens=256, num_needles=3, num_questions=2, max_rows=64)


@pytest.fixture(scope="module")
def texts():
    return generated_texts(20_000)


def test_a_batch_is_a_function_of_seed_and_step(texts):
    batches = ReadingBatches(texts, READING, 0)
    one, again, other = batches(3), ReadingBatches(texts, READING, 0)(3), batches(4)
    assert torch.equal(one.ids_BL, again.ids_BL)
    assert torch.equal(one.weights_BL, again.weights_BL)
    assert not torch.equal(one.ids_BL, other.ids_BL)
    assert (one.ids_BL == QUESTION).sum() == (one.ids_BL == ANSWER).sum() == 2 * 2
    assert (one.weights_BL > 1).any(dim=1).all()  # every sequence has answers to judge


def test_strangers_are_drawn_with_the_batch_and_never_judged(texts):
    config = READING.model_copy(update={"share": True, "extra": 3})
    batch = ReadingBatches(texts, config, 0)(0)
    assert batch.ids_BL.shape == batch.weights_BL.shape == (2, 256)
    assert batch.extra_EL.shape == (3, 256)
    assert batch.crossbatch


def test_a_run_leaves_weights_and_another_goes_on_from_them(texts, tmp_path):
    model = LMS["tiny"].model_copy(update={"vocabulary": 8192})
    config = ReaderRun(model=model, reading=READING, loop=LoopConfig(num_steps=2))
    said: list[str] = []
    path = run(config, texts, directory=tmp_path / "a", report=said.append)
    weights = load_weights(path, kind="reader")
    assert weights.model.config == model
    assert weights.facts["recipe"] == "reader"
    further = config.model_copy(update={"start": str(path), "loop": LoopConfig(num_steps=1)})
    assert run(further, texts, directory=tmp_path / "b", report=said.append).exists()


def test_settings_and_data_that_cannot_be(texts, tmp_path):
    config = ReaderRun(reading=READING.model_copy(update={"extra": 4}))
    with pytest.raises(ValueError, match=r"extra=4 has no effect without reading\.share=true"):
        run(config, texts, directory=tmp_path)
    with pytest.raises(ValueError, match="give generated, or a folder with"):
        open_reading(str(tmp_path))
