"""Animated WebP and GIF to pictures with their instants, through Pillow.

FFmpeg cannot decode animated WebP. Pillow also composes GIF's partial frames. A GIF frame that
asks for 10 ms or less is shown for 100 ms, as every browser does. Left out: loop counts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from cyclorama.media.decode import Picture
from cyclorama.media.errors import (
    Limits,
    MediaLimitError,
    PathLike,
    TruncatedMediaError,
    picture_errors,
)
from cyclorama.media.geometry import Fit, Orientation, plan_geometry
from cyclorama.media.image import open_picture, picture_metadata, to_rgb
from cyclorama.media.probe import VideoInfo

GIF_FALLBACK_MS = 100


def animation_format(path: PathLike) -> str | None:
    """Return "gif" or "webp" by the file's first bytes, else None."""
    with Path(path).open("rb") as file:
        head = file.read(16)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return None


@contextmanager
def open_animation(path: PathLike, *, limits: Limits) -> Iterator[Image.Image]:
    """Open a GIF or WebP after checking that it is whole and not too large."""
    if is_cut_short(path):
        raise TruncatedMediaError(path, "is truncated: the file ends before its last frame does")
    with open_picture(path, limits=limits) as image:
        yield image


def is_cut_short(path: PathLike) -> bool:
    """Tell whether a GIF or WebP ends before its own structure does."""
    data = Path(path).read_bytes()
    if data[:4] == b"RIFF":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return _gif_is_cut_short(data)


def _gif_is_cut_short(data: bytes) -> bool:
    """Walk a GIF's blocks to its trailer (GIF89a, appendix B)."""
    if len(data) < 13:
        return True
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while at < len(data):
        kind = data[at]
        if kind == 0x3B:  # the trailer
            return False
        if kind == 0x21:  # an extension: label, then sub-blocks
            at += 2
        elif kind == 0x2C:  # an image: descriptor, its own palette, code size, sub-blocks
            if at + 9 >= len(data):
                return True
            flags = data[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        else:
            return False  # not a cut, but damage: Pillow will say what
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return True


def animation_pictures(
    path: PathLike,
    image: Image.Image,
    *,
    size: tuple[int, int] | None,
    fit: Fit,
    limits: Limits,
) -> Iterator[Picture]:
    """Yield every frame of an opened animation; each must be rendered before the next is asked."""
    plan = plan_geometry(image.size, Fraction(1), orientation=Orientation(), size=size, fit=fit)
    if plan.scaled_width * plan.scaled_height > limits.max_pixels:
        raise MediaLimitError(
            path,
            f"would be scaled to {plan.scaled_width}x{plan.scaled_height} to fill the "
            f"wanted size, above limits.max_pixels of {limits.max_pixels}",
        )
    resample = Image.Resampling.BOX if plan.is_shrinking else Image.Resampling.BICUBIC
    time_ms = 0
    for index in range(getattr(image, "n_frames", 1)):
        with picture_errors(path):
            image.seek(index)
            image.load()
        pixels = to_rgb(image)
        duration_ms = frame_duration_ms(image)

        def render(pixels: np.ndarray = pixels) -> np.ndarray:
            target = (plan.scaled_width, plan.scaled_height)
            if pixels.shape[1::-1] != target:
                pixels = np.array(Image.fromarray(pixels).resize(target, resample))
            return plan.place(pixels)

        yield Picture(time_ms / 1000, duration_ms / 1000, render)
        time_ms += duration_ms


def frame_duration_ms(image: Image.Image) -> int:
    """Return how long the current frame is shown."""
    duration_ms = round(image.info.get("duration") or 0)
    return GIF_FALLBACK_MS if duration_ms <= 10 else duration_ms


def probe_animation(path: PathLike, *, limits: Limits) -> VideoInfo:
    """`probe_video` for GIF and WebP; reads every frame's header."""
    kind = animation_format(path) or "webp"
    with open_animation(path, limits=limits) as image, picture_errors(path):
        num_frames = getattr(image, "n_frames", 1)
        if num_frames > limits.max_frames:
            raise MediaLimitError(
                path, f"has {num_frames} frames, above limits.max_frames of {limits.max_frames}"
            )
        durations_ms = []
        for index in range(num_frames):
            image.seek(index)
            image.load()
            durations_ms.append(frame_duration_ms(image))
        metadata, comment = picture_metadata(image)
        duration_s = sum(durations_ms) / 1000
        tick_ms = 10 if kind == "gif" else 1
        return VideoInfo(
            width=image.width,
            height=image.height,
            duration_s=duration_s,
            rate_fps=len(durations_ms) / duration_s,
            is_variable_rate=max(durations_ms) - min(durations_ms) > tick_ms,
            container=kind,
            codec=kind,
            pixel_format=image.mode.lower(),
            num_frames=len(durations_ms),
            has_audio=False,
            rotation_degrees=0,
            is_mirrored=False,
            pixel_aspect=Fraction(1),
            is_hdr=False,
            is_interlaced=False,
            is_truncated=False,
            size_bytes=Path(path).stat().st_size,
            metadata=metadata,
            tags={"comment": comment} if comment else {},
        )
