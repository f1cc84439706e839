"""The probe answers for any size, alone as in a batch, and treats its words alike."""

import numpy as np
import pytest
import torch

from cyclorama.models.probe import (
    PROBES,
    Probe,
    frames_to_look_at,
    judge_clips,
    prepare_clips,
    read_verdicts,
    scaled_size,
)
from cyclorama.weights.files import load_weights, save_weights

TINY = PROBES["tiny"]


def probe(seed: int = 0) -> Probe:
    """Return a tiny probe whose every layer says something."""
    torch.manual_seed(seed)
    model = Probe(TINY).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def clips(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize(
    "shape", [(2, 17, 64, 64), (1, 1, 64, 64), (1, 2, 48, 80), (1, 33, 96, 64), (1, 9, 130, 40)]
)
def test_any_size_and_length_is_judged(shape):
    verdicts = judge_clips(probe(), clips(*shape))
    assert len(verdicts) == shape[0]
    for verdict in verdicts:
        assert verdict.objects <= set(TINY.pairs)
        assert verdict.family in TINY.families
        assert verdict.camera in TINY.cameras
        assert 0 <= verdict.count <= TINY.max_count
        assert 0 <= verdict.doubt <= 0.5


def test_a_clip_in_a_batch_is_judged_as_alone():
    model, batch = probe(), clips(3, 9, 64, 64)
    together = judge_clips(model, batch)
    alone = [judge_clips(model, batch[n : n + 1])[0] for n in range(3)]
    for one, other in zip(together, alone, strict=True):
        assert (one.objects, one.count, one.family, one.camera) == (
            other.objects,
            other.count,
            other.family,
            other.camera,
        )
        assert one.doubt == pytest.approx(other.doubt, abs=1e-5)


def test_frames_looked_at_are_spread_from_first_to_last():
    config = TINY.model_copy(update={"num_frames": 9})
    assert frames_to_look_at(17, config).tolist() == list(range(0, 17, 2))
    assert frames_to_look_at(4, config).tolist() == [0, 1, 2, 3]
    assert frames_to_look_at(1, config).tolist() == [0]
    assert frames_to_look_at(33, config)[[0, -1]].tolist() == [0, 32]


def test_clips_are_scaled_to_one_shorter_side():
    assert scaled_size(128, 192, side=64) == (64, 96)
    assert scaled_size(96, 64, side=64) == (96, 64)
    assert scaled_size(40, 130, side=64) == (64, 208)
    gray = torch.full((1, 2, 128, 192, 3), 51, dtype=torch.uint8)
    prepared = prepare_clips(gray, TINY)
    assert prepared.shape == (1, 2, 64, 96, 3)
    torch.testing.assert_close(prepared, torch.full_like(prepared, 51 / 127.5 - 1))
    same = torch.from_numpy(clips(1, 2, 64, 64))
    torch.testing.assert_close(prepare_clips(same, TINY), same.float() / 127.5 - 1)


def evidence(model: Probe, frames: np.ndarray):
    with torch.no_grad():
        picks = torch.arange(frames.shape[1])
        return model(prepare_clips(torch.from_numpy(frames), model.config), picks)


def test_each_cell_shows_one_thing_and_colour_and_shape_are_scored_apart():
    cells = evidence(probe(), clips(1, 3, 64, 64)).cells
    torch.testing.assert_close(cells.logsumexp(-1), torch.zeros(cells.shape[:-1]))
    pairs = cells[..., :-1].unflatten(-1, (len(TINY.colours), len(TINY.shapes)))
    red, green = pairs[..., 0, :], pairs[..., 1, :]
    # What makes a ball likelier than a cube does so in any colour: unseen pairs can be named.
    torch.testing.assert_close(red[..., 0] - red[..., 1], green[..., 0] - green[..., 1])


def test_renaming_colours_renames_the_answer_only():
    model = probe()
    cells = evidence(model, clips(1, 3, 64, 64)).cells
    order = torch.randperm(len(TINY.colours), generator=torch.Generator().manual_seed(3))
    grid = cells[..., :-1].unflatten(-1, (len(TINY.colours), len(TINY.shapes)))
    swapped = torch.cat((grid[..., order, :].flatten(-2), cells[..., -1:]), dim=-1)
    with torch.no_grad():
        plain, renamed = model.weigh_cells(cells), model.weigh_cells(swapped)
    plain = plain.unflatten(-1, (len(TINY.colours), len(TINY.shapes)))[:, order].flatten(1)
    torch.testing.assert_close(renamed, plain)


def test_a_pair_that_covers_cells_surely_reads_as_present():
    found = evidence(probe(), clips(1, 3, 64, 64))
    presence = torch.full_like(found.presence, -5.0)
    presence[0, TINY.pairs.index(("blue", "cone"))] = 5.0
    count = torch.nn.functional.one_hot(torch.tensor([1]), TINY.max_count + 1).float()
    verdict = read_verdicts(found._replace(presence=presence, count=count), TINY)[0]
    assert verdict.objects == {("blue", "cone")}
    assert verdict.count == 1
    assert verdict.doubt == pytest.approx(1 / (1 + np.exp(5)), rel=1e-4)
    assert verdict.text.startswith("1: blue cone; ")


def test_still_and_moving_clips_differ_for_the_story():
    model = probe()
    moving = clips(1, 3, 64, 64)
    still = np.repeat(moving[:, :1], 3, axis=1)
    assert not torch.allclose(evidence(model, moving).camera, evidence(model, still).camera)


def test_weights_go_through_a_file(tmp_path):
    model = probe()
    path = tmp_path / "probe.safetensors"
    save_weights(path, model, kind="probe", facts={"recipe": "probe"})
    opened = load_weights(path, kind="probe")
    assert opened.model.config == TINY
    for name, p in opened.model.state_dict().items():
        torch.testing.assert_close(p, model.state_dict()[name], rtol=1 / 128, atol=0)


def test_the_bundled_size_is_small_and_its_words_are_the_stage():
    from cyclorama.worlds.recipe import DOMAINS

    stage, config = DOMAINS["stage"], PROBES["stage"]
    assert set(config.colours) == set(stage.colours)
    assert set(config.shapes) == set(stage.shapes)
    assert set(config.families) == {name for name, _ in stage.families}
    assert set(config.cameras) == {name for name, _ in stage.cameras}
    assert sum(p.numel() for p in Probe(config).parameters()) < 1_500_000


def test_clips_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        judge_clips(probe(), np.zeros((1, 2, 64, 64, 3), np.float32))
    with pytest.raises(ValueError, match=r"\(B, T, H, W, 3\)"):
        judge_clips(probe(), np.zeros((2, 64, 64, 3), np.uint8))
