"""Rows of the generator's training: a pure function of the step, and a loss computed by hand."""

import numpy as np
import pytest
import torch

from cyclorama.data.latents import build_latent_cache
from cyclorama.diffusion.flow import TIME_FLOOR, velocity_loss
from cyclorama.models.dit import DITS, DiT
from cyclorama.nn.patch import latent_positions, patchify
from cyclorama.shapes import Compression, TokenGrid
from cyclorama.training.denoising import DenoisingConfig, RowBatches, denoising_loss

COMPRESSION = Compression(space=8, time=4, channels=8)


def encode(frames):
    """Return latents of the right shape that differ in every clip: random projections."""
    _, num_frames, height, width, _ = frames.shape
    shape = (1 + (num_frames - 1) // 4, height // 8, width // 8, 8)
    return np.stack([np.random.default_rng(int(clip.sum())).normal(size=shape) for clip in frames])


@pytest.fixture(scope="module")
def cache(tmp_path_factory, squares):
    return build_latent_cache(
        tmp_path_factory.mktemp("latents"),
        squares(12),
        encode=encode,
        name="projections",
        report=lambda line: None,
    )


def ids_of(text):
    return [1 + byte % 60 for byte in text.encode()]


def rows(cache, seed=0, prompt_ids=ids_of, **config):
    return RowBatches(
        cache, COMPRESSION, 2, 8, prompt_ids, DenoisingConfig(budget_tokens=150, **config), seed
    )


def assert_same(one, other):
    for name in ("clean_LvP", "noisy_LvP", "times_Lv"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert torch.equal(one.row.text_ids, other.row.text_ids)
    assert torch.equal(one.row.positions, other.row.positions)
    assert torch.equal(one.row.latent_positions, other.row.latent_positions)
    assert one.row.runs == other.row.runs


def test_a_row_is_a_pure_function_of_the_step(cache):
    in_order = [rows(cache)(step) for step in range(1)] + [rows(cache)(7)]
    batches = rows(cache)
    for step, expected in ((7, in_order[1]), (0, in_order[0]), (7, in_order[1])):
        assert_same(batches(step), expected)
    assert not torch.equal(batches(0).noisy_LvP, rows(cache, seed=1)(0).noisy_LvP)


def test_tokens_are_on_the_path_and_clean_ones_are_clean(cache):
    batches, seen = rows(cache, mask_share=0.9, whole_share=0.1), 0
    for step in range(6):
        batch = batches(step)
        t = batch.times_Lv[:, None]
        noise = (batch.noisy_LvP - (1 - t) * batch.clean_LvP) / t.clamp(min=1e-6)
        still = batch.times_Lv == 0
        assert torch.equal(batch.noisy_LvP[still], batch.clean_LvP[still])
        seen += int(still.sum())
        assert abs(noise[batch.times_Lv > 0.3].std() - 1) < 0.2
    assert seen > 0


def test_whole_clips_are_the_caches_latents(cache):
    batches = rows(cache, image_share=0.0, cut_share=0.0)
    batch = batches(0)
    tokens = [
        patchify(torch.from_numpy(cache[int(i)].latents.astype(np.float32)), 2)
        for i in batches.plan.items_of(0)
    ]
    assert sum(map(len, tokens)) == len(batch.clean_LvP)
    starts = {tuple(part[0].tolist()) for part in tokens}
    assert starts <= {tuple(token.tolist()) for token in batch.clean_LvP}
    assert batch.row.num_segments == len(tokens)


def test_images_are_first_frames_with_positions_of_their_own(cache):
    batch = rows(cache, image_share=1.0)(0)
    assert not batch.row.positions[batch.row.place_video, 0].any()  # all at zero seconds
    small, wide = (
        latent_positions(TokenGrid(1, 2, w), rate_fps=8.0, compression=COMPRESSION, patch=2)
        for w in (2, 3)
    )
    spacetime = torch.ones(len(batch.row.place), dtype=torch.bool)
    spacetime[batch.row.place < len(batch.row.text_ids)] = False
    for segment in range(batch.row.num_segments):
        own = batch.row.positions[spacetime & (batch.row.segment == segment)]
        assert torch.equal(own, (small if len(own) == 4 else wide).mean(dim=1))


def test_cut_clips_are_shorter(cache):
    def lengths(**config):
        batches = rows(cache, image_share=0.0, **config)
        return sum(len(batches(step).clean_LvP) for step in range(8))

    assert lengths(cut_share=1.0) < lengths(cut_share=0.0)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"": 1.0}, {""}),
        ({"short": 1.0}, {"a red square", "a green square", "a blue square"}),
        ({"timed": 1.0}, {"a red square", "a green square", "a blue square"}),
        ({"dense": 1.0}, {f"a {c} square moves right on gray." for c in ("red", "green", "blue")}),
    ],
)
def test_captions_are_of_the_kind_drawn_or_the_only_one(cache, shares, expected):
    asked = set()

    def prompt_ids(text):
        asked.add(text)
        return []

    batches = rows(cache, prompt_ids=prompt_ids, caption_shares=shares)
    batch = [batches(step) for step in range(8)][-1]
    assert asked <= expected
    assert len(batch.row.text_ids) == 8 * batch.row.num_segments


def test_the_words_of_the_captions(cache):
    assert rows(cache, caption_shares={"short": 1.0}).words() == [
        "a",
        "blue",
        "green",
        "red",
        "square",
    ]
    assert "gray" in rows(cache, caption_shares={"short": 0.5, "dense": 0.5}).words()
    assert rows(cache, caption_shares={"": 1.0}).words() == []


@pytest.mark.parametrize("detail_depth", [0, 1])
def test_the_loss_by_hand(cache, detail_depth):
    batch = rows(cache, mask_share=0.9, whole_share=0.1)(0)
    fresh = DiT(DITS["tiny"].model_copy(update={"detail_depth": detail_depth}))
    loss, metrics = denoising_loss(fresh, batch, generator=torch.Generator())
    clean, t = batch.clean_LvP, batch.times_Lv
    # Fresh it foresees zeros; with the head no velocity, so that what is noisy stays.
    error = batch.noisy_LvP - clean if detail_depth else clean
    errors = (error / t.clamp(min=TIME_FLOOR)[:, None]).square().mean(dim=1)[t > 0]
    assert loss.item() == pytest.approx(errors.mean().item(), rel=1e-5)
    assert metrics["clean_error"] == pytest.approx(error.square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("detail_depth", [0, 1])
def test_the_loss_does_not_reach_clean_tokens(cache, shaken, detail_depth):
    model = shaken(DiT(DITS["tiny"].model_copy(update={"detail_depth": detail_depth})))
    batch = rows(cache, mask_share=0.9, whole_share=0.1)(1)
    assert (batch.times_Lv == 0).any()
    predicted = model(batch.noisy_LvP, batch.times_Lv, row=batch.row)
    predicted.retain_grad()
    velocity_loss(predicted, batch.clean_LvP, time=batch.times_Lv).sum().backward()
    assert predicted.grad is not None
    assert not predicted.grad[batch.times_Lv == 0].any()
    assert predicted.grad[batch.times_Lv > 0].any(dim=1).all()


def test_what_does_not_fit_a_row_is_an_error(cache):
    with pytest.raises(ValueError, match="does not fit a row of 20"):
        RowBatches(
            cache, COMPRESSION, 2, 8, ids_of, DenoisingConfig(budget_tokens=20), 0
        ).plan.items_of(0)
