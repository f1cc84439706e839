"""Which clips a recipe trains on: sizes with shares, and a word for what cannot be opened."""

import pytest

from cyclorama.config import override
from cyclorama.recipes.data import DataConfig, open_data
from cyclorama.shapes import VideoShape


def test_sizes_are_frames_rows_and_columns():
    config = DataConfig(sizes={"17x64x96": 0.75, "1x32x32": 0.25})
    assert config.shapes() == ((VideoShape(17, 64, 96), 0.75), (VideoShape(1, 32, 32), 0.25))
    assert sum(share for _, share in DataConfig().shapes()) == pytest.approx(1)


def test_sizes_can_be_set_from_the_command_line():
    config = override(DataConfig(), ['sizes={"9x32x32": 1.0}', "num_clips=3"])
    assert config.shapes() == ((VideoShape(9, 32, 32), 1.0),)


@pytest.mark.parametrize("spec", ["nowhere", "clips.tar"])
def test_what_cannot_be_opened_names_what_can(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"give worlds, a NAME\.lance store, or a folder"):
        open_data(spec, DataConfig(), directory=tmp_path / "clips", report=print)
