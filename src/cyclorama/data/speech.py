"""Synthetic voices: words to sound at training time, spoiled as recordings are.

Picture a hundred actors behind a curtain: each line is read by one drawn at random, in its own
tempo and pitch, and then played in a room, through a bad line, with a fan running. The actors are
eSpeak NG's voices (a formant synthesiser, some of them after Klatt 1980), made in this process a
thousand times faster than they speak; nothing is downloaded. Every sixth voice is kept for tests.
Needs the extra ``speech`` (decision 0008). Leaves out anything that sounds like a person: whether
what is learned carries over to real voices must be measured on real ones.
"""

import ctypes
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cyclorama.shapes import SOUND_RATE_HZ

LANGUAGES = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-029")
TEST_EVERY = 6
_UNLIKE_SPEECH = ("whisper", "Demonic", "UniRobot", "robosoft", "anikaRobot", "croak", "fast")
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_SYNCHRONOUS, _CHARACTERS, _UTF8 = 2, 1, 1
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Voice:
    """One actor: language, timbre (a variant of eSpeak's), words a minute, pitch and its range."""

    language: str
    timbre: str
    rate_wpm: int = 170
    pitch: int = 50
    pitch_range: int = 50


class _Synthesiser:
    """eSpeak NG in this process: one voice at a time, since its state is the library's own."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise ImportError("voices need eSpeak NG: pip install 'cyclorama[speech]'") from error
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        self.timbres = tuple(
            path.name
            for path in sorted((data / "voices" / "!v").iterdir())
            if not path.name.startswith(_UNLIKE_SPEECH)
        )
        self.rate_hz = self.library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0)
        if self.rate_hz <= 0:
            raise ValueError(f"eSpeak NG cannot open its data in {data}: install the extra again")
        self.heard: list[np.ndarray] = []
        self.callback = _CALLBACK(self._hear)
        self.library.espeak_SetSynthCallback(self.callback)
        self.lock = threading.Lock()

    def _hear(self, samples: "ctypes._Pointer[ctypes.c_short]", num: int, _: object) -> int:
        if samples and num > 0:
            self.heard.append(np.ctypeslib.as_array(samples, (num,)).copy())
        return 0

    def speak(self, text: str, voice: Voice) -> np.ndarray:
        name, data = f"{voice.language}+{voice.timbre}", text.encode()
        settings = {_RATE: voice.rate_wpm, _PITCH: voice.pitch, _RANGE: voice.pitch_range}
        with self.lock:
            if self.library.espeak_SetVoiceByName(name.encode()):
                raise ValueError(f"no voice {name!r}: take one that draw_voice gives")
            for parameter, value in {**settings, _VOLUME: 80}.items():
                self.library.espeak_SetParameter(parameter, value, 0)
            self.heard = []
            self.library.espeak_Synth(data, len(data) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
            self.library.espeak_Synchronize()
            heard, self.heard = self.heard, []
        return np.concatenate(heard).astype(np.float32) / 32768


@lru_cache(maxsize=1)
def _synthesiser() -> _Synthesiser:
    return _Synthesiser()


def timbres(split: str) -> tuple[str, ...]:
    """Return the names of the timbres of ``train`` or ``test``; none is in both."""
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test, got {split!r}")
    names = _synthesiser().timbres
    return tuple(n for i, n in enumerate(names) if (i % TEST_EVERY == 0) == (split == "test"))


def draw_voice(rng: np.random.Generator, *, split: str = "train") -> Voice:
    """Return a random voice with a timbre of the split."""
    names = timbres(split)
    return Voice(
        LANGUAGES[rng.integers(len(LANGUAGES))],
        names[rng.integers(len(names))],
        rate_wpm=int(rng.integers(120, 221)),
        pitch=int(rng.integers(20, 81)),
        pitch_range=int(rng.integers(20, 81)),
    )


def speak(text: str, voice: Voice) -> np.ndarray:
    """Return ``text`` spoken: mono float32 (N,) at 16 kHz in [-1, 1].

    Equal words and voices give equal lengths and the same sound to an ear, but not equal bits: the
    synthesiser's waves go on in phase from one utterance to the next, and nothing resets them.
    Raises ImportError without the extra, ValueError for a voice that is not there or no words.
    """
    if not any(letter.isalnum() for letter in text):
        raise ValueError(f"nothing can be said of {text!r}: give words")
    synthesiser = _synthesiser()
    samples = synthesiser.speak(text, voice)
    return resampled(samples, round(len(samples) * SOUND_RATE_HZ / synthesiser.rate_hz))


def resampled(samples: np.ndarray, num: int) -> np.ndarray:
    """Return ``num`` samples of the same sound, by cutting or padding its spectrum."""
    spectrum = np.fft.rfft(samples)[: num // 2 + 1]
    return (np.fft.irfft(spectrum, num) * (num / len(samples))).astype(np.float32)


def spoil(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return speech as a recording has it: another tempo, room, line, noise and level.

    Tempo by 0.85 to 1.15 (pitch goes along); a room's echo of up to 0.3 s in one of three; the
    line of a telephone (below 3.4 to 4 kHz) in one of four; noise between white and brown, 5 to
    45 dB below; a peak of 0.05 to 0.9.
    """
    samples = resampled(samples, round(len(samples) / rng.uniform(0.85, 1.15)))
    num = len(samples)
    if rng.random() < 1 / 3:
        length = int(rng.uniform(0.05, 0.3) * SOUND_RATE_HZ)
        echo = rng.normal(size=length) * np.exp(-5 * np.arange(length) / length)
        echo[0] = 6 * rng.uniform(0.5, 2)
        size = num + length
        wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(echo, size), size)
        samples = wet[:num]
    if rng.random() < 1 / 4:
        spectrum = np.fft.rfft(samples)
        spectrum[int(rng.uniform(3400, 4000) / SOUND_RATE_HZ * num) :] = 0
        samples = np.fft.irfft(spectrum, num)
    colour = np.fft.rfft(rng.normal(size=num))
    colour /= np.maximum(np.arange(len(colour)), 20) ** rng.uniform(0, 1)
    noise = np.fft.irfft(colour, num)
    level_db = rng.uniform(5, 45)
    samples = samples + noise * samples.std() / noise.std() * 10 ** (-level_db / 20)
    return (samples * rng.uniform(0.05, 0.9) / np.abs(samples).max()).astype(np.float32)
