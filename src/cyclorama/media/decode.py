"""Coded video to pictures with their instants, in the order of presentation.

Times count from the stream's first instant. Each `Picture` is converted to RGB only when it is
rendered, since a clip sampled at 8 fps from a file at 60 throws most of them away. Damage is
found by three signs, because FFmpeg itself hides it: frames that the decoder flags as corrupt,
packets that it refuses, and an end before the declared duration.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from cyclorama.media.errors import (
    CorruptMediaError,
    Limits,
    MediaLimitError,
    PathLike,
    TruncatedMediaError,
    UnsupportedMediaError,
)
from cyclorama.media.geometry import Fit, Plan, plan_geometry
from cyclorama.media.probe import (
    HDR_CURVES,
    declared_duration_s,
    frame_orientation,
    index_past_end,
    pixel_aspect,
    seek_before,
    start_instant,
    tick_s,
)

# Without the flag swscale computes colours for every second column of what it returns, also where
# the file holds them all: footage shrunk to 128x72 is then 37 dB from Pillow's box filter.
SHRINK = Interpolation.AREA | Interpolation.FULL_CHR_H_INT
GROW = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Picture:
    """One picture of a video: on display from ``time_s`` for ``duration_s``."""

    time_s: float
    duration_s: float
    render: Callable[[], np.ndarray]


def decode_pictures(
    path: PathLike,
    container: InputContainer,
    *,
    stream: VideoStream,
    size: tuple[int, int] | None,
    fit: Fit,
    start_s: float,
    limits: Limits,
) -> Iterator[Picture]:
    """Yield pictures from the one on display at ``start_s`` to the end of the file.

    Raises `UnsupportedMediaError` for HDR, `CorruptMediaError` as soon as more than
    ``limits.max_corrupt_frames`` are damaged, `TruncatedMediaError` at an end that comes early.
    """
    if index_past_end(path, stream):
        raise TruncatedMediaError(
            path, "is truncated: its index lists frames beyond the end of the file"
        )
    check_not_hdr(path, stream.codec_context.color_trc)
    clock_s = tick_s(stream)
    interval_s = 1 / float(stream.average_rate or stream.guessed_rate or 25)
    renderer = Renderer(path, stream, size=size, fit=fit, limits=limits)
    end_s = 0.0
    num_corrupt = 0
    previous_s: float | None = None
    for frame in _decoded(path, container, stream, start_s=start_s):
        if frame is None:
            num_corrupt += 1
            _check_corrupt(path, num_corrupt, limits, at_s=end_s)
            continue
        pts = frame.pts if frame.pts is not None else frame.dts
        time_s = (pts - start_instant(stream)) * clock_s if pts is not None else end_s
        duration_s = frame.duration * clock_s if frame.duration else interval_s
        goes_back = previous_s is not None and time_s < previous_s - 1.5 * duration_s
        if previous_s is not None and not goes_back and time_s <= previous_s:
            # MPEG program streams time only some pictures, and neighbours may get equal times.
            time_s = end_s
        # Before the start, pictures whose references lie before the seek are damaged rightly.
        if (frame.is_corrupt or goes_back) and time_s + duration_s > start_s:
            num_corrupt += 1
            _check_corrupt(path, num_corrupt, limits, at_s=time_s)
        if goes_back:
            continue
        previous_s, end_s = time_s, time_s + duration_s
        yield Picture(time_s, duration_s, lambda frame=frame: renderer.render(frame))
    declared_s = declared_duration_s(container, stream)
    if declared_s is not None and end_s < declared_s - max(2 * interval_s, 0.02 * declared_s, 0.05):
        raise TruncatedMediaError(
            path, f"is truncated: it declares {declared_s:.2f} s and ends after {end_s:.2f} s"
        )


def _decoded(
    path: PathLike, container: InputContainer, stream: VideoStream, *, start_s: float
) -> Iterator[av.VideoFrame | None]:
    """Yield frames from the last key frame before ``start_s``; None for a refused packet."""
    if start_s > 0:
        target = start_instant(stream) + int(start_s / tick_s(stream))
        seek_before(container, stream, instant=target)
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except (FFmpegError, ValueError):
            yield None


def _check_corrupt(path: PathLike, num_corrupt: int, limits: Limits, *, at_s: float) -> None:
    if num_corrupt > limits.max_corrupt_frames:
        raise CorruptMediaError(
            path,
            f"is damaged at {at_s:.2f} s ({num_corrupt} damaged frames so far, "
            f"limits.max_corrupt_frames is {limits.max_corrupt_frames})",
        )


def check_not_hdr(path: PathLike, transfer: int) -> None:
    """Raise `UnsupportedMediaError` for a transfer curve of high dynamic range."""
    if transfer in HDR_CURVES:
        raise UnsupportedMediaError(
            path,
            f"is HDR, {HDR_CURVES[transfer]}: cut to 8 bits without tone mapping its colours "
            "would be wrong; convert it to SDR (BT.709) first",
        )


class Renderer:
    """Converts decoded frames of one stream to RGB of one size; keeps the scaler between them."""

    def __init__(
        self,
        path: PathLike,
        stream: VideoStream,
        *,
        size: tuple[int, int] | None,
        fit: Fit,
        limits: Limits,
    ) -> None:
        self.path, self.size, self.limits = path, size, limits
        self.fit: Fit = fit
        self.aspect = pixel_aspect(stream)
        self.reformatter = VideoReformatter()
        self.plan: Plan | None = None

    def render(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the frame as displayed, uint8 (H, W, 3), scaled and turned as planned."""
        check_not_hdr(self.path, frame.color_trc)
        coded = (frame.width, frame.height)
        if self.plan is None or coded != (self.plan.coded_width, self.plan.coded_height):
            self.plan = self._plan(frame, coded)
        plan = self.plan
        is_unmarked_hd = frame.colorspace == 2 and frame.height >= 720
        scaled = self.reformatter.reformat(
            frame,
            width=plan.scaled_width,
            height=plan.scaled_height,
            format="rgb24",
            # Unmarked colours are BT.709 from 720 lines on, as every player takes them.
            src_colorspace=Colorspace.ITU709 if is_unmarked_hd else None,
            interpolation=SHRINK if plan.is_shrinking else GROW,
            threads=1,
        )
        return plan.place(scaled.to_ndarray())

    def _plan(self, frame: av.VideoFrame, coded: tuple[int, int]) -> Plan:
        orientation = frame_orientation(self.path, frame)
        plan = plan_geometry(
            coded, self.aspect, orientation=orientation, size=self.size, fit=self.fit
        )
        if self.plan is not None and (plan.width, plan.height) != (
            self.plan.width,
            self.plan.height,
        ):
            raise UnsupportedMediaError(
                self.path,
                f"changes its size from {self.plan.width}x{self.plan.height} to "
                f"{plan.width}x{plan.height}: give a size to read it at",
            )
        if plan.scaled_width * plan.scaled_height > self.limits.max_pixels:
            raise MediaLimitError(
                self.path,
                f"would be scaled to {plan.scaled_width}x{plan.scaled_height} to fill "
                f"the wanted size, above limits.max_pixels of {self.limits.max_pixels}",
            )
        return plan
