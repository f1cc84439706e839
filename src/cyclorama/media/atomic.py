"""Write a file aside, then rename it: a reader sees the old file or the whole new one.

The temporary file stands in the same folder, since a rename across file systems is a copy. It
is not pushed to the disk (no fsync): what is protected against is a crash of the program, not
of the machine.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cyclorama.media.errors import MediaWriteError, PathLike


@contextmanager
def write_aside(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` if the block ends well, else is removed.

    The temporary name keeps the suffix, which encoders choose their format by. What goes wrong
    with the folder or the disk (OSError) leaves as `MediaWriteError`; other errors pass unchanged.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise MediaWriteError(path, f"the folder {target.parent} does not exist: create it first")
    if target.is_dir():
        raise MediaWriteError(path, "is a folder: name a file inside it")
    temporary = target.with_name(f".{target.stem[:80]}.{secrets.token_hex(4)}{target.suffix}")
    try:
        # Made here with O_EXCL, so that the encoder opens a file which is certainly ours, and
        # with the permissions that the user's umask gives (tempfile would make it private).
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise MediaWriteError(path, f"could not be written ({error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
