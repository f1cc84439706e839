"""What a media file is, in words for a person: the text of ``cyclorama info FILE``.

Names what would surprise: uneven frame rates, HDR, turned pictures, oblong pixels, a file that
ends early. What a file says of itself is printed without control characters, which could
otherwise write to the reader's terminal.
"""

import json

from cyclorama.media.audio import AudioInfo, probe_audio
from cyclorama.media.errors import (
    Limits,
    PathLike,
    UnreadableMediaError,
    check_exists,
)
from cyclorama.media.image import ImageInfo, probe_image
from cyclorama.media.video import VideoInfo, probe_video

DEFAULT_LIMITS = Limits()
# Bookkeeping of containers that tells a person nothing.
DULL_TAGS = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "handler_name",
    "language",
    "encoder",
    "duration",
    "vendor_id",
}


def describe_file(path: PathLike, *, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return lines that tell what a video, picture or sound file is, with warnings.

    Raises `UnreadableMediaError` when it is none of these.
    """
    check_exists(path)
    try:
        image = probe_image(path, limits=limits)
    except UnreadableMediaError:
        image = None
    if image is not None and not (image.num_frames > 1 and image.format in ("gif", "webp")):
        return _text(f"{path}: picture", _image_lines(image), image.metadata, [])
    try:
        video = probe_video(path, limits=limits)
    except UnreadableMediaError as error:
        try:
            audio = probe_audio(path, limits=limits)
        except UnreadableMediaError:
            raise error from None
        return _text(f"{path}: sound", _audio_lines(audio), {}, _audio_warnings(audio))
    lines = _video_lines(video)
    if video.has_audio:
        lines.insert(2, ("sound", _sound(probe_audio(path, limits=limits))))
    return _text(f"{path}: video", lines, video.metadata, _video_warnings(video))


def _text(
    title: str, lines: list[tuple[str, str]], metadata: dict[str, object], warnings: list[str]
) -> str:
    rows = [_plain(title)]
    rows += [f"  {name:<8}{_plain(value)}" for name, value in lines]
    rows += [f"  {'warning':<8}{_plain(warning)}" for warning in warnings]
    if metadata:
        rows.append("  made by cyclorama:")
        rows += [
            f"    {_plain(name):<16} {_plain(_value(value))}" for name, value in metadata.items()
        ]
    return "\n".join(rows)


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _size(size_bytes: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} bytes"


def _image_lines(info: ImageInfo) -> list[tuple[str, str]]:
    return [
        ("picture", f"{info.width}x{info.height}, {info.format}, mode {info.mode}"),
        ("file", _size(info.size_bytes)),
    ]


def _sound(info: AudioInfo) -> str:
    channels = "1 channel" if info.num_channels == 1 else f"{info.num_channels} channels"
    return f"{info.duration_s:.2f} s, {info.codec}, {info.rate_hz} Hz, {channels}"


def _audio_lines(info: AudioInfo) -> list[tuple[str, str]]:
    return [
        ("sound", _sound(info)),
        ("file", f"{_size(info.size_bytes)}, {info.container}"),
        *_tag_lines(info.tags),
    ]


def _audio_warnings(info: AudioInfo) -> list[str]:
    return ["truncated: it declares more sound than it holds"] if info.is_truncated else []


def _video_lines(info: VideoInfo) -> list[tuple[str, str]]:
    frames = f", {info.num_frames} frames declared" if info.num_frames else ""
    return [
        ("picture", f"{info.width}x{info.height}, {info.codec}, {info.pixel_format}"),
        ("time", f"{info.duration_s:.2f} s at {info.rate_fps:.6g} fps{frames}"),
        ("file", f"{_size(info.size_bytes)}, {info.container}"),
        *_tag_lines(info.tags),
    ]


def _tag_lines(tags: dict[str, str]) -> list[tuple[str, str]]:
    shown = {name: value for name, value in tags.items() if name.lower() not in DULL_TAGS}
    return [("tag", f"{name}: {value[:200]}") for name, value in sorted(shown.items())]


def _video_warnings(info: VideoInfo) -> list[str]:
    warnings = []
    if info.is_truncated:
        warnings.append("truncated: its index lists frames beyond the end of the file")
    if info.is_hdr:
        warnings.append("HDR: refused by read_video, convert it to SDR (BT.709) first")
    if info.is_variable_rate:
        warnings.append("uneven frame times: the rate is a mean; give rate_fps to sample evenly")
    if info.rotation_degrees or info.is_mirrored:
        mirrored = " and mirrored" if info.is_mirrored else ""
        warnings.append(f"shown turned by {info.rotation_degrees} degrees{mirrored}: applied")
    if info.pixel_aspect != 1:
        warnings.append(f"oblong pixels, {info.pixel_aspect} wide: applied")
    if info.is_interlaced:
        warnings.append("interlaced: its woven fields are not taken apart")
    return warnings
