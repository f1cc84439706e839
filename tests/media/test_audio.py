"""Sound comes out at any rate, at the right instant, and stretches equal the whole."""

import numpy as np
import pytest

from cyclorama.media.audio import probe_audio, read_audio, write_wav
from cyclorama.media.describe import describe_file
from cyclorama.media.errors import (
    CorruptMediaError,
    Limits,
    MediaLimitError,
    MediaRangeError,
    TruncatedMediaError,
)


def tone(rate_hz, duration_s=2.0, hz=440):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * duration_s)) / rate_hz)).astype(
        np.float32
    )


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone.wav"
    write_wav(path, tone(44_100), rate_hz=44_100)
    return path


def test_wav_round_trip(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 5000)).astype(np.float32)
    samples[0, :2] = -1, 1
    write_wav(tmp_path / "a.wav", samples, rate_hz=16_000)
    found = read_audio(tmp_path / "a.wav", is_mono=False)
    assert found.shape == samples.shape and found.dtype == np.float32
    assert np.abs(found - samples).max() <= 1 / 32768
    info = probe_audio(tmp_path / "a.wav")
    assert (info.rate_hz, info.num_channels, info.codec) == (16_000, 2, "pcm_s16le")
    assert info.duration_s == pytest.approx(5000 / 16_000)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 48_000])
def test_resampling(wav, rate_hz):
    found = read_audio(wav, rate_hz=rate_hz)
    assert found.shape == (2 * rate_hz,)  # the resampler's tail is flushed
    middle = slice(rate_hz // 10, -rate_hz // 10)
    assert np.abs(found - tone(rate_hz))[middle].max() < 1e-3


@pytest.mark.parametrize("stretch", [(0.3, 1.0), (0.7391, 0.4), (1.5, 0.5), (1.2, None)])
def test_any_stretch_equals_the_whole(wav, stretch):
    start_s, duration_s = stretch
    whole = read_audio(wav)
    part = read_audio(wav, start_s=start_s, duration_s=duration_s)
    at = round(start_s * 16_000)
    if duration_s is not None:
        assert len(part) == round(duration_s * 16_000)
    assert np.array_equal(part, whole[at : at + len(part)])


def test_mono_weighs_channels_alike_in_every_format(tmp_path):
    left, right = tone(16_000), tone(16_000, hz=700)
    write_wav(tmp_path / "a.wav", np.stack([left, right]), rate_hz=16_000)
    assert np.allclose(read_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-4)
    write_wav(tmp_path / "a.wav", np.stack([left, -left]), rate_hz=16_000)
    assert np.abs(read_audio(tmp_path / "a.wav")).max() < 1e-4


def test_sound_of_a_video(tmp_path, lab):
    path = tmp_path / "a.mp4"
    lab.encode_file(path, lab.moving_frames(20, 32, 32), sound=tone(48_000, 2))
    found = read_audio(path)
    assert abs(len(found) - 32_000) < 3_000
    spectrum = np.abs(np.fft.rfft(found[8_000:24_000]))
    assert abs(int(spectrum.argmax()) - 440) <= 2  # one bin a hertz
    level = float(np.sqrt((found[8_000:24_000] ** 2).mean()))
    assert level == pytest.approx(0.5 / 2**0.5, rel=0.03)
    assert "aac, 48000 Hz, 1 channel" in describe_file(path)


def test_aac_stretches_equal_the_whole(real_video):
    path = real_video("bigbuckbunny.mp4")
    whole = read_audio(path)
    part = read_audio(path, start_s=2.0, duration_s=1.5)
    assert len(part) == 24_000
    assert np.abs(part - whole[32_000:56_000]).max() < 1e-5
    assert read_audio(path, is_mono=False, rate_hz=48_000, duration_s=1).shape == (6, 48_000)


def test_stretches_outside_the_file(wav):
    with pytest.raises(MediaRangeError, match=r"lasts 2\.000 s"):
        read_audio(wav, start_s=1.5, duration_s=1)
    with pytest.raises(MediaRangeError, match="no sound from 3 s"):
        read_audio(wav, start_s=3)


def test_limits(wav):
    with pytest.raises(MediaLimitError, match="max_duration_s"):
        read_audio(wav, limits=Limits(max_duration_s=1))
    assert len(read_audio(wav, duration_s=1, limits=Limits(max_duration_s=1))) == 16_000
    with pytest.raises(MediaLimitError, match="max_duration_s"):
        read_audio(wav, duration_s=1.5, limits=Limits(max_duration_s=1))
    with pytest.raises(MediaLimitError, match="max_size_bytes"):
        read_audio(wav, limits=Limits(max_size_bytes=1000))


@pytest.mark.parametrize("share", [0.2, 0.7, 0.99])
def test_truncated(wav, share):
    data = wav.read_bytes()
    wav.write_bytes(data[: int(share * len(data))])
    with pytest.raises(TruncatedMediaError, match="truncated"):
        read_audio(wav)
    assert "warning truncated" in describe_file(wav)


def test_damaged_flac(tmp_path):
    import av

    path = tmp_path / "a.flac"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono")
        wave = (tone(16_000) * 30_000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.abs(read_audio(path) - tone(16_000) * 30_000 / 32_768).max() < 1e-4
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 200):
        data[at] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(CorruptMediaError):
        read_audio(path)


@pytest.mark.parametrize(
    "arguments", [{"rate_hz": 0}, {"rate_hz": 10**6}, {"start_s": -1}, {"duration_s": 0}]
)
def test_senseless_arguments(wav, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        read_audio(wav, **arguments)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.0, 1.5]), r"largest is 1\.5"),
        (np.array([0.0, np.nan]), "largest is nan"),
        (np.zeros(4, np.int16), "floats"),
        (np.zeros(0), "floats"),
        (np.zeros((100, 2)), "channels"),
    ],
)
def test_what_cannot_be_written(tmp_path, samples, message):
    with pytest.raises(ValueError, match=message):
        write_wav(tmp_path / "a.wav", samples, rate_hz=8_000)
    with pytest.raises(ValueError, match="suffix"):
        write_wav(tmp_path / "a.mp3", np.zeros(4), rate_hz=8_000)
    assert not list(tmp_path.iterdir())
