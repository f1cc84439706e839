"""Configurations are frozen, come back from JSON, and change only through typed settings."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.config import Config, override


class Leaf(Config):
    """``leaf`` and ``a`` repeat names of the levels above, which override must not confuse."""

    a: int = 1
    leaf: float = 0.5
    name: str = "x"


class Branch(Config):
    a: Leaf = Leaf()
    leaf: Leaf = Leaf(a=2)
    sizes: tuple[int, ...] = (1, 2)


class Root(Config):
    a: Branch = Branch()
    leaf: int = 3
    flag: bool = False
    note: str | None = None


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return every path of a configuration with its value."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        found |= leaves(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


PATHS = leaves(Root().model_dump(mode="json"))


def values_like(value: Any) -> st.SearchStrategy:
    """Return values that a field holding ``value`` accepts."""
    match value:
        case bool():
            return st.booleans()
        case int():
            return st.integers(-(10**9), 10**9)
        case float():
            return st.floats(allow_nan=False, allow_infinity=False)
        case list():
            return st.lists(st.integers(-9, 9), max_size=3)
    return st.text(max_size=12)


@given(st.sampled_from(sorted(PATHS)), st.data())
def test_one_setting_changes_exactly_one_field(path, data):
    value = data.draw(values_like(PATHS[path]))
    changed = override(Root(), [f"{path}={json.dumps(value)}"])
    assert leaves(changed.model_dump(mode="json")) == PATHS | {path: value}


@given(st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers(), max_size=4))
def test_json_round_trip(number, real, text, sizes):
    config = Root(a=Branch(a=Leaf(a=number, leaf=real, name=text), sizes=tuple(sizes)), leaf=number)
    assert Root.from_json(config.to_json()) == config
    assert Root.from_json(config.to_json()).digest() == config.digest()


@given(st.sampled_from(sorted(PATHS)), st.data())
def test_the_digest_changes_with_every_field(path, data):
    value = data.draw(values_like(PATHS[path]))
    changed = override(Root(), [f"{path}={json.dumps(value)}"])
    assert (changed.digest() == Root().digest()) == (value == PATHS[path])


def test_text_needs_no_quotes_and_later_settings_win():
    changed = override(Root(), ["note=two words", "leaf=4", "leaf=5", "a.a.name = bare"])
    assert (changed.note, changed.leaf, changed.a.a.name) == ("two words", 5, " bare")


def test_a_whole_branch_can_be_set():
    assert override(Root(), ['a.leaf={"a": 9}']).a.leaf == Leaf(a=9)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("leaf", "write path=value"),
        ("laef=1", "no field 'laef' here; there is: a, flag, leaf, note"),
        ("a.leaf.b=1", "no field 'b' here; there is: a, leaf, name"),
        ("leaf.a=1", "no field 'a' here; there is: no fields"),
        ("leaf=much", r"leaf: .*integer.*got 'much'"),
        ("a.leaf.leaf=true please", r"a\.leaf\.leaf: .*number"),
        ("=1", "no field ''"),
    ],
)
def test_a_setting_that_does_not_fit_is_an_error(setting, message):
    with pytest.raises(ValueError, match=message):
        override(Root(), [setting])


def test_configurations_are_frozen_and_closed():
    with pytest.raises(ValueError, match="frozen"):
        Root().leaf = 4  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        Root.from_json('{"laef": 1}')
