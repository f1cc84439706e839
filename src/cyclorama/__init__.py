"""Cyclorama makes video and reads it: a small, exact, whole stack that runs on two CPU cores.

The few public names load on first use, so that ``import cyclorama`` costs nothing. Everything
else is imported from the file that has it; docs/map.md says which.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclorama.inference.video import VideoRequest, generate, load_maker
    from cyclorama.media.video import read_video, write_video

_HOMES = {
    "VideoRequest": "cyclorama.inference.video",
    "generate": "cyclorama.inference.video",
    "load_maker": "cyclorama.inference.video",
    "read_video": "cyclorama.media.video",
    "write_video": "cyclorama.media.video",
}
__all__ = ["VideoRequest", "generate", "load_maker", "read_video", "write_video"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cyclorama' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
