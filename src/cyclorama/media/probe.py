"""What a video file says about itself, and the one way to open one.

Sizes are as displayed, after pixel aspect and rotation. One picture is decoded, since the turn
and the colours' transfer curve are certain only there. The rate is a mean: phones and screen
recorders write frames at uneven instants, and ``is_variable_rate`` says so. Where an index lists
the place of every frame in the file, one that points past the end proves a truncated file
without decoding; FFmpeg itself reports no error for those.

FFmpeg is told to open plain files of known formats only: a playlist named ``x.mp4`` could
otherwise make it read other files of this machine or addresses of the network.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from cyclorama.media.errors import (
    CorruptMediaError,
    Limits,
    MediaLimitError,
    PathLike,
    TruncatedMediaError,
    UnreadableMediaError,
    UnsupportedMediaError,
    check_exists,
    media_errors,
)
from cyclorama.media.geometry import Orientation, orientation_of, shown_size
from cyclorama.media.metadata import metadata_from_text

# Demuxers that read one file and nothing else. Left out are those that open other files (hls,
# dash, concat, image lists) and bare streams without times (h264, hevc).
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ivf,flv,asf,ogg,wav,w64,aiff,flac,mp3,"
    "aac,ac3,eac3,au,caf,amr,mxf,nut,yuv4mpegpipe,dv,rm,wv"
)
EXACT_SEEK = {"mov", "matroska", "avi", "wav", "flac", "ogg"}
# Transfer curves of high dynamic range (ITU-T H.273): perceptual quantizer and hybrid log-gamma.
HDR_CURVES = {16: "PQ (SMPTE 2084)", 18: "HLG (ARIB STD-B67)"}
# How many packets are looked at to tell even from uneven instants when there is no index.
PROBE_PACKETS = 600


@dataclass(frozen=True)
class VideoInfo:
    """What a video file declares; ``width`` and ``height`` are as displayed.

    ``duration_s`` is that of the video stream; ``rate_fps`` the mean; ``num_frames`` the declared
    number (0 when the file does not say; never trust it to size a buffer). ``rotation_degrees``
    is the clockwise turn from coded to displayed. ``metadata`` is what `write_video` was given,
    ``tags`` are the file's own others.
    """

    width: int
    height: int
    duration_s: float
    rate_fps: float
    is_variable_rate: bool
    container: str
    codec: str
    pixel_format: str
    num_frames: int
    has_audio: bool
    rotation_degrees: int
    is_mirrored: bool
    pixel_aspect: Fraction
    is_hdr: bool
    is_interlaced: bool
    is_truncated: bool
    size_bytes: int
    metadata: dict[str, object]
    tags: dict[str, str]


@contextmanager
def open_container(path: PathLike, *, limits: Limits) -> Iterator[InputContainer]:
    """Open one media file of a known format for reading; every failure is a `MediaError`."""
    check_exists(path)
    # Probing decodes a picture: without this bound an 8192x8192 stream costs 150 MB right here.
    options = {
        "max_pixels": str(limits.max_pixels),
        "format_whitelist": FORMATS,
        "protocol_whitelist": "file",
    }
    try:
        container = av.open(
            "file:" + str(Path(path).absolute()), options=options, metadata_errors="replace"
        )
    except (FFmpegError, ValueError, OSError) as error:
        raise UnreadableMediaError(path, _why_not_opened(path)) from error
    with container:
        yield container


def _why_not_opened(path: PathLike) -> str:
    """Say what a file that FFmpeg does not open might be, by its first bytes."""
    with Path(path).open("rb") as file:
        head = file.read(12)
    if head[:4] == b"\x89PNG" or head[:3] == b"\xff\xd8\xff":
        return "is a still picture: read it with read_image"
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        return "is an mp4 without an index: truncated, or its recording was never finished"
    return "is not a media file of a known format, or its beginning is damaged"


def video_stream(path: PathLike, container: InputContainer, *, limits: Limits) -> VideoStream:
    """Return the first moving-picture stream, its decoder bounded by ``limits.max_pixels``."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise UnreadableMediaError(path, f"holds no video, only {', '.join(kinds) or 'nothing'}")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise UnsupportedMediaError(
            path, "is coded in a way that no decoder here knows, or its index is damaged"
        )
    width, height = context.width, context.height
    if width < 1 or height < 1:
        raise UnreadableMediaError(path, "does not say how large its pictures are")
    if width * height > limits.max_pixels:
        raise MediaLimitError(
            path,
            f"has pictures of {width}x{height}, above the limit of {limits.max_pixels} "
            "pixels: raise limits.max_pixels to read it",
        )
    # Codecs round sides up to whole blocks; the bound is on what a lying header could cost.
    bound = max(limits.max_pixels, (width + 64) * (height + 64))
    context.options = {"max_pixels": str(bound)}
    return stream


def frame_orientation(path: PathLike, frame: av.VideoFrame) -> Orientation:
    """Return how a decoded picture is to be turned for display."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    orientation = orientation_of(np.frombuffer(bytes(data), np.int32))
    if orientation is None:
        raise UnsupportedMediaError(
            path,
            f"is to be shown turned by {frame.rotation} degrees, and only multiples of 90 "
            "are handled: re-encode it upright",
        )
    return orientation


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Return width / height of one pixel; absent or absurd values mean square."""
    aspect = stream.sample_aspect_ratio
    return Fraction(aspect) if aspect and Fraction(1, 16) < aspect < 16 else Fraction(1)


def tick_s(stream: Stream) -> float:
    """Return the seconds of one tick of a stream's clock."""
    if stream.time_base is None:
        raise ValueError("a stream without a clock")
    return float(stream.time_base)


def start_instant(stream: VideoStream) -> int:
    """Return the stream's first presentation time in its own time base (mpegts starts late)."""
    return stream.start_time or 0


def declared_duration_s(
    container: InputContainer, stream: VideoStream | AudioStream
) -> float | None:
    """Return the seconds that the file declares for this stream, or None if it says nothing."""
    kind = container.format.name
    if kind in ("mpegts", "mpeg"):
        return None  # these declare nothing; FFmpeg's figure is a guess from the last packets
    if kind == "avi" and isinstance(stream, VideoStream) and stream.average_rate:
        # FFmpeg shortens the duration of a cut AVI to what is left; its header's count stays.
        return float(stream.frames / stream.average_rate) or None
    if stream.duration is not None:
        return stream.duration * tick_s(stream)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska: 00:00:02.125000000
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    # A container's own duration may be that of its sound, so it counts only for a lone stream.
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def seek_before(container: InputContainer, stream: Stream, *, instant: int) -> None:
    """Go to the last key frame at or before ``instant`` (in the stream's ticks), or stay put.

    Formats without an index guess by the byte rate and land late or lie about the time there
    (MPEG-TS, MP3): those are read from the beginning, which is slow and right.
    """
    if container.format.name.split(",")[0] not in EXACT_SEEK:
        return
    container.seek(instant, stream=stream, backward=True)
    first = next((p.pts for p in container.demux(stream) if p.pts is not None), None)
    if first is None or first > instant:
        instant = stream.start_time or 0
    container.seek(instant, stream=stream, backward=True)


def index_past_end(path: PathLike, stream: Stream) -> bool:
    """Tell whether the file's index places a frame beyond the end of the file."""
    size_bytes = Path(path).stat().st_size
    return any(entry.pos + entry.size > size_bytes for entry in stream.index_entries)


def probe_container(path: PathLike, *, limits: Limits) -> VideoInfo:
    """`probe_video` for what FFmpeg reads."""
    with open_container(path, limits=limits) as container, media_errors(path):
        stream = video_stream(path, container, limits=limits)
        stream.codec_context.thread_count = 1
        frame, packet_times_s = _scan(path, container, stream)
        duration_s = declared_duration_s(container, stream)
        orientation = frame_orientation(path, frame)
        aspect = pixel_aspect(stream)
        width, height = shown_size((frame.width, frame.height), aspect, orientation=orientation)
        rate_fps = mean_rate_fps(stream, packet_times_s)
        if duration_s is None and container.duration is not None:
            duration_s = container.duration / av.time_base
        if duration_s is None:
            duration_s = packet_times_s[-1] - packet_times_s[0] + 1 / rate_fps
        tags = {**stream.metadata, **container.metadata}
        metadata = metadata_from_text(tags.get("comment", ""))
        if metadata is not None:
            del tags["comment"]
        return VideoInfo(
            width=width,
            height=height,
            duration_s=duration_s,
            rate_fps=rate_fps,
            is_variable_rate=_is_uneven(packet_times_s, tick_s(stream)),
            container=container_name(path, container),
            codec=stream.codec_context.name,
            pixel_format=frame.format.name,
            num_frames=stream.frames,
            has_audio=bool(container.streams.audio),
            rotation_degrees=orientation.rotation_degrees,
            is_mirrored=orientation.is_mirrored,
            pixel_aspect=aspect,
            is_hdr=frame.color_trc in HDR_CURVES,
            is_interlaced=frame.interlaced_frame,
            is_truncated=index_past_end(path, stream),
            size_bytes=Path(path).stat().st_size,
            metadata=metadata or {},
            tags=tags,
        )


def mean_rate_fps(stream: VideoStream, packet_times_s: list[float]) -> float:
    """Return the mean rate the file states, else that of the packets, else one a second."""
    if stream.average_rate:
        return float(stream.average_rate)
    if len(packet_times_s) > 1 and packet_times_s[-1] > packet_times_s[0]:
        return (len(packet_times_s) - 1) / (packet_times_s[-1] - packet_times_s[0])
    return 1.0


def container_name(path: PathLike, container: InputContainer) -> str:
    """Return the format's name: of its family the one that the file's suffix names, or the first.

    FFmpeg has one reader for mov, mp4, m4a and calls it by all their names.
    """
    names = container.format.name.split(",")
    suffix = Path(path).suffix.lower().removeprefix(".")
    return suffix if suffix in names else names[0]


def _scan(
    path: PathLike, container: InputContainer, stream: VideoStream
) -> tuple[av.VideoFrame, list[float]]:
    """Return the first picture and sorted presentation times.

    The times are of the first packets, or of all when no duration is declared: browsers record
    WebM without one, and only the packets know it. One pass, since not every format can go back.
    """
    is_whole = stream.duration is None and container.duration is None
    frame: av.VideoFrame | None = None
    times: list[int] = []
    for packet in container.demux(stream):
        if packet.pts is not None:
            times.append(packet.pts)
        if frame is None:
            with suppress(FFmpegError, ValueError):
                frame = next(iter(packet.decode()), None)
        if frame is not None and len(times) >= PROBE_PACKETS and not is_whole:
            break
    if frame is None and index_past_end(path, stream):
        raise TruncatedMediaError(path, "is truncated before its first picture ends")
    if frame is None:
        raise CorruptMediaError(path, "holds no picture that can be decoded")
    times.sort()
    # Reordered frames make the last few incomplete: a gap there is no unevenness.
    kept = times if len(times) < PROBE_PACKETS else times[:-16]
    return frame, [time * tick_s(stream) for time in kept]


def _is_uneven(times_s: list[float], clock_s: float) -> bool:
    steps = np.diff(times_s)
    if len(steps) < 2:
        return False
    # Time bases round 1/30 s to whole ticks, so steps of an even file differ by a tick or two.
    return bool(steps.max() - steps.min() > max(2.5 * clock_s, 0.1 * float(np.median(steps))))
