"""The catalogue: every bundled weight is there with its card and its checksum; others by path."""

import pytest

from cyclorama.weights.catalogue import BUNDLED, FOLDER, card, find_weights
from cyclorama.weights.files import checksum_of, load_weights


def test_every_bundled_file_is_what_the_catalogue_says():
    assert {path.stem for path in FOLDER.glob("*.safetensors")} == set(BUNDLED)
    for name, checksum in BUNDLED.items():
        path = find_weights(name)
        assert checksum_of(path) == checksum, f"{name} is not the file that was measured"
        assert len(card(name)) > 200, f"the card of {name} says nothing"
        load_weights(path)


def test_a_file_and_a_folder_with_one_are_found(tmp_path):
    path = tmp_path / "run" / "mine.safetensors"
    path.parent.mkdir()
    path.touch()
    assert find_weights(str(path)) == path
    assert find_weights(str(path.parent)) == path
    (path.parent / "other.safetensors").touch()
    with pytest.raises(ValueError, match=r"holds 2 \.safetensors files"):
        find_weights(str(path.parent))


@pytest.mark.parametrize("wrong", ["lion", "runs/none.safetensors", ""])
def test_what_is_not_there_names_what_is(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no weights|holds 0"):
        find_weights(wrong)
    with pytest.raises(ValueError, match="no bundled weights"):
        card(wrong)
