"""Files made by hand, odd on purpose, for the tests of `cyclorama.media`."""

import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

DATA = Path(
    os.environ.get("CYCLORAMA_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")
)


def moving_frames(num_frames, height, width):
    """Return smooth moving colours: what a codec keeps well, and differs in every corner."""
    t, y, x = np.meshgrid(
        np.arange(num_frames), np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij"
    )
    planes = [
        0.5 + 0.45 * np.sin(4 * x + 0.3 * t),
        0.5 + 0.45 * np.sin(3 * y + 0.2 * t),
        0.2 + 0.6 * x * y,
    ]
    return (255 * np.stack(planes, axis=-1)).astype(np.uint8)


def gray_frames(levels, height=32, width=48):
    """Return one flat frame for each level, so that a decoded frame tells which one it is."""
    return np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])


def levels_of(frames):
    return [round(float(frame.mean())) for frame in frames]


def psnr_db(a, b):
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-9))


def encode_file(path, frames, *, pts=None, rate=10, codec="libx264", pix_fmt="yuv420p", **more):
    """Write frames with PyAV alone; ``pts`` are in ticks of ``time_base``.

    more: time_base, options (of the codec), container_options, format, aspect, rotation
    (counter-clockwise degrees, hflip), trc, full_range, sound.
    """
    time_base = more.get("time_base", Fraction(1, rate))
    options = more.get("container_options", {})
    with av.open(str(path), "w", format=more.get("format"), options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.options = more.get("options", {"crf": "4"} if codec == "libx264" else {})
        stream.codec_context.time_base = time_base
        stream.time_base = time_base
        if "aspect" in more:
            stream.codec_context.sample_aspect_ratio = more["aspect"]
        if "rotation" in more:
            stream.set_display_rotation(more["rotation"], hflip=more.get("hflip", False))
        if "trc" in more:
            stream.codec_context.color_trc = more["trc"]
        color_range = "JPEG" if more.get("full_range") else "MPEG"
        stream.codec_context.color_range = 2 if more.get("full_range") else 1
        sound = container.add_stream("aac", rate=48_000, layout="mono") if "sound" in more else None
        if sound is not None:
            wave = av.AudioFrame.from_ndarray(more["sound"][None], format="flt", layout="mono")
            wave.sample_rate = 48_000
            container.mux(sound.encode(wave))
            container.mux(sound.encode(None))
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=color_range)
            frame.pts = index if pts is None else pts[index]
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def lab():
    """Return the functions above, which tests cannot import from here."""
    return SimpleNamespace(
        moving_frames=moving_frames,
        gray_frames=gray_frames,
        levels_of=levels_of,
        psnr_db=psnr_db,
        encode_file=encode_file,
    )


@pytest.fixture
def real_video():
    """Return a function from a file's name to its path; skip the test where it is absent."""

    def path_of(name):
        path = DATA / "video" / name
        if not path.exists():
            pytest.skip(f"needs {path.name}: point CYCLORAMA_TEST_DATA to the small real data")
        return path

    return path_of
