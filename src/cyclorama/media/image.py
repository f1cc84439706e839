"""Still pictures: read any, write PNG, lay clips out on a contact sheet.

A contact sheet shows each clip as a row of frames, evenly chosen from first to last, with its
caption under it, so that a person judges many clips at one glance. Pillow does the work. Left
out: colour profiles (a picture is taken for sRGB) and more than eight bits a channel.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from cyclorama.media.atomic import write_aside
from cyclorama.media.errors import (
    Limits,
    MediaLimitError,
    PathLike,
    UnreadableMediaError,
    check_exists,
    picture_errors,
)
from cyclorama.media.metadata import KEY, metadata_from_text, metadata_to_text

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class ImageInfo:
    """What a picture file declares; ``width`` and ``height`` are as displayed."""

    width: int
    height: int
    format: str
    mode: str
    num_frames: int
    size_bytes: int
    metadata: dict[str, object]


PAPER, INK = (250, 250, 248), (30, 30, 30)
MARGIN = 8


def read_image(path: PathLike, *, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Return a picture as uint8 (H, W, 3) RGB, turned as its EXIF orientation says.

    Transparent parts are laid over white; of an animation the first frame is returned. Any mode
    Pillow knows is converted; 16-bit gray keeps its upper eight bits. Raises
    `UnreadableMediaError`, `TruncatedMediaError`, `CorruptMediaError` or, above
    ``limits.max_pixels``, `MediaLimitError`.
    """
    with open_picture(path, limits=limits) as image:
        with picture_errors(path):
            image.load()
            upright = ImageOps.exif_transpose(image)
        return to_rgb(upright)


def probe_image(path: PathLike, *, limits: Limits = DEFAULT_LIMITS) -> ImageInfo:
    """Return what a picture file says about itself, from its header alone."""
    with open_picture(path, limits=limits) as image, picture_errors(path):
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF orientation
        width, height = image.size[::-1] if turned else image.size
        return ImageInfo(
            width=width,
            height=height,
            format=(image.format or "").lower(),
            mode=image.mode,
            num_frames=getattr(image, "n_frames", 1),
            size_bytes=Path(path).stat().st_size,
            metadata=picture_metadata(image)[0],
        )


@contextmanager
def open_picture(path: PathLike, *, limits: Limits) -> Iterator[Image.Image]:
    """Open a picture with Pillow, its header read and its size within the limits."""
    check_exists(path)
    try:
        image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise MediaLimitError(path, f"is too large for Pillow ({error})") from error
    except Exception as error:  # a broken header raises nearly anything, and all mean the same
        raise UnreadableMediaError(
            path, f"is not a picture that can be read ({type(error).__name__})"
        ) from error
    with image:
        width, height = image.size
        if width * height > limits.max_pixels:
            raise MediaLimitError(
                path,
                f"is {width}x{height}, above the limit of {limits.max_pixels} pixels: raise "
                "limits.max_pixels to read it",
            )
        yield image


def picture_metadata(image: Image.Image) -> tuple[dict[str, object], str]:
    """Return this project's metadata in a picture, and the comment it has from elsewhere."""
    comment = image.info.get("comment", b"")
    candidates = [
        image.info.get(KEY, ""),  # a PNG's text chunk
        comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment),
        image.getexif().get(0x010E, ""),  # EXIF ImageDescription
    ]
    texts = [str(text) for text in candidates if text]
    for text in texts:
        if (metadata := metadata_from_text(text)) is not None:
            return metadata, ""
    return {}, texts[0] if texts else ""


def to_rgb(image: Image.Image) -> np.ndarray:
    """Return a Pillow image of any mode as uint8 (H, W, 3), transparency laid over white."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        # 16-bit files open as I or I;16; smaller values than 256 mean an 8-bit range.
        scale = 257.0 if values.max(initial=0) > 255 else 1.0
        gray = np.clip(values / scale, 0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        paper = Image.new("RGBA", above.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, above)
    return np.array(image.convert("RGB"))


def write_png(
    path: PathLike, image: np.ndarray, *, metadata: Mapping[str, object] | None = None
) -> None:
    """Write uint8 (H, W, 3) or (H, W) as PNG, atomically, with metadata in a text chunk."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"cannot write {Path(path).name}: its suffix must be .png")
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or 0 in image.shape
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3))
    ):
        shown = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise ValueError(f"an image must be uint8 (H, W, 3) or (H, W), got {shown}")
    chunks = PngImagePlugin.PngInfo()
    if metadata is not None:
        chunks.add_text(KEY, metadata_to_text(metadata))
    with write_aside(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", pnginfo=chunks)


def contact_sheet(
    clips: Sequence[np.ndarray],
    *,
    captions: Sequence[str] | None = None,
    columns: int = 6,
    scale: int = 1,
    clips_per_row: int = 1,
    font_size: int = 13,
) -> np.ndarray:
    """Return one uint8 (H, W, 3) picture that shows clips as rows of frames with captions.

    ``clips`` are uint8 (T, H, W, 3), each of any length and size (an image is a clip of one
    frame); of each, ``columns`` frames are shown, evenly chosen from first to last (fewer when it
    has fewer). ``scale`` repeats pixels; ``clips_per_row`` sets clips side by side. Captions wrap
    at the width of their clip, in letters that Pillow's own font has.
    """
    if len(clips) == 0:
        raise ValueError("a contact sheet needs at least one clip")
    if captions is not None and len(captions) != len(clips):
        raise ValueError(f"need one caption a clip: {len(captions)} captions, {len(clips)} clips")
    counts = {"columns": columns, "scale": scale, "clips_per_row": clips_per_row}
    for name, value in {**counts, "font_size": font_size}.items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")
    strips = [_strip(clip, columns=columns, scale=scale) for clip in clips]
    cell_width = max(160, *(strip.width for strip in strips))
    font = ImageFont.load_default(size=font_size)
    texts = list(captions) if captions is not None else [""] * len(clips)
    wrapped = [wrap_text(text, font, width_px=cell_width) for text in texts]
    line_height = round(font_size * 1.35)
    heights = [
        strip.height + (2 + line_height * len(lines) if lines else 0)
        for strip, lines in zip(strips, wrapped, strict=True)
    ]
    rows = [
        range(i, min(i + clips_per_row, len(clips))) for i in range(0, len(clips), clips_per_row)
    ]
    row_heights = [max(heights[i] for i in row) for row in rows]
    across = min(clips_per_row, len(clips))
    sheet = Image.new(
        "RGB",
        (
            MARGIN + across * (cell_width + MARGIN),
            MARGIN + sum(height + MARGIN for height in row_heights),
        ),
        PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, row_height in zip(rows, row_heights, strict=True):
        for column, index in enumerate(row):
            left = MARGIN + column * (cell_width + MARGIN)
            sheet.paste(strips[index], (left, top))
            for number, line in enumerate(wrapped[index]):
                y = top + strips[index].height + 2 + number * line_height
                draw.text((left, y), line, font=font, fill=INK)
        top += row_height + MARGIN
    return np.array(sheet)


def write_contact_sheet(
    path: PathLike,
    clips: Sequence[np.ndarray],
    *,
    captions: Sequence[str] | None = None,
    columns: int = 6,
    scale: int = 1,
    clips_per_row: int = 1,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """Write `contact_sheet` of the clips as PNG, atomically."""
    sheet = contact_sheet(
        clips, captions=captions, columns=columns, scale=scale, clips_per_row=clips_per_row
    )
    write_png(path, sheet, metadata=metadata)


def _strip(clip: np.ndarray, *, columns: int, scale: int) -> Image.Image:
    """Return evenly chosen frames of one clip side by side, a pixel of paper between them."""
    if (
        not isinstance(clip, np.ndarray)
        or clip.dtype != np.uint8
        or clip.ndim != 4
        or (clip.shape[3] != 3 or 0 in clip.shape)
    ):
        shown = f"{clip.dtype} {clip.shape}" if isinstance(clip, np.ndarray) else type(clip)
        raise ValueError(f"clips must be uint8 (T, H, W, 3), got {shown}")
    picked = np.linspace(0, len(clip) - 1, min(columns, len(clip))).round().astype(int)
    height, width = clip.shape[1] * scale, clip.shape[2] * scale
    gap = max(1, scale)
    strip = Image.new("RGB", (len(picked) * (width + gap) - gap, height), PAPER)
    for position, index in enumerate(picked):
        frame = Image.fromarray(clip[index])
        if scale > 1:
            frame = frame.resize((width, height), Image.Resampling.NEAREST)
        strip.paste(frame, (position * (width + gap), 0))
    return strip


def wrap_text(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, *, width_px: int
) -> list[str]:
    """Return the lines of ``text`` broken at blanks to fit; a longer word is cut inside."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for whole_word in paragraph.split():
            word = whole_word
            longer = f"{line} {word}".strip()
            if font.getlength(longer) <= width_px:
                line = longer
                continue
            if line:
                lines.append(line)
            while font.getlength(word) > width_px and len(word) > 1:
                fits = max(
                    1,
                    next(n for n in range(1, len(word) + 1) if font.getlength(word[:n]) > width_px)
                    - 1,
                )
                lines.append(word[:fits])
                word = word[fits:]
            line = word
        if line:
            lines.append(line)
    return lines
