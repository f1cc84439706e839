"""What is foreseen along a stream is the plain forward's, and what asking would write."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cyclorama.inference import foresight
from cyclorama.inference.foresight import foresee
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS
from cyclorama.nn import cache

IDS = np.random.default_rng(0).integers(0, 512, size=90)


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(LMS["tiny"]).double()).eval(), "none")


@pytest.fixture(autouse=True)
def exact_shelf(monkeypatch):
    """Let a memory be kept in float64 too, and in small chunks."""
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)
    monkeypatch.setattr(foresight, "ROWS", 4)
    monkeypatch.setattr(cache.Memory.chunks, "__defaults__", (torch.bfloat16, 16))


@pytest.mark.parametrize("piece", [7, 1000])
@pytest.mark.parametrize("hindsight", [0, 9])
def test_foreseen_is_the_plain_forward(reader, shaken, hindsight, piece):
    if hindsight:
        torch.manual_seed(0)
        config = LMS["tiny"].model_copy(update={"hindsight": hindsight})
        reader = Reader(shaken(LM(config).double()).eval(), "none")
    places = np.array([1, 2, 20, 21, 21, 60, 89])
    nats, likeliest = foresee(reader, IDS, places=places, memory_dtype="float64", piece=piece)
    with torch.no_grad():
        logits = reader.lm(torch.from_numpy(IDS)[None])[0].float()
    wanted = F.cross_entropy(logits[places - 1], torch.from_numpy(IDS[places]), reduction="none")
    np.testing.assert_allclose(nats, wanted.numpy(), rtol=1e-4)
    assert likeliest.tolist() == logits[places - 1].argmax(dim=-1).tolist()


def test_an_answer_that_asking_would_write_is_foreseen_token_by_token(reader):
    prompt = [5, 9, 300, 7]
    reading = read_tokens(reader, IDS, memory_dtype="float64")
    [answer] = continue_all(reader, reading, prompts=[prompt], max_tokens=6)
    stream = np.array([*IDS, *prompt, *answer])
    places = np.arange(len(stream) - 6, len(stream))
    _, likeliest = foresee(reader, stream, places=places, memory_dtype="float64")
    assert likeliest.tolist() == answer


def test_places_that_cannot_be(reader):
    for places in ([0], [90], [5, 4], []):
        with pytest.raises(ValueError, match=r"must ascend in \[1, 90\)"):
            foresee(reader, IDS, places=places)
