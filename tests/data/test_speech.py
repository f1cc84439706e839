"""Voices: audible, different, repeatable, split; spoiled sound is still that sound."""

import sys

import numpy as np
import pytest

from cyclorama.data import speech
from cyclorama.data.speech import Voice, draw_voice, resampled, speak, spoil, timbres
from cyclorama.shapes import SOUND_RATE_HZ

TEXT = "seven three one nine"


@pytest.fixture(scope="module", autouse=True)
def voices():
    return pytest.importorskip("espeakng_loader", reason="needs the extra speech")


def test_a_voice_speaks_for_as_long_as_words_take():
    slow, fast = (speak(TEXT, Voice("en-us", "f3", rate_wpm=wpm)) for wpm in (120, 220))
    assert slow.dtype == np.float32
    assert 0.1 < np.abs(slow).max() <= 1
    assert 1.2 < len(slow) / len(fast) < 2.5
    assert 0.8 < len(fast) / SOUND_RATE_HZ < 3


def envelope(samples, num):
    """Return loudness of each 25 ms of a sound stretched to ``num`` samples."""
    loud = np.abs(resampled(samples, num))
    return loud[: num // 400 * 400].reshape(-1, 400).mean(1)


def alike(one, other):
    return np.corrcoef(envelope(one, len(one)), envelope(other, len(one)))[0, 1]


def test_the_same_words_by_the_same_voice_sound_the_same_and_other_words_do_not():
    one = speak(TEXT, Voice("en", "m2"))
    other = speak("something else", Voice("en-us", "f1", pitch=80))
    again = speak(TEXT, Voice("en", "m2"))
    assert len(one) == len(again)
    assert alike(one, again) > 0.95
    assert alike(one, other) < 0.8


def test_voices_of_tests_are_in_no_training():
    train, test = set(timbres("train")), set(timbres("test"))
    assert not train & test
    assert len(test) >= 10
    assert len(train) >= 4 * len(test)
    for split in ("train", "test"):
        rng = np.random.default_rng(0)
        for _ in range(20):
            voice = draw_voice(rng, split=split)
            assert voice.timbre in timbres(split)
            assert len(speak("one", voice)) > 1000
    with pytest.raises(ValueError, match="split must be train or test"):
        timbres("val")


def test_resampling_keeps_a_tone():
    at = np.arange(22050) / 22050
    tone = np.sin(2 * np.pi * 440 * at).astype(np.float32)
    wanted = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(resampled(tone, 16000), wanted, atol=1e-3)


def test_spoiled_speech_has_level_and_tempo_in_bounds_and_still_its_sound():
    clean = speak(TEXT, Voice("en-us", "m1"))
    for seed in range(12):
        found = spoil(clean, np.random.default_rng(seed))
        assert found.dtype == np.float32
        assert 0.04 < np.abs(found).max() <= 0.9 + 1e-6
        assert 0.8 < len(found) / len(clean) < 1.2
        assert alike(clean, found) > 0.5


def test_what_cannot_be_said_is_an_error():
    with pytest.raises(ValueError, match=r"no voice 'xx\+f1'"):
        speak(TEXT, Voice("xx", "f1"))
    with pytest.raises(ValueError, match="nothing can be said of ''"):
        speak("", Voice("en-us", "f1"))


def test_the_absent_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match=r"cyclorama\[speech\]"):
        speech._Synthesiser()
