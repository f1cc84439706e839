"""Captions and transcripts: what a question to each alone gives; long sounds cut where quiet."""

import numpy as np
import pytest
import torch

from cyclorama.data.passages import image_passage, joined_passage, seconds_of, sound_passages
from cyclorama.data.requests import CAPTION_REQUESTS, SAID_REQUEST
from cyclorama.inference import describe, files
from cyclorama.inference.describe import (
    caption_clips,
    caption_file,
    quiet_cut,
    stretches,
    transcribe_file,
    transcribe_samples,
)
from cyclorama.inference.files import Viewing
from cyclorama.inference.messages import answer_all, file_stream
from cyclorama.inference.text import Reader, read_stream
from cyclorama.media.audio import write_wav
from cyclorama.media.image import write_png
from cyclorama.media.video import read_video, write_video
from cyclorama.models.lm import LM, LMS
from cyclorama.shapes import SOUND_RATE_HZ

BOTH = {"reads": ("pictures", "sound"), "stem_hidden": 64, "vocabulary": 8192}


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    model = shaken(LM(LMS["tiny"].model_copy(update=BOTH)))
    with torch.no_grad():
        model.memory_v.weight.mul_(30)  # so that what is seen changes the words
    return Reader(model, "a" * 64)


def film(seed):
    return np.random.default_rng(seed).integers(0, 256, (8, 48, 64, 3), np.uint8)


def test_a_caption_is_the_answer_to_its_request(reader, tmp_path):
    write_video(tmp_path / "film.mp4", film(0), rate_fps=8)
    viewing = Viewing(rate_fps=4.0)
    found = caption_file(
        reader, tmp_path / "film.mp4", style="short", viewing=viewing, max_tokens=5
    )
    stream = file_stream([tmp_path / "film.mp4"], config=reader.lm.config, viewing=viewing)
    reading = read_stream(reader, stream.passages(), num_tokens=stream.num_tokens)
    question = CAPTION_REQUESTS["short"]
    assert [found] == answer_all(reader, reading, questions=[question], max_tokens=5)
    clip = read_video(tmp_path / "film.mp4", rate_fps=4.0)
    same = caption_clips(reader, [(clip.frames, 4.0)], style="short", max_tokens=5)
    assert same == [found]


def test_clips_in_a_pile_are_captioned_each_alone(reader):
    pile = [(film(seed) // (1 + 9 * seed), 2.0) for seed in range(3)]
    together = caption_clips(reader, pile, max_tokens=4)
    assert together == [caption_clips(reader, [clip], max_tokens=4)[0] for clip in pile]
    assert len(set(together)) > 1


def test_what_cannot_be_captioned_is_refused(reader, tmp_path):
    write_wav(tmp_path / "sound.wav", np.zeros(SOUND_RATE_HZ), rate_hz=SOUND_RATE_HZ)
    common = {"viewing": Viewing()}
    with pytest.raises(ValueError, match=r"sound\.wav is neither film nor picture"):
        caption_file(reader, tmp_path / "sound.wav", style="short", **common)
    with pytest.raises(ValueError, match="no style of captions 'long': give short, dense, timed"):
        caption_file(reader, tmp_path / "sound.wav", style="long", **common)
    text = Reader(LM(LMS["tiny"].model_copy(update={"vocabulary": 8192})).eval(), "b" * 64)
    with pytest.raises(ValueError, match="these weights read text and no pictures"):
        caption_clips(text, [(film(0), 1.0)])
    with pytest.raises(ValueError, match=r"sound\.wav is to be heard: these weights read text and"):
        [*transcribe_file(text, tmp_path / "sound.wav")]
    write_png(tmp_path / "picture.png", film(0)[0])
    with pytest.raises(ValueError, match="is a still picture"):
        [*transcribe_file(reader, tmp_path / "picture.png")]


def test_a_stretch_is_cut_where_it_is_quietest():
    samples = np.random.default_rng(0).normal(size=20 * SOUND_RATE_HZ).astype(np.float32)
    samples[int(9.95 * SOUND_RATE_HZ) : int(10.15 * SOUND_RATE_HZ)] = 0
    assert 10.0 <= quiet_cut(samples) / SOUND_RATE_HZ <= 10.1
    [whole] = stretches([samples[: 12 * SOUND_RATE_HZ]])
    np.testing.assert_array_equal(whole, samples[: 12 * SOUND_RATE_HZ])


def test_a_transcript_is_of_stretches_that_together_are_the_sound(reader, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    samples = (generator.normal(size=29 * SOUND_RATE_HZ) * 0.05).astype(np.float32)
    write_wav(tmp_path / "sound.wav", samples, rate_hz=SOUND_RATE_HZ)
    heard = []

    def hear(_, stretch, *, max_tokens):
        heard.append(stretch)
        return f"{len(stretch)} {max_tokens}"

    monkeypatch.setattr(describe, "transcribe_stretch", hear)
    monkeypatch.setattr(files, "SECONDS_AT_ONCE", 10)
    lines = [*transcribe_file(reader, tmp_path / "sound.wav")]
    np.testing.assert_allclose(np.concatenate(heard), samples, atol=1e-3)
    assert max(map(len, heard)) <= 12 * SOUND_RATE_HZ
    starts = np.cumsum([0, *map(len, heard)])[:-1] / SOUND_RATE_HZ
    assert [start for start, _ in lines] == starts.tolist()


def test_words_are_asked_of_the_sound_alone(reader):
    samples = np.random.default_rng(1).normal(size=SOUND_RATE_HZ).astype(np.float32) * 0.1
    passage = joined_passage([*sound_passages([seconds_of(samples)])])
    reading = read_stream(reader, [passage], num_tokens=len(passage.ids))
    wanted = answer_all(reader, reading, questions=[SAID_REQUEST], max_tokens=4)
    assert [transcribe_samples(reader, samples, max_tokens=4)] == wanted


def test_a_picture_is_one_frame(reader, tmp_path):
    picture = film(0)[0]
    write_png(tmp_path / "picture.png", picture)
    found = caption_file(
        reader, tmp_path / "picture.png", style="dense", viewing=Viewing(), max_tokens=4
    )
    passage = image_passage(picture)
    reading = read_stream(reader, [passage], num_tokens=len(passage.ids))
    question = CAPTION_REQUESTS["dense"]
    assert [found] == answer_all(reader, reading, questions=[question], max_tokens=4)
