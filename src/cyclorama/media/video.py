"""The door to video files: `probe_video`, `read_video`, `write_video`."""

from cyclorama.media.encode import write_video

__all__ = ["write_video"]
