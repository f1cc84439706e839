"""The probe's batches tell the truth, are spoilt as asked, and can be learnt from."""

from functools import partial

import numpy as np
import pytest
import torch

from cyclorama.data.loader import ShapeBatches
from cyclorama.data.sample import Sample
from cyclorama.models.probe import PROBES, Evidence, Probe, judge_clips
from cyclorama.shapes import VideoShape
from cyclorama.training.judging import (
    UNKNOWN,
    JudgingBatches,
    JudgingConfig,
    cells_of,
    jittered_frames,
    judging_loss,
    spoil,
    truth_of,
)
from cyclorama.training.loop import LoopConfig, train
from cyclorama.training.optimizer import OptimizerConfig

TINY = PROBES["tiny"]
PRISTINE = JudgingConfig(corrupt_share=0, blur_share=0, noise=0, brightness=0)
RGB = {"red": (220, 20, 20), "green": (20, 170, 40), "blue": (20, 40, 230)}


def scene(colours: list[str], *, shapes: list[str] | None = None, moves: bool = False) -> Sample:
    """Return a clip of blocks, one a colour, on gray; a ball is drawn flat, a cube tall."""
    shapes = shapes or ["ball"] * len(colours)
    frames = np.full((5, 64, 64, 3), 128, np.uint8)
    ids = np.zeros((5, 64, 64), np.uint8)
    for number, (colour, shape) in enumerate(zip(colours, shapes, strict=True)):
        height, width = (8, 24) if shape == "ball" else (24, 8)
        for t in range(5):
            x = 4 + 20 * number + (3 * t if moves else 0)
            frames[t, 20 : 20 + height, x : x + width] = RGB[colour]
            ids[t, 20 : 20 + height, x : x + width] = number + 1
    truth = {
        "count": len(colours),
        "objects": [{"colour": c, "shape": s} for c, s in zip(colours, shapes, strict=True)],
        "family": "slide" if moves else "static",
        "camera": "static",
        "ids": list(range(1, len(colours) + 1)),
    }
    return Sample("-".join(colours), frames, 8.0, truth=truth, weight_map=ids)


class Scenes(list):
    """A source of the scenes it holds."""

    def shape_of(self, index: int) -> VideoShape:
        return self[index].shape


def batches(scenes: list[Sample], *, config: JudgingConfig = PRISTINE, corrupt=None, size: int = 2):
    deal = ShapeBatches(Scenes(scenes), size * 5 * 64 * 64, 0)
    return JudgingBatches(deal, TINY, config, corrupt)


def test_cells_show_what_the_pixel_at_their_middle_shows():
    sample = scene(["red"], shapes=["cube"])
    cells = cells_of(sample, np.array([0, 4]), config=TINY)
    assert cells.shape == (2, 16, 16)
    nothing, red_cube = len(TINY.pairs), TINY.pairs.index(("red", "cube"))
    expected = np.full((16, 16), nothing)
    expected[5:11, 1:3] = red_cube  # rows 20 to 44, columns 4 to 12, in cells of 4
    np.testing.assert_array_equal(cells[0], expected)
    np.testing.assert_array_equal(cells[1], expected)


def test_cells_are_unknown_without_ids_and_for_objects_without_a_name():
    sample = scene(["red", "blue"])
    unnamed = {**sample.truth, "ids": [1], "objects": sample.truth["objects"][:1]}
    cells = cells_of(
        Sample("x", sample.frames, 8.0, truth=unnamed, weight_map=sample.weight_map),
        np.array([0]),
        config=TINY,
    )
    assert (cells == UNKNOWN).any()
    assert (cells == TINY.pairs.index(("red", "ball"))).any()
    without = Sample("x", sample.frames, 8.0, truth=sample.truth)
    assert (cells_of(without, np.array([0]), config=TINY) == UNKNOWN).all()


def test_truth_becomes_the_words_numbers():
    presence, count, family, camera = truth_of(scene(["green", "red"], moves=True), TINY)
    there = {TINY.pairs[n] for n, value in enumerate(presence) if value}
    assert there == {("green", "ball"), ("red", "ball")}
    assert (count, TINY.families[family], TINY.cameras[camera]) == (2, "slide", "static")


def test_words_the_probe_lacks_and_missing_truth_are_errors():
    sample = scene(["red"])
    strange = {**sample.truth, "family": "explode"}
    with pytest.raises(ValueError, match="no family 'explode'"):
        truth_of(Sample("x", sample.frames, 8.0, truth=strange), TINY)
    with pytest.raises(ValueError, match="has no truth"):
        batches([Sample("x", sample.frames, 8.0)])(0)


def test_a_batch_depends_on_its_step_alone():
    config = JudgingConfig(corrupt_share=0)
    scenes = [scene(["red"]), scene(["blue"]), scene(["green"]), scene(["red", "blue"])]
    one, other = batches(scenes, config=config), batches(scenes, config=config)
    other(0)
    for name, value in vars(one(3)).items():
        assert torch.equal(value, vars(other(3))[name]), name
    assert not torch.equal(one(3).clips, one(5).clips)


def test_corrupted_clips_take_the_place_of_clips_and_keep_their_truth():
    black = np.zeros((5, 64, 64, 3), np.uint8)
    config = PRISTINE.model_copy(update={"corrupt_share": 1.0})
    scenes = [scene(["red"]), scene(["blue"])]
    seen = batches(scenes, config=config, corrupt=lambda index: black)(0)
    assert (seen.clips == -1).all()
    assert seen.presence.sum() == 2
    never = batches(scenes, config=config, corrupt=lambda index: None)(0)
    unspoilt = batches(scenes, corrupt=lambda index: black)(0)
    assert torch.equal(never.clips, unspoilt.clips)
    assert (never.clips > -1).any()


def test_spoiling_can_be_nothing_and_stays_in_range():
    clips = torch.rand(3, 2, 16, 16, 3) * 2 - 1
    rng = np.random.default_rng(0)
    assert torch.equal(spoil(clips, PRISTINE, rng=rng), clips)
    spoilt = spoil(clips, JudgingConfig(blur_share=1.0), rng=rng)
    assert not torch.equal(spoilt, clips)
    assert spoilt.abs().max() <= 1
    flat = torch.full((1, 2, 16, 16, 3), 0.25)
    blurred = spoil(flat, PRISTINE.model_copy(update={"blur_share": 1.0}), rng=rng)
    torch.testing.assert_close(blurred, flat)


def test_jittered_frames_are_distinct_and_in_order():
    config = TINY.model_copy(update={"num_frames": 9})
    rng = np.random.default_rng(0)
    drawn = [jittered_frames(17, config, rng=rng) for _ in range(50)]
    for picks in drawn:
        assert len(picks) == 9
        assert (np.diff(picks) > 0).all()
        assert picks[0] >= 0
        assert picks[-1] <= 16
    assert len({tuple(picks) for picks in drawn}) > 1
    assert jittered_frames(9, config, rng=rng).tolist() == list(range(9))


class Knowing(torch.nn.Module):
    """Answers with the truth, or with its opposite, however sure it is told to be."""

    def __init__(self, batch, surety: float):
        super().__init__()
        self.batch, self.surety = batch, torch.nn.Parameter(torch.tensor(surety))

    def forward(self, clips, times):
        def sure(numbers, size):
            return torch.nn.functional.one_hot(numbers, size) * self.surety

        batch = self.batch
        cells = sure(batch.cells, len(TINY.pairs) + 1).log_softmax(-1)
        return Evidence(
            (batch.presence * 2 - 1) * self.surety,
            sure(batch.count, 5),
            sure(batch.family, len(TINY.families)),
            sure(batch.camera, len(TINY.cameras)),
            cells,
        )


def test_the_loss_rewards_knowing_and_is_the_formula_when_ignorant():
    batch = batches([scene(["red"]), scene(["blue"])])(0)
    know = partial(judging_loss, batch=batch, generator=torch.Generator(), config=PRISTINE)
    loss, metrics = know(Knowing(batch, 30.0))
    assert loss < 1e-6
    assert metrics == {"exact": 1.0, "count": 1.0, "family": 1.0, "camera": 1.0}
    ignorant, _ = know(Knowing(batch, 0.0))
    pairs, log = len(TINY.pairs), np.log
    expected = 0.3 * (pairs * log(2) + log(5) + log(6) + log(5)) + log(pairs + 1)
    assert ignorant.item() == pytest.approx(expected, rel=1e-5)
    wrong, metrics = know(Knowing(batch, -30.0))
    assert wrong > ignorant
    assert metrics["exact"] == 0


def test_a_tiny_probe_learns_its_scenes(tmp_path):
    scenes = [
        scene(["red"]),
        scene(["blue"], shapes=["cube"]),
        scene(["green"], moves=True),
        scene(["red", "blue"], moves=True),
    ]
    torch.manual_seed(0)
    trained = train(
        Probe(TINY),
        partial(judging_loss, config=PRISTINE),
        batches=batches(scenes, size=4),
        config=LoopConfig(
            num_steps=160,
            log_every=160,
            average_decay=0.9,
            dtype="float32",
            optimizer=OptimizerConfig(lr=1e-2, warmup_steps=10),
        ),
        directory=tmp_path,
        report=lambda line: None,
    )
    verdicts = judge_clips(trained, np.stack([one.frames for one in scenes]))
    for one, verdict in zip(scenes, verdicts, strict=True):
        assert verdict.objects == {(o["colour"], o["shape"]) for o in one.truth["objects"]}
        assert verdict.count == one.truth["count"]
        assert verdict.family == one.truth["family"]
