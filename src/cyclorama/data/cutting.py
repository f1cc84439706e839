"""One film in, its good clips out, each rejection with its reason.

Picture a cutter's table: black bars are found and masked off, the reel is split at its cuts, each
shot is cut into clips of equal length, and every clip is held against the light before it goes
into its tin. Nothing here knows of a store or of other films, so that a process of its own can do
one file; a bad file or clip becomes a line, never an exception. Leaves out twins, which only the
one who sees all films can find (`ingest`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from cyclorama.config import Config
from cyclorama.data.filters import (
    BlackBars,
    QualityLimits,
    bar_share,
    black_bars,
    measure,
    problems,
)
from cyclorama.data.fit import TIME_STEP, ClipFit, fitted_size
from cyclorama.data.sample import Sample
from cyclorama.data.shots import Shot, find_shots
from cyclorama.data.sources import read_sidecar
from cyclorama.data.store import clip_row
from cyclorama.media.errors import MediaError
from cyclorama.media.video import VideoInfo, probe_video, read_video

_CLIPS_AT_ONCE = 8  # decoded in one go: a seek costs up to 250 frames
_BAR_LOOKS = 5  # instants at which bars are looked for
_JUST_AFTER_S = 1e-3  # an exclusive end that still holds its last frame


class CutConfig(Config):
    """How films become clips: sizes, where to cut, what to keep, how to store it.

    ``min_frames`` is the shortest rest of a shot that is kept. ``max_hash_distance`` (of 192) and
    ``max_thumb_difference`` (gray levels) say what counts as a twin; a distance of None keeps
    all twins.
    """

    fit: ClipFit = ClipFit()
    shots: str = "auto"
    min_frames: int = Field(default=5, ge=1)
    limits: QualityLimits = QualityLimits()
    codec: str = "h264"
    max_hash_distance: int | None = 16
    max_thumb_difference: float = 24.0


@dataclass
class CutFile:
    """What one film gave: rows for a store, and rejections as records for the report."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Mask:
    """Pictures are scaled to ``scaled`` (width, height), then this window is cut out."""

    scaled: tuple[int, int]
    left: int
    top: int
    width: int
    height: int

    def cut(self, frames: np.ndarray) -> np.ndarray:
        rows = slice(self.top, self.top + self.height)
        return frames[:, rows, self.left : self.left + self.width]


def cut_file(path: Path, config: CutConfig, *, name: str, key: str) -> CutFile:
    """Return the clips of a film and what was rejected; never raises for what a file holds.

    ``name`` is what reports call the file, ``key`` what the ids of its clips begin with.
    """
    result = CutFile()
    try:
        captions, truth = read_sidecar(path)
        info = probe_video(path)
        if min(info.width, info.height) < config.fit.short_side:
            result.rejected.append(
                {
                    "file": name,
                    "reason": f"small: {info.width}x{info.height}, and clips have a short side "
                    f"of {config.fit.short_side}",
                }
            )
            return result
        mask = _mask(info, find_bars(path, info), config.fit)
        shots = find_shots(path, method=config.shots)
    except (ValueError, OSError) as error:
        result.rejected.append({"file": name, "reason": _reason(error)})
        return result
    about = {"captions": captions, "truth": truth, "origin": name, "key": key}
    for shot in shots:
        for outcome in _cut_shot(path, shot, mask, config=config, about=about):
            (result.rows if "clip" in outcome else result.rejected).append(outcome)
    return result


def clip_lengths(shot: Shot, fit: ClipFit, *, min_frames: int) -> list[int]:
    """Return the frames of the clips a shot is cut into: full ones, then a rest of 1 + 4k."""
    left = max(0, math.ceil((shot.end_s - shot.start_s) * fit.rate_fps - 1e-3))
    lengths = [fit.max_frames] * (left // fit.max_frames)
    left -= len(lengths) * fit.max_frames
    rest = 1 + (left - 1) // TIME_STEP * TIME_STEP if left else 0
    return [*lengths, rest] if rest >= min(min_frames, fit.max_frames) else lengths


def find_bars(path: Path, info: VideoInfo) -> BlackBars:
    """Return the black edges that all of five pictures across a film have, in its own pixels.

    Dark pictures say nothing and are passed over. Raises a `MediaError` for a damaged file.
    """
    found: list[BlackBars] = []
    for k in range(_BAR_LOOKS):
        at_s = info.duration_s * (2 * k + 1) / (2 * _BAR_LOOKS)
        clip = read_video(path, rate_fps=info.rate_fps, start_s=at_s, duration_s=_JUST_AFTER_S)
        if clip.frames.max() > 64:
            found.append(black_bars(clip.frames[:1]))
    if not found:
        return BlackBars(0, 0, 0, 0)
    return BlackBars(
        top=min(b.top for b in found),
        bottom=min(b.bottom for b in found),
        left=min(b.left for b in found),
        right=min(b.right for b in found),
    )


def _mask(info: VideoInfo, bars: BlackBars, fit: ClipFit) -> _Mask:
    """Return how to scale so that what lies inside the bars fills a legal size."""
    if bar_share(bars, height=info.height, width=info.width) < 0.005:
        bars = BlackBars(0, 0, 0, 0)
    inner_w = info.width - bars.left - bars.right
    inner_h = info.height - bars.top - bars.bottom
    width, height = fitted_size(inner_w, inner_h, fit=fit)
    # Where there are bars, two pixels more hide the blend of picture and bar.
    spare = 2 if bars.any else 0
    scale = max((width + 2 * spare) / inner_w, (height + 2 * spare) / inner_h)
    scaled = math.ceil(info.width * scale), math.ceil(info.height * scale)
    left = round(bars.left * scale + (inner_w * scale - width) / 2)
    top = round(bars.top * scale + (inner_h * scale - height) / 2)
    left = min(max(left, 0), scaled[0] - width)
    top = min(max(top, 0), scaled[1] - height)
    return _Mask(scaled, left, top, width, height)


def _cut_shot(
    path: Path, shot: Shot, mask: _Mask, *, config: CutConfig, about: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a row or a rejection for each clip of a shot, in order."""
    fit = config.fit
    lengths = clip_lengths(shot, fit, min_frames=config.min_frames)
    if not lengths:
        frames = (shot.end_s - shot.start_s) * fit.rate_fps
        yield _rejection(about, shot.start_s, shot.end_s, f"short: {frames:.1f} frames")
        return
    start_s = shot.start_s
    for first in range(0, len(lengths), _CLIPS_AT_ONCE):
        group = lengths[first : first + _CLIPS_AT_ONCE]
        end_s = start_s + sum(group) / fit.rate_fps
        try:
            clip = read_video(
                path,
                size=mask.scaled,
                fit="stretch",
                rate_fps=fit.rate_fps,
                start_s=start_s,
                duration_s=(sum(group) - 1) / fit.rate_fps + _JUST_AFTER_S,
            )
        except (ValueError, OSError) as error:
            yield _rejection(about, start_s, end_s, _reason(error))
        else:
            yield from _judge(mask.cut(clip.frames), group, start_s, config=config, about=about)
        start_s = end_s


def _judge(
    frames: np.ndarray,
    lengths: list[int],
    start_s: float,
    *,
    config: CutConfig,
    about: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Yield a row or a rejection for each of the clips that lie end to end in ``frames``."""
    rate_fps = config.fit.rate_fps
    for start, length in zip(np.cumsum([0, *lengths[:-1]]), lengths, strict=True):
        clip = np.ascontiguousarray(frames[start : start + length])
        at_s = start_s + float(start) / rate_fps
        if len(clip) < length:  # the last picture ends a little before the declared length
            yield _rejection(
                about, at_s, at_s + length / rate_fps, f"ends after {len(clip)} frames"
            )
            continue
        quality = measure(clip)
        if found := problems(quality, config.limits, num_frames=length):
            yield _rejection(about, at_s, at_s + length / rate_fps, "; ".join(found))
            continue
        sample = Sample(
            id=f"{about['key']}-{round(at_s * 1000):09d}",
            frames=clip,
            rate_fps=rate_fps,
            captions=about["captions"],
            source="ingest",
            truth=about["truth"],
        )
        yield clip_row(sample, codec=config.codec, quality=quality, origin=about["origin"])


def _rejection(about: dict[str, Any], start_s: float, end_s: float, reason: str) -> dict[str, Any]:
    return {
        "file": about["origin"],
        "start_s": round(start_s, 3),
        "end_s": round(end_s, 3),
        "reason": reason,
    }


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, MediaError) else str(error)
