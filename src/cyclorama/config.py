"""Typed, frozen configurations, and the one way to override them.

A configuration is a frozen pydantic model that stands next to the class it configures. It is
stored as JSON inside the safetensors file it belongs to, and hashed into the record of a run.
The command line changes one with ``--set path=value``: the path is dotted, the value is parsed
with the type of the field, and a path or value that does not fit is an error, never ignored.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """Base of every configuration: frozen, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Return twelve hex digits that change when any field changes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Return canonical JSON (sorted keys), the form that is stored and hashed."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a configuration back; unknown or ill-typed fields are a ValueError."""
        return cls.model_validate_json(text)


AnyConfig = TypeVar("AnyConfig", bound=Config)


def override(config: AnyConfig, settings: Iterable[str]) -> AnyConfig:
    """Return ``config`` with ``path=value`` settings applied, e.g. ``optimizer.lr=1e-3``.

    Values are read as JSON where that parses (numbers, lists, true, null) and as text otherwise;
    the field's own type then decides. Later settings win. Raises ValueError naming the setting
    and what is allowed.
    """
    tree = config.model_dump(mode="json")
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting!r}: write path=value, e.g. optimizer.lr=1e-3")
        *parents, leaf = path.strip().split(".")
        node: Any = tree
        for name in parents:
            node = _field(node, name, setting)
        _field(node, leaf, setting)
        node[leaf] = _parse(text)
    try:
        return type(config).model_validate(tree)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})"
            for e in error.errors()
        )
        raise ValueError(f"--set does not fit: {problems}") from None


def _field(node: Any, name: str, setting: str) -> Any:
    if isinstance(node, dict) and name in node:
        return node[name]
    known = ", ".join(sorted(node)) if isinstance(node, dict) else "no fields"
    raise ValueError(f"--set {setting!r}: no field {name!r} here; there is: {known}")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
