"""The door to video files: `probe_video` asks, `read_video` decodes, `write_video` encodes.

A clip is sampled like a film strip beside a clock: at every tick of the wanted rate the picture
that is on display at that instant is taken, whatever its number in the file. So uneven frame
rates, edit lists and streams that start late come out right. Rotation and pixel aspect are
applied, pictures are scaled while they are decoded, and what cannot be decoded whole is an
error that names the file and the reason (see `errors`), never a short or gray clip. Animated
WebP and GIF are read like any other video.

Left out: sound (see `audio`), deinterlacing (woven fields stay woven; `VideoInfo` tells), tone
mapping of HDR, sequences of picture files.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from cyclorama.media.animation import (
    animation_format,
    animation_pictures,
    open_animation,
    probe_animation,
)
from cyclorama.media.decode import Picture, decode_pictures
from cyclorama.media.encode import write_video
from cyclorama.media.errors import (
    CorruptMediaError,
    Limits,
    MediaLimitError,
    MediaRangeError,
    PathLike,
    check_exists,
    media_errors,
)
from cyclorama.media.geometry import FITS, Fit
from cyclorama.media.probe import (
    VideoInfo,
    declared_duration_s,
    open_container,
    probe_container,
    tick_s,
    video_stream,
)

__all__ = ["Clip", "Fit", "Limits", "VideoInfo", "probe_video", "read_video", "write_video"]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Clip:
    """Decoded video: uint8 frames (T, H, W, 3), their mean rate, and the instant of each.

    ``times_s`` float64 (T,) counts from the file's first instant. Read at a given rate it is
    evenly spaced; else it is each frame's own time of presentation.
    """

    frames: np.ndarray
    rate_fps: float
    times_s: np.ndarray


def probe_video(path: PathLike, *, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
    """Return what a video file (or animated WebP or GIF) says about itself.

    Decodes one picture. Raises a `MediaError` when the file cannot be opened or holds no video.
    """
    check_exists(path)
    if animation_format(path):
        return probe_animation(path, limits=limits)
    return probe_container(path, limits=limits)


def read_video(
    path: PathLike,
    *,
    size: tuple[int, int] | None = None,
    fit: Fit = "cover",
    rate_fps: float | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    num_threads: int = 1,
) -> Clip:
    """Decode a stretch of a video as displayed.

    ``size`` is (width, height); ``fit`` says how pictures of another shape fill it: ``cover``
    crops, ``contain`` adds black, ``stretch`` distorts. With ``rate_fps`` the clip has the
    pictures on display at start_s + k / rate_fps; without, every picture of the file whose time
    lies in the stretch. ``duration_s`` None reads to the end; 17 frames at 8 fps are 17 / 8 s.
    ``num_threads`` decodes frames in parallel, 0 as many as there are cores; one is right in
    data loaders.

    Raises ValueError for arguments that make no sense, and the `MediaError` that says what is
    wrong with the file: unreadable, corrupt, truncated, HDR, above the limits, or ending before
    start_s + duration_s.
    """
    _check_arguments(
        size,
        fit,
        rate_fps,
        start_s=start_s,
        duration_s=duration_s,
        num_threads=num_threads,
        limits=limits,
    )
    check_exists(path)
    end_s = None if duration_s is None else start_s + duration_s
    source = _open_pictures(
        path,
        size=size,
        fit=fit,
        start_s=start_s,
        end_s=end_s,
        limits=limits,
        num_threads=num_threads,
    )
    with source as (pictures, tick_s), media_errors(path):
        ending = _until_end(path, pictures, start_s=start_s, end_s=end_s)
        chosen = select_pictures(
            ending, start_s=start_s, end_s=end_s, rate_fps=rate_fps, tick_s=tick_s
        )
        return _collect(path, chosen, rate_fps=rate_fps, start_s=start_s, limits=limits)


def _check_arguments(
    size: tuple[int, int] | None,
    fit: str,
    rate_fps: float | None,
    *,
    start_s: float,
    duration_s: float | None,
    num_threads: int,
    limits: Limits,
) -> None:
    if fit not in FITS:
        raise ValueError(f"fit must be one of {', '.join(FITS)}, got {fit!r}")
    if size is not None and min(size) < 1:
        raise ValueError(f"size must be a positive (width, height), got {size}")
    if size is not None and size[0] * size[1] > limits.max_pixels:
        raise ValueError(f"size {size} is above limits.max_pixels of {limits.max_pixels}")
    if rate_fps is not None and not 0 < rate_fps <= 1000:
        raise ValueError(f"rate_fps must be above 0 and at most 1000, got {rate_fps}")
    if not 0 <= start_s < float("inf"):
        raise ValueError(f"start_s must be 0 or more, got {start_s}")
    if duration_s is not None and not 0 < duration_s < float("inf"):
        raise ValueError(f"duration_s must be above 0, got {duration_s}")
    if num_threads < 0:
        raise ValueError(f"num_threads must be 0 (all cores) or more, got {num_threads}")


@contextmanager
def _open_pictures(
    path: PathLike,
    *,
    size: tuple[int, int] | None,
    fit: Fit,
    start_s: float,
    end_s: float | None,
    limits: Limits,
    num_threads: int,
) -> Iterator[tuple[Iterator[Picture], float]]:
    """Yield the pictures of a file of any kind and the finest step of its clock in seconds."""
    if animation_format(path):
        with open_animation(path, limits=limits) as image:
            yield animation_pictures(path, image, size=size, fit=fit, limits=limits), 0.01
        return
    with open_container(path, limits=limits) as container, media_errors(path):
        stream = video_stream(path, container, limits=limits)
        stream.codec_context.thread_count = num_threads
        stream.codec_context.thread_type = "AUTO"
        declared_s = declared_duration_s(container, stream)
        if declared_s is not None:
            _check_range(
                path,
                declared_s,
                start_s=start_s,
                end_s=end_s,
                slack_s=1.5 / float(stream.average_rate or 10),
                limits=limits,
            )
        pictures = decode_pictures(
            path, container, stream=stream, size=size, fit=fit, start_s=start_s, limits=limits
        )
        yield pictures, tick_s(stream)


def _check_range(
    path: PathLike,
    length_s: float,
    *,
    start_s: float,
    end_s: float | None,
    slack_s: float,
    limits: Limits,
) -> None:
    if start_s >= length_s:
        raise MediaRangeError(path, f"lasts {length_s:.3f} s: nothing begins at {start_s:g} s")
    if end_s is not None and end_s > length_s + slack_s:
        raise MediaRangeError(
            path,
            f"lasts {length_s:.3f} s: cannot read {start_s:g} s to {end_s:g} s; ask for at "
            f"most duration_s={length_s - start_s:.3f} from there",
        )
    wanted_s = (end_s if end_s is not None else length_s) - start_s
    if wanted_s > limits.max_duration_s * (1 + 1e-9):
        raise MediaLimitError(
            path,
            f"reading {wanted_s:.1f} s is above limits.max_duration_s of "
            f"{limits.max_duration_s:g}: give start_s and duration_s, or raise the limit",
        )


def _until_end(
    path: PathLike, pictures: Iterator[Picture], *, start_s: float, end_s: float | None
) -> Iterator[Picture]:
    """Pass pictures on; a file that turns out to end before ``end_s`` is a `MediaRangeError`."""
    last: Picture | None = None
    for picture in pictures:
        yield picture
        last = picture
    if last is None:
        raise CorruptMediaError(path, "holds no picture that can be decoded")
    last_end_s = last.time_s + last.duration_s
    if end_s is not None and last_end_s + 1.5 * last.duration_s < end_s:
        raise MediaRangeError(
            path, f"ends at {last_end_s:.3f} s: cannot read {start_s:g} s to {end_s:g} s"
        )


def select_pictures(
    pictures: Iterator[Picture],
    *,
    start_s: float,
    end_s: float | None,
    rate_fps: float | None,
    tick_s: float,
) -> Iterator[tuple[float, Picture]]:
    """Yield (instant, picture on display then): at each tick of a rate, or each picture once.

    Containers round times to their clock's ticks (WebM: 1 ms), so a picture counts as shown at an
    instant up to one tick before its own; a quarter of a frame at most, for coarse clocks.
    """
    end = float("inf") if end_s is None else end_s
    if rate_fps is None:
        slack_s = 1e-6
        for picture in pictures:
            if picture.time_s >= end - slack_s:
                return
            if picture.time_s >= start_s - slack_s:
                yield picture.time_s, picture
        return
    count = 0
    shown: Picture | None = None
    for picture in pictures:
        slack_s = min(tick_s, 0.25 / rate_fps, 0.25 * picture.duration_s) + 1e-6
        while start_s + count / rate_fps < min(picture.time_s - slack_s, end - 1e-6):
            # A stream whose first picture comes late shows that one from the beginning.
            yield start_s + count / rate_fps, shown or picture
            count += 1
        shown = picture
        if start_s + count / rate_fps >= end - 1e-6:
            return
    if shown is not None:
        end = min(end, shown.time_s + shown.duration_s)
        while start_s + count / rate_fps < end - 1e-6:
            yield start_s + count / rate_fps, shown
            count += 1


def _collect(
    path: PathLike,
    chosen: Iterator[tuple[float, Picture]],
    *,
    rate_fps: float | None,
    start_s: float,
    limits: Limits,
) -> Clip:
    images: deque[np.ndarray] = deque()
    times_s: list[float] = []
    last: Picture | None = None
    for time_s, picture in chosen:
        images.append(images[-1] if picture is last else picture.render())
        times_s.append(time_s)
        last = picture
        if time_s - start_s > limits.max_duration_s:
            raise MediaLimitError(
                path,
                f"is longer than limits.max_duration_s of {limits.max_duration_s:g}: give "
                "start_s and duration_s, or raise the limit",
            )
        if len(images) > limits.max_frames or len(images) * images[0].nbytes > (
            limits.max_size_bytes
        ):
            raise MediaLimitError(
                path,
                f"gives more than limits allow ({limits.max_frames} frames, "
                f"{limits.max_size_bytes} bytes decoded): give a duration_s, a lower rate_fps or "
                "a smaller size, or raise the limit",
            )
    if last is None:
        raise MediaRangeError(path, f"no picture begins between {start_s:g} s and the wanted end")
    frames = np.empty((len(images), *images[0].shape), np.uint8)
    for index in range(len(frames)):  # emptied as it goes: one clip in memory, not two
        frames[index] = images.popleft()
    times = np.array(times_s)
    if rate_fps is None:
        span_s = last.time_s + last.duration_s - times_s[0]
        rate_fps = len(times_s) / span_s if span_s > 0 else 1 / last.duration_s
    return Clip(frames, float(rate_fps), times)
