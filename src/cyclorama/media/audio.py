"""Sound files, and the sound of videos, to arrays and back.

Samples are float32 in [-1, 1] at whatever rate is asked for. In a file that also has pictures,
sample 0 stands at the instant of the first picture, so that sound and `read_video` count the
same seconds; sound that begins later is preceded by silence. FFmpeg's own down-mix keeps full
level for float codecs and halves it for integer ones, so that the same music in AAC and WAV
would differ: mono is made here, by the weights of ITU-R BS.775, summing to one.

Left out: compressed output (AAC in mp4 starts late by its encoder's delay: keep sound as WAV).
"""

import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from cyclorama.media.atomic import write_aside
from cyclorama.media.errors import (
    CorruptMediaError,
    Limits,
    MediaLimitError,
    MediaRangeError,
    PathLike,
    TruncatedMediaError,
    UnreadableMediaError,
    media_errors,
)
from cyclorama.media.probe import (
    container_name,
    declared_duration_s,
    index_past_end,
    open_container,
    seek_before,
    tick_s,
)

DEFAULT_LIMITS = Limits()
# Decoders of overlapping frames (AAC, MP3, Opus) need what came before to be exact.
PREROLL_S = 0.5
# Clocks of containers round by up to 10 ms; a lost frame is longer.
MAX_GAP_S = 0.015
# ITU-R BS.775: front at full, surrounds at half their power; the low-frequency channel is left out.
MONO_WEIGHTS = {"FL": 1.0, "FR": 1.0, "FC": 1.414, "LFE": 0.0, "LFE2": 0.0}
SURROUND_WEIGHT = 0.707


@dataclass(frozen=True)
class AudioInfo:
    """What a file declares about its sound; the tags of the whole file."""

    duration_s: float
    rate_hz: int
    num_channels: int
    codec: str
    container: str
    size_bytes: int
    is_truncated: bool
    tags: dict[str, str]


def probe_audio(path: PathLike, *, limits: Limits = DEFAULT_LIMITS) -> AudioInfo:
    """Return what a file says about its first sound stream; none is `UnreadableMediaError`."""
    with open_container(path, limits=limits) as container, media_errors(path):
        stream = _audio_stream(path, container)
        duration_s = declared_duration_s(container, stream)
        if duration_s is None and container.duration is not None:
            duration_s = container.duration / av.time_base
        return AudioInfo(
            duration_s=duration_s or 0.0,
            rate_hz=stream.rate,
            num_channels=stream.channels,
            codec=stream.codec_context.name,
            container=container_name(path, container),
            size_bytes=Path(path).stat().st_size,
            is_truncated=index_past_end(path, stream) or _wav_cut_short(path),
            tags={**stream.metadata, **container.metadata},
        )


def read_audio(
    path: PathLike,
    *,
    rate_hz: int = 16_000,
    is_mono: bool = True,
    start_s: float = 0.0,
    duration_s: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> np.ndarray:
    """Decode a stretch of sound as float32 (samples,), or (C, samples) with ``is_mono`` False.

    Raises ValueError for arguments that make no sense and the `MediaError` that says what is
    wrong with the file: no sound in it, corrupt, truncated, above ``limits.max_duration_s`` or
    ``limits.max_size_bytes``, or ending before start_s + duration_s.
    """
    if not 1_000 <= rate_hz <= 384_000:
        raise ValueError(f"rate_hz must lie in 1000 to 384000, got {rate_hz}")
    if not 0 <= start_s < float("inf"):
        raise ValueError(f"start_s must be 0 or more, got {start_s}")
    if duration_s is not None and not 0 < duration_s < float("inf"):
        raise ValueError(f"duration_s must be above 0, got {duration_s}")
    if duration_s is not None and duration_s > limits.max_duration_s:
        raise MediaLimitError(
            path,
            f"reading {duration_s:.1f} s is above limits.max_duration_s "
            f"of {limits.max_duration_s:g}: raise the limit",
        )
    wanted_s = limits.max_duration_s if duration_s is None else duration_s
    with open_container(path, limits=limits) as container, media_errors(path):
        stream = _audio_stream(path, container)
        if index_past_end(path, stream) or _wav_cut_short(path):
            raise TruncatedMediaError(path, "is truncated: it declares more sound than it holds")
        declared_s = declared_duration_s(container, stream)
        window = {"start_s": start_s, "stop_s": start_s + wanted_s}
        first_s, samples = _resampled(
            path, container, stream, rate_hz=rate_hz, limits=limits, **window
        )
        end_s = first_s + samples.shape[1] / rate_hz
        if end_s <= start_s:
            raise MediaRangeError(path, f"has no sound from {start_s:g} s on")
        if is_mono:
            samples = _to_mono(samples, [channel.name for channel in stream.layout.channels])
    if duration_s is None and end_s - start_s > limits.max_duration_s + 0.05:
        raise MediaLimitError(
            path,
            f"is longer than limits.max_duration_s of {limits.max_duration_s:g}: give "
            "start_s and duration_s, or raise the limit",
        )
    _check_end(
        path,
        end_s,
        declared_s=declared_s,
        wanted_end_s=None if duration_s is None else start_s + duration_s,
    )
    return _stretch(
        samples,
        round((start_s - first_s) * rate_hz),
        None if duration_s is None else round(duration_s * rate_hz),
    )


def write_wav(path: PathLike, samples: np.ndarray, *, rate_hz: int) -> None:
    """Write float (samples,) or (C, samples) in [-1, 1] as 16-bit WAV, atomically.

    Samples beyond [-1, 1] would be clipped and are a ValueError that names the peak.
    """
    if Path(path).suffix.lower() != ".wav":
        raise ValueError(f"cannot write {Path(path).name}: its suffix must be .wav")
    if (
        not isinstance(samples, np.ndarray)
        or samples.ndim not in (1, 2)
        or samples.size == 0
        or (samples.dtype.kind != "f")
    ):
        shown = f"{samples.dtype} {samples.shape}" if isinstance(samples, np.ndarray) else samples
        raise ValueError(f"samples must be floats of shape (samples,) or (C, samples), got {shown}")
    peak = float(np.abs(samples).max())
    if not peak <= 1.0:
        raise ValueError(f"samples must lie in [-1, 1], the largest is {peak}: divide by it")
    planes = np.atleast_2d(samples)
    if len(planes) > 16:
        raise ValueError(f"{len(planes)} channels in {samples.shape}: expected (C, samples)")
    if not 1 <= rate_hz <= 384_000:
        raise ValueError(f"rate_hz must lie in 1 to 384000, got {rate_hz}")
    data = np.clip(np.round(planes.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    with write_aside(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(len(planes))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.ascontiguousarray(data.T).tobytes())


def _audio_stream(path: PathLike, container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise UnreadableMediaError(path, "holds no sound")
    return container.streams.audio[0]


def _wav_cut_short(path: PathLike) -> bool:
    """Tell whether a WAV's declared length passes the end of the file (FFmpeg does not)."""
    with Path(path).open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    declared_bytes = int.from_bytes(head[4:8], "little")
    # Streams written to a pipe declare the largest or no length: nothing can be said of those.
    return 0 < declared_bytes < 0xFFFF_FF00 and declared_bytes + 8 > Path(path).stat().st_size


def _origin_s(container: InputContainer, stream: AudioStream) -> float:
    """Return the instant of sample 0: the first picture's, without pictures the first sample's."""
    for video in container.streams.video:
        if not video.disposition & Disposition.attached_pic:
            return (video.start_time or 0) * tick_s(video)
    return (stream.start_time or 0) * tick_s(stream)


def _resampled(
    path: PathLike,
    container: InputContainer,
    stream: AudioStream,
    *,
    rate_hz: int,
    start_s: float,
    stop_s: float,
    limits: Limits,
) -> tuple[float, np.ndarray]:
    """Return the instant of the first sample and samples (C, N) that cover the stretch."""
    base_s = _origin_s(container, stream)
    stream.codec_context.thread_count = 1
    if start_s > PREROLL_S:
        target = int((base_s + start_s - PREROLL_S) / tick_s(stream))
        seek_before(container, stream, instant=target)
    resampler = av.AudioResampler("fltp", stream.layout, rate_hz)
    first_s: float | None = None
    planes: list[np.ndarray] = []
    num_samples = 0
    for frame in _decoded(path, container, stream, limits=limits):
        if frame is not None and first_s is None:
            first_s, silence = _on_grid(frame, (frame.time or 0.0) - base_s, rate_hz)
            if silence is not None:
                planes += [out.to_ndarray() for out in resampler.resample(silence)]
                num_samples += sum(plane.shape[1] for plane in planes)
        for out in resampler.resample(frame):
            planes.append(out.to_ndarray())
            num_samples += out.samples
        size_bytes = num_samples * len(stream.layout.channels) * 4
        if size_bytes > limits.max_size_bytes:
            raise MediaLimitError(
                path,
                f"decodes to more than limits.max_size_bytes of {limits.max_size_bytes}: "
                "give start_s and duration_s, a lower rate_hz, or raise the limit",
            )
        # A little beyond the end, so that rounding cannot make the stretch short.
        if first_s is not None and first_s + num_samples / rate_hz > stop_s + 0.1:
            break
    if first_s is None:
        return 0.0, np.zeros((len(stream.layout.channels), 0), np.float32)
    return first_s, np.concatenate(planes, axis=1)


def _on_grid(
    frame: av.AudioFrame, time_s: float, rate_hz: int
) -> tuple[float, av.AudioFrame | None]:
    """Return silence to put before a first frame, and the instant at which it then begins.

    That instant lies on the clocks of both rates, so that a stretch has the very samples that
    the whole file has there.
    """
    step = frame.sample_rate // math.gcd(frame.sample_rate, rate_hz)
    index = round(time_s * frame.sample_rate)
    count = index % step
    if count == 0:
        return index / frame.sample_rate, None
    silence = av.AudioFrame(format=frame.format.name, layout=frame.layout, samples=count)
    silence.sample_rate = frame.sample_rate
    level = b"\x80" if frame.format.name.startswith("u8") else b"\x00"
    for plane in silence.planes:
        plane.update(level * plane.buffer_size)
    return (index - count) / frame.sample_rate, silence


def _decoded(
    path: PathLike, container: InputContainer, stream: AudioStream, *, limits: Limits
) -> Iterator[av.AudioFrame | None]:
    """Yield frames, then the None that flushes the resampler."""
    num_corrupt = 0
    at_s: float | None = None
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                # Decoders leave out what they cannot decode (FLAC without a word): a gap tells.
                begin_s = frame.time if frame.time is not None else at_s or 0.0
                has_gap = at_s is not None and begin_s - at_s > MAX_GAP_S
                num_corrupt += frame.is_corrupt or has_gap
                yield frame
                at_s = begin_s + frame.samples / frame.sample_rate
        except (FFmpegError, ValueError):
            num_corrupt += 1
        if num_corrupt > limits.max_corrupt_frames:
            raise CorruptMediaError(path, f"has damaged or missing sound near {at_s or 0:.2f} s")
    yield None


def _to_mono(samples: np.ndarray, names: list[str]) -> np.ndarray:
    weights = np.array([MONO_WEIGHTS.get(name, SURROUND_WEIGHT) for name in names], np.float32)
    if len(names) == 1 or not weights.any():
        weights = np.ones(len(names), np.float32)
    return (weights / weights.sum()) @ samples


def _check_end(
    path: PathLike, end_s: float, *, declared_s: float | None, wanted_end_s: float | None
) -> None:
    slack_s = 0.1
    if wanted_end_s is not None and end_s >= wanted_end_s - slack_s:
        return
    if declared_s is not None and end_s < declared_s - max(slack_s, 0.02 * declared_s):
        raise TruncatedMediaError(
            path, f"is truncated: it declares {declared_s:.2f} s and ends after {end_s:.2f} s"
        )
    if wanted_end_s is not None:
        raise MediaRangeError(path, f"lasts {end_s:.3f} s: cannot read up to {wanted_end_s:g} s")


def _stretch(samples: np.ndarray, skip: int, count: int | None) -> np.ndarray:
    """Return ``count`` samples after ``skip``; a negative skip or a short end is silence."""
    before = [(0, 0)] * (samples.ndim - 1)
    if skip < 0:
        samples, skip = np.pad(samples, [*before, (-skip, 0)]), 0
    samples = samples[..., skip:]
    if count is not None:
        samples = np.pad(samples, [*before, (0, max(0, count - samples.shape[-1]))])[..., :count]
    return np.ascontiguousarray(samples, np.float32)
