"""Frames to files: mp4 (H.264) through PyAV, animated WebP and GIF through Pillow.

The suffix chooses the format. Files are written aside and renamed, so that a failure leaves
nothing behind. An mp4 is what every browser plays: yuv420p, BT.709 with its tags, the index in
front of the data (fast start). Its colours have half the resolution of its brightness, so sides
must be even. Left out: sound, 10 bits, AV1 (SVT-AV1 at preset 12 is smaller at equal speed, but
older phones and Safari do not play it).
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Colorspace, VideoReformatter
from PIL import Image

from cyclorama.media.atomic import write_aside
from cyclorama.media.errors import MediaWriteError, PathLike
from cyclorama.media.metadata import metadata_to_text

SUFFIXES = (".mp4", ".webp", ".gif")
DEFAULT_CRF = 18
MAX_RATE_FPS = 1000.0
# Browsers show a GIF frame of 10 ms or less for 100 ms: 20 ms is the shortest that means itself.
MAX_GIF_RATE_FPS = 50.0


def write_video(
    path: PathLike,
    frames: Iterable[np.ndarray],
    *,
    rate_fps: float,
    metadata: Mapping[str, object] | None = None,
    crf: int | None = None,
    scale: int = 1,
) -> None:
    """Write frames as .mp4 (H.264), .webp (animated) or .gif, atomically.

    ``frames`` is a uint8 array (T, H, W, 3) or any iterable of (H, W, 3); an iterable is written
    as it arrives (GIF keeps it in memory, for the palette that all frames share). ``metadata`` is
    a JSON-like dict that `probe_video` gives back. ``crf`` is H.264's quality, 0 (best) to 51,
    default 18; the other formats have none, and giving it there is an error. ``scale`` repeats
    every pixel so many times each way: at 2 an mp4 keeps every pixel's colour, which matters for
    small pictures (engine frames of 64x64: 31 dB alone, 42 dB at 2, read back at 64). WebP and
    GIF merge equal neighbouring frames and round instants to 1 and 10 ms, without drift.

    Raises ValueError for frames or settings that cannot be written (odd sides for mp4: the
    message names the nearest even ones) and `MediaWriteError` when the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"cannot write {Path(path).name}: its suffix must be one of {', '.join(SUFFIXES)}"
        )
    limit_fps = MAX_GIF_RATE_FPS if suffix == ".gif" else MAX_RATE_FPS
    if not 0 < rate_fps <= limit_fps:
        raise ValueError(
            f"rate_fps must be above 0 and at most {limit_fps:g} for {suffix}, got {rate_fps}"
        )
    if crf is not None and suffix != ".mp4":
        raise ValueError(f"crf is a setting of .mp4 and has no effect on {suffix}: leave it out")
    if crf is not None and not 0 <= crf <= 51:
        raise ValueError(f"crf must lie in 0 to 51, got {crf}")
    if scale < 1:
        raise ValueError(f"scale must be 1 or more, got {scale}")
    text = metadata_to_text(metadata) if metadata is not None else None
    checked = (
        frame.repeat(scale, axis=0).repeat(scale, axis=1) if scale > 1 else frame
        for frame in _checked(frames)
    )
    with write_aside(path) as temporary:
        try:
            if suffix == ".mp4":
                _write_mp4(
                    temporary, checked, rate_fps, text=text, crf=DEFAULT_CRF if crf is None else crf
                )
            elif suffix == ".webp":
                _write_webp(temporary, checked, rate_fps, text=text)
            else:
                _write_gif(temporary, checked, rate_fps, text=text)
        except FFmpegError as error:
            raise MediaWriteError(path, f"the encoder failed ({error})") from error


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the frames, each (H, W, 3) uint8 and of the first one's size; none is an error."""
    first_shape: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            kind = frame.dtype if isinstance(frame, np.ndarray) else type(frame).__name__
            raise ValueError(f"frames must be uint8 arrays, frame {index} is {kind}")
        if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"frames must be (H, W, 3), frame {index} is {frame.shape}")
        if first_shape is not None and frame.shape != first_shape:
            raise ValueError(f"frame {index} is {frame.shape}, the first was {first_shape}")
        first_shape = frame.shape
        yield frame
    if first_shape is None:
        raise ValueError("there are no frames to write")


def _write_mp4(
    path: Path, frames: Iterator[np.ndarray], rate_fps: float, *, text: str | None, crf: int
) -> None:
    first = next(frames)
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        down, up = (width // 2 * 2, height // 2 * 2), (-(-width // 2) * 2, -(-height // 2) * 2)
        near = f"{up[0]}x{up[1]} (pad or resize)"
        if min(down) > 0:
            near = f"{down[0]}x{down[1]} (crop) or {near}"
        raise ValueError(
            f"an .mp4 needs even sides, got {width}x{height}: make it {near}, or write .webp"
        )
    rate = Fraction(rate_fps).limit_denominator(1001)
    options = {"movflags": "faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        if text is not None:
            container.metadata["comment"] = text
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Colours are means of 2x2 pixels and so stand at their centre (1); H.264's silence would
        # mean the left edge, and scaling readers would shift them by a quarter of a pixel.
        # Without x264's macroblock tree, whose choices differ: the same frames make the same file.
        params = "chromaloc=1:mbtree=0"
        stream.options = {"crf": str(crf), "preset": "medium", "x264-params": params}
        context = stream.codec_context
        context.time_base = 1 / rate
        # One matrix for conversion and tags, whatever the size: players that must guess guess
        # BT.601 for small pictures and BT.709 for large ones.
        context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1
        context.color_range = 1
        reformatter = VideoReformatter()
        frame = None
        for index, pixels in enumerate(_chain(first, frames)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = reformatter.reformat(
                frame,
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range="MPEG",
                interpolation="AREA",
                threads=1,
            )
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _durations(num_frames: int, rate_fps: float, unit_ms: int) -> list[int]:
    """Return whole durations in ms, multiples of ``unit_ms``, that do not drift from the rate."""
    instants = [round(1000 * k / rate_fps / unit_ms) * unit_ms for k in range(num_frames + 1)]
    return [after - before for before, after in itertools.pairwise(instants)]


def _write_webp(
    path: Path, frames: Iterator[np.ndarray], rate_fps: float, *, text: str | None
) -> None:
    pixels = list(frames)
    if len(pixels) > 1 and all(np.array_equal(frame, pixels[0]) for frame in pixels[1:]):
        # The encoder merges equal frames, and of a single one forgets how long it is shown: one
        # pixel of the last frame is made different, so that a motionless clip keeps its length.
        pixels[-1] = pixels[-1].copy()
        pixels[-1][-1, -1] ^= 32
    images = [Image.fromarray(frame) for frame in pixels]
    exif = Image.Exif()
    if text is not None:
        exif[0x010E] = text  # ImageDescription
    images[0].save(
        path,
        format="WEBP",
        save_all=True,
        append_images=images[1:],
        loop=0,
        quality=90,
        method=4,
        duration=_durations(len(images), rate_fps, 1),
        exif=exif.tobytes() if text else b"",
    )


def _write_gif(
    path: Path, frames: Iterator[np.ndarray], rate_fps: float, *, text: str | None
) -> None:
    all_frames = list(frames)
    palette = _shared_palette(all_frames)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for frame in all_frames
    ]
    comment = {"comment": text.encode("ascii")} if text is not None else {}
    images[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        loop=0,
        optimize=False,
        duration=_durations(len(images), rate_fps, 10),
        **comment,
    )


def _shared_palette(frames: list[np.ndarray]) -> Image.Image:
    """Return 256 colours for the whole clip: a palette for each frame would flicker.

    Measured on footage at 128x72, dithered: an octree 33.3 dB, median cut 32.1 at twice the time.
    """
    picked = [frames[i] for i in np.linspace(0, len(frames) - 1, min(len(frames), 8)).astype(int)]
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in picked])
    pixels = pixels[:: max(1, len(pixels) // 200_000)]
    return Image.fromarray(pixels[None]).quantize(256, method=Image.Quantize.FASTOCTREE)
