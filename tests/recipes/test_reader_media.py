"""Stages with media: shares of kinds, rows without padding, films that share, errors with names."""

import re

import numpy as np
import pytest
import torch

from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.passages import stamp
from cyclorama.data.sample import Sample
from cyclorama.data.spoken import Utterances
from cyclorama.data.texts import generated_texts
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.models.lm import LM, LMS
from cyclorama.recipes.reader import ReaderRun, ReadingBatches, ReadingConfig, reading_loss, run
from cyclorama.recipes.reader_media import (
    NEEDS,
    MediaConfig,
    Shelves,
    draw_batch,
    draw_kind,
    open_shelves,
)
from cyclorama.training.loop import LoopConfig
from cyclorama.training.media_tokens import EVEN_TOKENS, MediaBatch
from cyclorama.training.next_token import TokenBatch
from cyclorama.weights.files import load_weights

READING = ReadingConfig(
    num_steps=2, batch=1, num_tokens=512, num_needles=3, num_questions=2, max_rows=64
)
BOTH = {"reads": ("pictures", "sound"), "stem_hidden": 64, "vocabulary": 8192}
TINY = LMS["tiny"].model_copy(update=BOTH)


class Filmed:
    """Clips of noise with questions of their own, without an engine."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        frames = np.random.default_rng(index).integers(0, 99, (17, 64, 64, 3), np.uint8)
        question = {"kind": "count", "text": "How many?", "answer": str(index), "choices": ["1"]}
        captions = {"short": "noise", "dense": "Noise.", "timed": "<0.0s> noise."}
        still = {"questions": [question], "caption": "There is noise."}
        truth = {
            "questions": [question],
            "still": still,
            "ids": [1],
            "objects": [{"shape": "ball", "colour": "red"}],
            "motion": ["still"],
            "direction": [""],
            "camera": "orbit left",
            "events": [{"time_s": 0.3, "kind": "lands", "ids": [1]}],
        }
        ids = np.zeros((17, 64, 64), np.uint8)
        ids[:, 10:30, 10:30] = 1
        return Sample(f"noise-{index}", frames, 8.0, captions, truth=truth, weight_map=ids)


def tones(seconds):
    """Return utterances of so many seconds."""
    lengths = np.array(seconds) * 16_000
    texts = tuple(f"tone {'abcdefgh'[number]}" for number in range(len(seconds)))
    wave = (np.sin(np.arange(lengths.sum()) / 7) * 9000).astype(np.int16)
    return Utterances(texts, np.cumsum([0, *lengths]), wave)


@pytest.fixture(scope="module")
def shelves():
    return Shelves(Filmed(), tones([1, 2, 3, 4, 5, 6, 1, 2]), tones([3, 8]))


@pytest.fixture(scope="module")
def texts():
    return generated_texts(20_000)


@pytest.mark.parametrize("kind", list(NEEDS))
def test_a_batch_of_each_kind_trains(kind, shelves):
    rng = np.random.default_rng(0)
    batch = draw_batch(rng, shelves, kind=kind, batch=2, num_tokens=768)
    ids, asked = batch.tokens.ids_BL, batch.tokens.asked
    weights = batch.tokens.weights_BL if asked is None else asked.weights_QL
    assert (weights > 0).any(dim=1).all()
    assert (weights[:, -EVEN_TOKENS:] > 0).any()  # nobody reads much padding that all rows have
    assert (asked is not None) == (kind in ("clips", "captions", "images"))
    assert (ids < 0).sum() == batch.num_places
    assert len(batch.tokens.extra_EL) == 0
    assert not batch.tokens.crossbatch
    torch.manual_seed(0)
    model = LM(TINY)
    loss, metrics = reading_loss(model, batch, generator=torch.Generator().manual_seed(0))
    more = dict.fromkeys(("clips", "captions"), ("names", "shapes", "motions", "cameras", "events"))
    more["images"] = ("names", "shapes")
    told = more.get(kind, ("letters",) if NEEDS[kind] == "sound" else ())
    assert set(metrics) == {f"{kind}_{what}" for what in ("nats", "right", *told)}
    assert metrics[f"{kind}_nats"] == pytest.approx(np.log(8192), abs=1)
    loss.backward()
    stem = model.frames if NEEDS[kind] == "pictures" else model.sounds
    assert next(stem.parameters()).grad.norm() > 0


def test_kinds_are_drawn_by_their_shares_and_text_is_the_rest():
    rng = np.random.default_rng(0)
    shares = {"films": 0.5, "digits": 0.2, "clips": 0.0}
    drawn = [draw_kind(rng, shares) for _ in range(2000)]
    assert set(drawn) == {"films", "digits", "text"}
    assert drawn.count("films") / 2000 == pytest.approx(0.5, abs=0.04)
    assert drawn.count("text") / 2000 == pytest.approx(0.3, abs=0.04)


def test_a_step_is_a_function_of_its_number_and_steps_of_text_are_as_ever(texts, shelves):
    mixed = READING.model_copy(update={"media": {"films": 0.4, "digits": 0.3}})
    one = ReadingBatches(texts, {"a": mixed}, 0, shelves)
    sorts = [type(one(step)) for step in range(12)]
    assert {MediaBatch, TokenBatch} == set(sorts)
    step = sorts.index(MediaBatch)
    again = ReadingBatches(texts, {"a": mixed}, 0, shelves)(step)
    assert torch.equal(one(step).tokens.ids_BL, again.tokens.ids_BL)
    plain = ReadingBatches(texts, {"a": READING}, 0)(3)
    none = ReadingBatches(texts, {"a": READING.model_copy(update={"media": {}})}, 0, shelves)(3)
    assert torch.equal(plain.ids_BL, none.ids_BL)


def test_films_that_share_are_stretches_of_one_film(shelves):
    rng = np.random.default_rng(0)
    settings = {"kind": "films", "batch": 12, "num_tokens": 512}
    batch = draw_batch(rng, shelves, share=True, **settings)
    assert batch.tokens.crossbatch
    spoken = [load_tokenizer().decode(row[row >= 0].tolist()) for row in batch.tokens.ids_BL]
    shown: dict[str, str] = {}
    starts = []
    for text in spoken:
        starts.append(text.split("fps ")[1][:8])
        for part in text.split("What number is shown at ")[1:]:
            answer = part.split("<reserved1>")[1].split("<eos>")[0].strip()
            assert part[:8] not in shown
            shown[part[:8]] = answer
        for part in text.split("When is the number ")[1:]:
            shown[part.split("<reserved1>")[1].split("<eos>")[0].strip()] = part[:4]
    numbers = [answer for answer in shown.values() if answer != ABSENT]
    assert len(numbers) == 24
    assert len(set(numbers)) == len(numbers)
    assert len(set(starts)) == 12
    seconds = sorted(sum(int(n) * 60**i for i, n in enumerate(s.split(":")[::-1])) for s in starts)
    assert min(np.diff(seconds)) >= 13  # seconds of a stretch
    assert stamp(seconds[0]) in starts


def test_sounds_that_share_are_stretches_of_one_sound(shelves):
    batch = draw_batch(
        np.random.default_rng(0), shelves, kind="sounds", batch=2, num_tokens=768, share=True
    )
    assert batch.tokens.crossbatch
    said: dict[str, str] = {}
    for row, words in zip(batch.tokens.ids_BL, batch.said, strict=True):
        text = load_tokenizer().decode(row[row >= 0].tolist())
        for part in text.split("What is said at ")[1:]:
            answer = part.split("<reserved1>")[1].split("<eos>")[0].strip()
            assert part[:8] not in said
            assert answer == ABSENT or answer in words
            assert part[:8] in text.split("<reserved0>")[0] or answer == ABSENT
            said[part[:8]] = answer
        for part in text.split("When is ")[1:]:
            tone, answer = part.split("<eos>")[0].split(" said?<reserved1> ")
            said[answer] = tone
    told = [answer for answer in said.values() if answer != ABSENT]
    assert len(set(told)) == len(told) >= 4


def test_text_first_and_media_second(texts, shelves, tmp_path, monkeypatch):
    monkeypatch.setattr("cyclorama.recipes.reader.open_shelves", lambda *args, **kwargs: shelves)
    words = TINY.model_copy(update={"reads": ()})
    first = ReaderRun(model=words, stages={"a": READING}, loop=LoopConfig(num_steps=1))
    path = run(first, texts, directory=tmp_path / "a", report=lambda line: None)
    mixed = READING.model_copy(update={"media": {"films": 0.5, "digits": 0.5}})
    said: list[str] = []
    second = ReaderRun(
        model=TINY, start=str(path), stages={"a": mixed}, loop=LoopConfig(num_steps=3)
    )
    done = run(second, texts, directory=tmp_path / "b", report=said.append)
    assert load_weights(done, kind="reader").model.config.reads == ("pictures", "sound")
    assert any("new to the model: frames." in line and "sounds." in line for line in said)


def test_shelves_are_made_beside_the_run(tmp_path):
    pytest.importorskip("mujoco", reason="needs the extra worlds")
    pytest.importorskip("espeakng_loader", reason="needs the extra speech")
    config = MediaConfig(clips={"stage": 1, "trio": 1}, num_utterances=2, num_workers=0)
    said: list[str] = []
    made = open_shelves(config, {"films", "sounds"}, directory=tmp_path, report=said.append)
    assert len(made.clips) == len(made.digits) == 2
    assert made.sentences is None
    assert made.clips[1].truth["questions"]
    assert made.clips[1].source == "worlds/trio/train"
    assert said == ["made 1/1 clips of stage", "made 1/1 clips of trio", "made 2/2 digits"]
    assert open_shelves(config, set(), directory=tmp_path, report=said.append).clips is None


def test_shares_that_cannot_be_drawn_are_refused(texts, tmp_path):
    for changed, message in [
        ({"media": {"opera": 0.1}}, r"stages\.a\.media: no kind opera: there are cards, clips"),
        ({"media": {"films": 0.7, "digits": 0.4}}, "at most 1 together"),
        ({"media": {"films": -0.1}}, "must be 0 or more"),
        ({"media": {"films": 0.1}, "num_tokens": 200}, "films need num_tokens of at least 256"),
    ]:
        config = ReaderRun(model=TINY, stages={"a": READING.model_copy(update=changed)})
        with pytest.raises(ValueError, match=message):
            run(config, texts, directory=tmp_path)
    mixed = READING.model_copy(update={"media": {"digits": 0.1}})
    config = ReaderRun(model=TINY.model_copy(update={"reads": ("pictures",)}), stages={"a": mixed})
    with pytest.raises(
        ValueError, match=r"digits need a model that reads sound: --set 'model.reads=\[\"pictures\""
    ):
        run(config, texts, directory=tmp_path)


@pytest.mark.parametrize("kind", ["clips", "images"])
def test_every_square_of_clips_and_pictures_is_named(kind, shelves):
    batch = draw_batch(np.random.default_rng(3), shelves, kind=kind, batch=2, num_tokens=768)
    squares = [int((row < 0).sum()) for row in batch.tokens.ids_BL]
    assert [len(names) for names in batch.names] == squares
    named = torch.cat(batch.names)
    assert set(named[:, 0].tolist()) <= {0, 1, -100}  # nothing, a ball, too little of it
    assert (named[:, 0] == 1).any()


def test_strangers_share_what_is_theirs_alone(shelves):
    rng = np.random.default_rng(0)
    settings = {"batch": 3, "num_tokens": 512, "share": True, "extra": 2}
    films = draw_batch(rng, shelves, kind="films", **settings)
    assert (len(films.tokens.ids_BL), len(films.tokens.extra_EL)) == (3, 2)
    assert films.num_own == 3 and len(films.media) == 5
    both = torch.cat((films.tokens.ids_BL, films.tokens.extra_EL))
    texts = [load_tokenizer().decode(row[row >= 0].tolist()) for row in both]
    starts = [text.split("fps ")[1][:8] for text in texts]
    assert len(set(starts)) == 5
    numbers = re.findall(
        r"the number (\d{4}) |number is shown at \S+<reserved1> (\d{4})", "".join(texts)
    )
    told = [one or other for one, other in numbers]
    assert len(set(told)) == len(told) >= 5
    assert not len(draw_batch(rng, shelves, kind="clips", **settings).tokens.extra_EL)
