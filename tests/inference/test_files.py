"""Films, pictures and sounds in a stream: any cut = whole, counted before, refused rightly."""

import wave

import numpy as np
import pytest
import torch

from cyclorama.data.passages import MEDIUM, joined_passage
from cyclorama.inference import files
from cyclorama.inference.files import Viewing, media_items
from cyclorama.inference.messages import Message, answer_all, file_stream, talk_stream
from cyclorama.inference.text import Reader, read_stream
from cyclorama.media.audio import write_wav
from cyclorama.media.errors import MediaLimitError
from cyclorama.media.image import write_png
from cyclorama.media.video import write_video
from cyclorama.models.lm import LM, LMS
from cyclorama.shapes import SOUND_RATE_HZ

BOTH = {"reads": ("pictures", "sound"), "stem_hidden": 64, "vocabulary": 8192}
CONFIG = LMS["tiny"].model_copy(update=BOTH)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Write a film of five seconds at 8 fps, a picture, a sound of 2.5 s, and a text."""
    root = tmp_path_factory.mktemp("desk")
    draw = np.random.default_rng(0)
    frames = draw.integers(0, 256, (40, 48, 64, 3), np.uint8) // 4
    frames[:, :, :, 0] += (np.arange(40, dtype=np.uint8) * 4)[:, None, None]
    write_video(root / "film.mp4", frames, rate_fps=8)
    write_png(root / "picture.png", draw.integers(0, 256, (30, 50, 3), np.uint8))
    samples = draw.normal(size=SOUND_RATE_HZ * 5 // 2) * 0.05
    write_wav(root / "sound.wav", samples, rate_hz=SOUND_RATE_HZ)
    (root / "text.txt").write_text("A film, a picture and a sound.\n")
    return root


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(CONFIG)), "a" * 64)


def whole(item):
    passage = joined_passage([*item.passages()])
    assert len(passage.ids) == item.num_tokens  # as was announced
    return passage


def test_a_film_is_read_at_the_rate_asked_for_and_says_so(place):
    (item,) = media_items(place / "film.mp4", config=CONFIG, viewing=Viewing(rate_fps=2.0))
    assert item.echo == f"film.mp4: 10 frames at 2 fps and 64x48, {item.num_tokens} tokens"
    passage = whole(item)
    assert [medium.shape for medium in passage.media] == [(10, 48, 64, 3)]
    means = passage.media[0][..., 0].mean(axis=(1, 2))
    steps = np.diff(means)  # each frame is half a second, four frames of the film, after the last
    assert (abs(steps - 16) < 4).all()


@pytest.mark.parametrize("rate_fps", [1.0, 3.0, 8.0])
def test_a_film_in_any_chunks_is_the_whole(place, rate_fps, monkeypatch):
    viewing = Viewing(rate_fps=rate_fps)
    (item,) = media_items(place / "film.mp4", config=CONFIG, viewing=viewing)
    one = whole(item)
    assert len(one.media) == 1
    monkeypatch.setattr(files, "FRAMES_AT_ONCE", 3)
    parts = whole(item)
    assert len(parts.media) > 1
    np.testing.assert_array_equal(parts.ids, one.ids)
    np.testing.assert_array_equal(np.concatenate(parts.media), one.media[0])


def test_a_sound_in_any_chunks_is_the_whole(place, monkeypatch):
    (item,) = media_items(place / "sound.wav", config=CONFIG, viewing=Viewing())
    assert item.echo == f"sound.wav: 3 seconds of sound, {item.num_tokens} tokens"
    one = whole(item)
    monkeypatch.setattr(files, "SECONDS_AT_ONCE", 1)
    parts = whole(item)
    assert [len(medium) for medium in parts.media] == [1, 1, 1]
    np.testing.assert_array_equal(parts.ids, one.ids)
    np.testing.assert_allclose(np.concatenate(parts.media), one.media[0], atol=2e-4)


@pytest.mark.parametrize("piece", [7, 40])
def test_reading_in_pieces_is_reading_at_once(place, reader, piece):
    paths = [place / name for name in ("text.txt", "film.mp4", "sound.wav", "picture.png")]
    stream = file_stream(paths, config=CONFIG)
    assert sorted(stream.counts()) == ["film", "picture", "sound", "text"]
    at_once = read_stream(reader, stream.passages(), num_tokens=stream.num_tokens)
    pieces = read_stream(reader, stream.passages(), num_tokens=stream.num_tokens, piece=piece)
    np.testing.assert_array_equal(pieces.ids, at_once.ids)
    assert (at_once.ids == MEDIUM).sum() == 5 * 12 + 3 * 25 + 15
    for one, other in (
        (pieces.memory.k_SK, at_once.memory.k_SK),
        (pieces.memory.v_SK, at_once.memory.v_SK),
    ):
        torch.testing.assert_close(one.float(), other.float(), rtol=0.02, atol=0.02)  # bfloat16


def test_a_stream_goes_on_with_media(place, reader):
    stream = file_stream([place / "film.mp4", place / "picture.png"], config=CONFIG)
    passages = [*stream.passages()]
    at_once = read_stream(reader, passages, num_tokens=stream.num_tokens)
    for cut in range(1, len(passages)):
        counts = [sum(len(p.ids) for p in part) for part in (passages[:cut], passages[cut:])]
        first = read_stream(reader, passages[:cut], num_tokens=counts[0])
        both = read_stream(reader, passages[cut:], num_tokens=counts[1], after=first)
        np.testing.assert_array_equal(both.ids, at_once.ids)
        a, b = (r.memory.k_SK.float() for r in (both, at_once))
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)


def test_what_is_seen_changes_what_is_remembered(place, reader):
    plain = file_stream([place / "picture.png"], config=CONFIG)
    write_png(place / "other.png", np.full((30, 50, 3), 200, np.uint8))
    other = file_stream([place / "other.png"], config=CONFIG)
    assert plain.content != other.content
    one, two = (read_stream(reader, s.passages(), num_tokens=s.num_tokens) for s in (plain, other))
    np.testing.assert_array_equal(one.ids, two.ids)
    assert (one.memory.k_SK - two.memory.k_SK).abs().max() > 0.1


def test_content_knows_the_bytes_and_how_they_are_decoded(place):
    def content(name, **viewing):
        return file_stream([place / name], config=CONFIG, viewing=Viewing(**viewing)).content

    assert content("film.mp4") == content("film.mp4")
    assert content("film.mp4") != content("film.mp4", rate_fps=2.0)
    assert content("film.mp4") != content("sound.wav")


def test_a_stream_of_another_length_than_announced_is_refused(place, reader):
    stream = file_stream([place / "picture.png"], config=CONFIG)
    with pytest.raises(ValueError, match="ended after 17 tokens, 18 were announced"):
        read_stream(reader, stream.passages(), num_tokens=18)


@pytest.mark.parametrize(
    ("name", "reads", "message"),
    [
        ("film.mp4", (), r"film\.mp4 is a film: these weights read text and no pictures: pass"),
        ("picture.png", ("sound",), "is a picture: these weights read text and sound and no"),
        ("sound.wav", ("pictures",), "is a sound: these weights read text and pictures and no"),
    ],
)
def test_weights_refuse_what_they_do_not_read(place, name, reads, message):
    config = CONFIG.model_copy(update={"reads": reads})
    with pytest.raises(ValueError, match=message):
        file_stream([place / name], config=config)


def test_in_a_folder_what_weights_do_not_read_is_left_out_and_counted(place):
    text = file_stream([place], config=CONFIG.model_copy(update={"reads": ()}))
    assert (len(text.names), text.num_skipped) == (1, len([*place.iterdir()]) - 1)
    both = file_stream([place], config=CONFIG)
    assert both.num_skipped == 0
    assert sorted(both.counts()) == ["film", "picture", "sound", "text"]


@pytest.mark.parametrize(
    ("viewing", "message"),
    [
        ({"max_frames": 4}, "has 5 frames at 1 fps, above the limit of 4: give a lower rate"),
        ({"max_duration_s": 3.0}, "above the limit of 3"),
    ],
)
def test_what_is_too_long_is_refused(place, viewing, message):
    with pytest.raises(MediaLimitError, match=message):
        media_items(place / "film.mp4", config=CONFIG, viewing=Viewing(**viewing))
    with pytest.raises(ValueError, match="rate_fps must be in"):
        Viewing(rate_fps=0)


def test_a_sound_cut_short_is_refused(place, tmp_path):
    path = tmp_path / "cut.wav"
    data = (place / "sound.wav").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with wave.open(str(place / "sound.wav")) as file:
        assert file.getnframes() == SOUND_RATE_HZ * 5 // 2
    (item,) = media_items(path, config=CONFIG, viewing=Viewing())
    with pytest.raises(ValueError, match="truncated"):
        [*item.passages()]


def test_a_talk_about_a_picture_is_answered(place, reader):
    turns = [
        Message("user", (place / "picture.png", "What is it?")),
        Message("assistant", ("Noise.",)),
        Message("user", ("And this:", place / "film.mp4", "What moves?")),
    ]
    stream, question = talk_stream(turns, config=CONFIG)
    assert stream.names == ("picture.png", "film.mp4")
    reading = read_stream(reader, stream.passages(), num_tokens=stream.num_tokens)
    (answer,) = answer_all(reader, reading, questions=[question], max_tokens=4)
    assert isinstance(answer, str)
    with pytest.raises(ValueError, match="an assistant's message holds a file"):
        talk_stream(
            [turns[0], Message("assistant", (place / "picture.png",)), turns[2]], config=CONFIG
        )
