"""The examination in seeing and hearing at tiny size: hidden things are where they are asked."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclorama.data.media_rows import card
from cyclorama.data.passages import LEAD_SAMPLES
from cyclorama.evaluation import hidden, media
from cyclorama.evaluation.bench import ReaderTests, duration_name, parse_duration
from cyclorama.evaluation.hidden import held_up, with_words
from cyclorama.evaluation.media import read_recordings
from cyclorama.evaluation.reader import evaluate_reader
from cyclorama.media.audio import write_wav
from cyclorama.media.video import write_video
from cyclorama.models.lm import LM, LMS
from cyclorama.shapes import SOUND_RATE_HZ
from cyclorama.weights.files import save_weights

BOTH = {"reads": ("pictures", "sound"), "stem_hidden": 64, "vocabulary": 8192}
DATA = Path(
    os.environ.get("CYCLORAMA_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "reader.safetensors"
    save_weights(path, LM(LMS["tiny"].model_copy(update=BOTH)), kind="reader", facts={})
    return str(path)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("cyclorama.evaluation.reader.GENERATED_TOKENS", 2_000)
    monkeypatch.setattr("cyclorama.evaluation.needle.MAX_ANSWER_TOKENS", 2)
    monkeypatch.setattr(hidden, "NUM_FOOTAGE", 2)
    monkeypatch.setattr(media, "CAPTION_TOKENS", 4)
    monkeypatch.setattr(media, "TRANSCRIPT_TOKENS", 4)


def examine(weights, out, **settings):
    """Return record and trials of an examination."""
    config = ReaderTests(num_haystacks=2, **settings)
    path = evaluate_reader(out, config, weights=weights, report=lambda line: None)
    return json.loads(path.read_text()), json.loads((out / "trials.json").read_text())


def test_cards_in_a_film_of_the_users_and_the_same_for_the_same_seed(weights, tmp_path):
    frames = np.random.default_rng(0).integers(0, 99, (9, 48, 80, 3), np.uint8)
    write_video(tmp_path / "film.mp4", frames, rate_fps=1.0)
    settings = {"tests": ("video",), "durations_s": (40,), "num_trials": 6, "seed": 1}
    settings["haystack"] = tmp_path / "film.mp4"
    record, trials = examine(weights, tmp_path / "a", **settings)
    assert record["needle_video_40s"] == record["colour_video_40s"] == record["when_video_40s"] == 0
    assert record["false_positive_video_40s"] == 1.0
    assert record["needle_video_40s_asked"] == 6
    assert (tmp_path / "a" / "picture_video.png").exists()
    assert record["prefill_video_40s_s"] > 0
    assert record["haystack"] == "film.mp4"
    rows = trials["video"]
    assert {row["haystack"] for row in rows} == {0, 1}
    needles = [row for row in rows if row["kind"] == "needle"]
    assert len({row["depth"] for row in needles}) == 6
    shown = {row["question"] for row in needles if row["haystack"] == 0}
    absent = {row["question"] for row in rows if row["kind"] == "absent" and row["haystack"] == 0}
    assert len(shown) == len(absent) == 3
    assert not shown & absent
    assert examine(weights, tmp_path / "b", **settings)[1] == trials
    assert examine(weights, tmp_path / "c", **{**settings, "seed": 2})[1] != trials


def test_words_in_a_sound_of_the_users(weights, tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra speech")
    wave = 0.1 * np.sin(np.arange(12 * SOUND_RATE_HZ) / 20)
    write_wav(tmp_path / "hum.wav", wave, rate_hz=SOUND_RATE_HZ)
    record, trials = examine(
        weights,
        tmp_path / "a",
        tests=("audio",),
        durations_s=(60,),
        num_trials=4,
        haystack=tmp_path / "hum.wav",
    )
    assert record["needle_audio_1min"] == 0.0
    assert record["needle_audio_1min_asked"] == record["when_audio_1min_asked"] == 4
    assert all(row["question"].endswith(("0?", "5?", "said?")) for row in trials["audio"])


def test_in_clips_of_the_engine_and_in_noise(weights, tmp_path):
    pytest.importorskip("mujoco", reason="needs the extra worlds")
    pytest.importorskip("espeakng_loader", reason="needs the extra speech")
    record, trials = examine(
        weights,
        tmp_path,
        tests=("video", "audio", "captions", "speech"),
        durations_s=(30,),
        num_trials=6,
    )
    assert record["needle_video_30s_asked"] == record["needle_audio_30s_asked"] == 6
    assert (record["caption_event_f1"], record["caption_tolerance_s"]) == (0.0, 0.25)
    assert len(trials["captions"]) == 1
    for kind in ("digits", "sentences"):
        assert record[f"wer_synthetic_{kind}"] >= 0.5  # random words, at most four
        assert record[f"wer_synthetic_{kind}_words"] >= 1


def test_questions_are_counted_by_kind_and_the_mean_is_over_kinds(weights, tmp_path, monkeypatch):
    pytest.importorskip("mujoco", reason="needs the extra worlds")

    def knowing(_, reading, *, questions):
        return ["rubber" if "made of" in q else "2" if "How many" in q else "" for q in questions]

    monkeypatch.setattr(media, "ask", knowing)
    record, trials = examine(weights, tmp_path, tests=("questions",), num_trials=40)
    rows = trials["questions"]
    kinds = {row["kind"] for row in rows}
    assert len(rows) == 40 == sum(record[f"question_{kind}_asked"] for kind in kinds)
    assert record["question_material"] == record["question_material_chance"] == 1.0
    counts = [row["answer"] for row in rows if row["kind"] == "count"]
    share = counts.count("2") / len(counts)
    assert record["question_count"] == share
    others = [kind for kind in kinds if record[f"question_{kind}_chance"] < 1]
    assert "material" not in others
    assert record["questions"] == pytest.approx(share / len(others))
    assert 0 < record["questions_chance"] < 1


def test_a_card_takes_the_place_of_its_frame_and_no_other():
    footage = np.random.default_rng(0).integers(0, 99, (7, 64, 64, 3), np.uint8)
    cards = {2: card("1234", "red"), 8: card("77", "blue")}
    chunks = [footage[:3], footage[3:], footage[:3], footage[3:]]
    film = np.concatenate([*held_up(chunks, cards, num_frames=9)])
    assert len(film) == 9
    wanted = np.concatenate([footage, footage])[:9]
    for place, picture in cards.items():
        wanted[place] = picture
    np.testing.assert_array_equal(film, wanted)
    [wide] = held_up([footage[:1].repeat(2, axis=2)], {0: cards[2]}, num_frames=1)
    np.testing.assert_array_equal(wide[0, :, 32:96], cards[2])
    assert (wide[0, :, :32] == 255).all()
    assert (wide[0, :, 96:] == 255).all()


@pytest.mark.parametrize("gives_way", [False, True])
def test_words_stand_at_their_second(gives_way):
    hum = np.full(20 * SOUND_RATE_HZ, 0.25, np.float32)
    words = {5: np.full(30_000, 0.5, np.float32), 25: np.full(80_000, 0.5, np.float32)}
    parts = [*with_words([hum, hum], words, num_seconds=33, gives_way=gives_way)]
    sound = np.concatenate([part[:, LEAD_SAMPLES:].reshape(-1) for part in parts])
    beneath = 0.0 if gives_way else 0.25
    wanted = np.full(33 * SOUND_RATE_HZ, 0.25, np.float32)
    for place, word in words.items():
        start = place * SOUND_RATE_HZ
        wanted[start : start + 80_000] = beneath
        wanted[start : start + len(word)] += 0.5
    np.testing.assert_array_equal(sound, wanted)
    np.testing.assert_array_equal(parts[1][0, :LEAD_SAMPLES], hum[:LEAD_SAMPLES])


def test_recordings_of_people(weights, tmp_path):
    for speaker in ("ann", "bob"):
        for digit in (3, 8):
            pitch = np.sin(np.arange(4000) / digit) / 2
            write_wav(tmp_path / f"{digit}_{speaker}_0.wav", pitch, rate_hz=8000)
    found = [*read_recordings(tmp_path, np.random.default_rng(0), num=6)]
    assert [one.speaker for one in found] == ["ann", "bob"] * 3
    for one in found:
        words = one.text.split()
        assert set(words) <= {"three", "eight"}
        assert 1 <= len(words) <= 7
        seconds = len(one.samples) / SOUND_RATE_HZ  # half a second each, and pauses of 0.2 s
        assert seconds == pytest.approx(0.5 * len(words) + 0.2 * (len(words) + 1), abs=0.05)
    write_wav(tmp_path / "a.wav", np.zeros(8000), rate_hz=8000)
    (tmp_path / "transcripts.csv").write_text("a|It is 1.|it is one\n")
    [one] = read_recordings(tmp_path, np.random.default_rng(0), num=6)
    assert (one.text, len(one.samples)) == ("it is one", SOUND_RATE_HZ)
    for text, fault in (
        ("a|it is\nb\n", r"transcripts\.csv, line 2: 'b': write NAME\|words"),
        ("\n\n", r"transcripts\.csv is empty: write a line"),
    ):
        (tmp_path / "transcripts.csv").write_text(text)
        with pytest.raises(ValueError, match=fault):
            next(read_recordings(tmp_path, np.random.default_rng(0), num=6))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"give a folder with transcripts\.csv and its recordings"):
        [*read_recordings(tmp_path / "empty", np.random.default_rng(0), num=1)]


@pytest.mark.skipif(
    not (DATA / "speech").is_dir(), reason="real speech is absent: set CYCLORAMA_TEST_DATA"
)
def test_real_recordings_are_marked_by_speaker(weights, tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra speech")
    settings = {"tests": ("speech",), "num_trials": 20}
    digits, _ = examine(weights, tmp_path / "a", speech=DATA / "speech" / "digits", **settings)
    speakers = [key for key in digits if key.startswith("wer_real_") and key != "wer_real_words"]
    assert len(speakers) == 4
    assert digits["speech"] == "digits"
    read, trials = examine(weights, tmp_path / "b", speech=DATA / "speech" / "ljspeech", **settings)
    assert read["wer_real_words"] > 20
    assert any("arts and crafts" in row["answer"] for row in trials["speech"])


def test_durations_have_names_and_what_is_of_no_use_is_refused(weights, tmp_path):
    for text, seconds in (("3h", 10_800), ("90min", 5_400), ("75s", 75), ("10h", 36_000)):
        assert parse_duration(text) == seconds
        assert duration_name(seconds) == text
    assert [parse_duration(text) for text in ("64k", "0h", "h", "3", "1.5h")] == [None] * 5
    (tmp_path / "book.txt").write_text("A book. " * 100)
    write_wav(tmp_path / "hum.wav", np.full(90_000, 0.1), rate_hz=SOUND_RATE_HZ)
    config = ReaderTests(tests=("video",), durations_s=(30,), num_trials=2, num_haystacks=2)
    for changed, message in [
        ({"haystack": tmp_path / "book.txt"}, r"book\.txt is text, in which video hide nothing"),
        ({"haystack": tmp_path / "hum.wav"}, r"hum\.wav holds sound, no film"),
        ({"haystack": tmp_path / "hum.wav", "tests": ("needle",)}, "needle would hide facts in it"),
        ({"speech": tmp_path}, "has no effect without --tests speech"),
        ({"num_trials": 60}, "30 things fill half of 30 places to hide them"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluate_reader(tmp_path, replace(config, **changed), weights=weights)
