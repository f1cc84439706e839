"""Stretches do not overlap, and hold twins of each other's instants."""

import numpy as np
import pytest

from cyclorama.data.instants import Stretch, draw_stretches, twins
from cyclorama.data.passages import stamp

LATEST_S = 36_000


def test_twins_differ_in_one_digit_or_in_two_swapped():
    found = {stamp(time_s) for time_s in twins(1 * 3600 + 42 * 60 + 36, latest_s=LATEST_S)}
    assert {"01:24:36", "01:32:46", "07:42:36", "01:42:30", "01:02:36"} <= found
    assert "01:42:36" not in found
    assert "01:42:63" not in found  # no clock says so
    assert "11:42:36" not in found  # too late
    for text in found:
        unlike = [i for i in range(8) if text[i] != "01:42:36"[i]]
        assert len(unlike) == 1 or (len(unlike) == 2 and sorted(text) == sorted("01:42:36"))


@pytest.mark.parametrize("grain_s", [1, 5])
def test_stretches_are_apart_and_their_places_within(grain_s):
    drawn = draw_stretches(
        np.random.default_rng(0), 12, length_s=60, num_places=7, grain_s=grain_s, latest_s=LATEST_S
    )
    starts = sorted(stretch.start_s for stretch in drawn)
    assert np.diff(starts).min() >= 60
    assert starts[0] >= 0 and starts[-1] <= LATEST_S - 60
    for stretch in drawn:
        assert len(set(stretch.places)) == 7
        assert all(0 <= place < 60 and place % grain_s == 0 for place in stretch.places)
        assert stretch.start_s % grain_s == 0


def paired(drawn):
    """Return the share of instants that have a twin in another stretch."""
    times = [{stretch.start_s + place for place in stretch.places} for stretch in drawn]
    return np.mean(
        [
            any(not others.isdisjoint(twins(time_s, latest_s=LATEST_S))
                for others in times if others is not mine)
            for mine in times
            for time_s in mine
        ]
    )  # fmt: skip


def test_most_instants_have_a_twin_in_another_stretch(monkeypatch):
    settings = {"length_s": 60, "num_places": 6, "latest_s": LATEST_S}
    seeds = range(8)
    near = [paired(draw_stretches(np.random.default_rng(s), 8, **settings)) for s in seeds]
    monkeypatch.setattr("cyclorama.data.instants.TWIN_SHARE", 0.0)
    anywhere = [paired(draw_stretches(np.random.default_rng(s), 8, **settings)) for s in seeds]
    assert np.mean(near) > 0.6
    assert np.mean(anywhere) < 0.2


def test_places_are_checked():
    Stretch(0, (0, 55)).check(length_s=60, grain_s=5)
    for places in ((0, 60), (0, 0), (0, 7), (-5, 0)):
        with pytest.raises(ValueError, match="places must differ and be multiples of 5"):
            Stretch(0, places).check(length_s=60, grain_s=5)


def test_what_has_no_room_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no room for 2 stretches of 10 s with 3 places at every"):
        draw_stretches(rng, 2, length_s=10, num_places=3, grain_s=5, latest_s=LATEST_S)
    with pytest.raises(ValueError, match="no room for 40 stretches"):
        draw_stretches(rng, 40, length_s=10, num_places=2, latest_s=600)
