"""The bundled weights by name, and how to find a weight file.

A bundled weight is three things side by side in this folder: ``NAME.safetensors``, its card
``NAME.md``, and its line in `BUNDLED` with the checksum that a test holds it to.
"""

from pathlib import Path

FOLDER = Path(__file__).parent

# Name -> SHA-256 of the file; written by hand when a weight is replaced.
BUNDLED: dict[str, str] = {
    "autoencoder": "b1ecd9c03e028afc64d6a38cb27902aa7b11694851058954271dbd4ed73e54f3",
    "maker": "9ad917a7049d840ef396c8fafe9db42d440a40f12e86875f53ec3e16ffb5e1b6",
    "probe": "3b0ebfde5dca062a835f9e8700b5a3d8188fcbc10101213ef553555db452be2f",
    "reader": "2d76095eec3ed37384498a9aaecb053dc1ac28ab2c40a706fd19c8f7727e164e",
}


def find_weights(name_or_path: str) -> Path:
    """Return the file of a bundled name, or the path itself when it is a file.

    Raises ValueError naming the bundled weights when it is neither.
    """
    if name_or_path in BUNDLED:
        return FOLDER / f"{name_or_path}.safetensors"
    path = Path(name_or_path)
    if path.is_dir():
        found = sorted(path.glob("*.safetensors"))
        if len(found) == 1:
            return found[0]
        raise ValueError(f"{path} holds {len(found)} .safetensors files: name one of them")
    if path.is_file():
        return path
    known = ", ".join(BUNDLED) or "none"
    raise ValueError(f"no weights {name_or_path!r}: give a file, or a bundled name ({known})")


def card(name: str) -> str:
    """Return the text of a bundled weight's card."""
    if name not in BUNDLED:
        raise ValueError(f"no bundled weights {name!r}: have {', '.join(BUNDLED) or 'none'}")
    return (FOLDER / f"{name}.md").read_text()
