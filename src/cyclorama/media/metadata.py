"""What this project writes into its files about how they were made: prompt, seed, checksums.

The metadata is one JSON object under one key, so that it is told apart from a camera's tags. It
stands where ordinary tools show it: the ``comment`` of an mp4 or GIF, the EXIF image description
of a WebP, a text chunk of a PNG. The JSON is ASCII, which every one of these places can hold.
"""

import json
from collections.abc import Mapping

KEY = "cyclorama"


def metadata_to_text(metadata: Mapping[str, object]) -> str:
    """Return the text that holds ``metadata``; what JSON cannot hold exactly is a ValueError."""
    for key in metadata:
        if not isinstance(key, str):
            raise ValueError(f"metadata keys must be text, got {key!r}: use str(key)")
    try:
        return json.dumps({KEY: dict(metadata)}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"metadata must be what JSON holds (text, numbers, lists, dicts): {error}"
        ) from error


def metadata_from_text(text: str) -> dict[str, object] | None:
    """Return the metadata in ``text``, or None when the text is not of this project's making."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(found, dict) and set(found) == {KEY} and isinstance(found[KEY], dict)):
        return None
    return found[KEY]
