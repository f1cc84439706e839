"""The diffusion transformer: packed = alone, a sample never sees another, positions in seconds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.models.dit import (
    DITS,
    DiT,
    DiTConfig,
    lay_row,
    patchify,
    token_positions,
    unpatchify,
)
from cyclorama.shapes import Compression, TokenGrid

TINY = DiTConfig(
    latent_channels=3, width=64, depth=2, head_size=32, text_width=32, text_depth=1, vocabulary=64
)
COMPRESSION = Compression(space=8, time=4, channels=3)
GRIDS = [TokenGrid(3, 2, 2), TokenGrid(1, 4, 2), TokenGrid(2, 2, 3)]
TEXTS = [[5, 6, 7], [], list(range(10, 21))]


@pytest.fixture(scope="module")
def model(shaken):
    torch.manual_seed(0)
    return shaken(DiT(TINY)).double()


def samples(seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = [
        torch.randn(g.num_tokens, TINY.token_size, generator=generator).double() for g in GRIDS
    ]
    times = [torch.rand(g.num_tokens, generator=generator).double() for g in GRIDS]
    positions = [token_positions(g, rate_fps=8.0, compression=COMPRESSION, patch=2) for g in GRIDS]
    return tokens, times, positions


def run(model, numbers, texts=TEXTS, data=None):
    tokens, times, positions = data or samples()
    row = lay_row([texts[n] for n in numbers], [positions[n] for n in numbers], text_multiple=4)
    out = model(
        torch.cat([tokens[n] for n in numbers]), torch.cat([times[n] for n in numbers]), row=row
    )
    return dict(zip(numbers, out.split([len(tokens[n]) for n in numbers]), strict=True))


@torch.no_grad()
@pytest.mark.parametrize("numbers", [(0, 1, 2), (2, 0, 1), (1, 2)])
def test_packed_is_alone(model, numbers):
    packed = run(model, numbers)
    for number in numbers:
        alone = run(model, (number,))[number]
        torch.testing.assert_close(packed[number], alone, atol=1e-12, rtol=0)


@torch.no_grad()
def test_a_sample_never_sees_another(model):
    before = run(model, (0, 1, 2))
    tokens, times, positions = samples()
    tokens[1], times[1], positions[1] = tokens[1] * 50, 1 - times[1], positions[1] + 3
    texts = [TEXTS[0], [9], TEXTS[2]]
    after = run(model, (0, 1, 2), texts, (tokens, times, positions))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[2], after[2])
    assert not torch.allclose(before[1], after[1])


@torch.no_grad()
def test_each_input_matters(model):
    plain = run(model, (0,))[0]
    tokens, times, positions = samples()
    assert not torch.allclose(run(model, (0,), [[5, 6, 8], [], []])[0], plain, atol=1e-6)
    for place, value in (
        (0, [t * 1.1 for t in tokens]),
        (1, [t * 0.9 for t in times]),
        (2, [p * 1.5 for p in positions]),
    ):
        data = [tokens, times, positions]
        data[place] = value
        assert not torch.allclose(run(model, (0,), data=data)[0], plain, atol=1e-6), place


@torch.no_grad()
def test_one_tokens_time_reaches_its_neighbours(model):
    tokens, times, positions = samples()
    before = run(model, (0,), data=(tokens, times, positions))[0]
    times[0] = times[0].clone()
    times[0][3] = 0.0
    after = run(model, (0,), data=(tokens, times, positions))[0]
    assert ((after - before).abs().amax(dim=1) > 0).all()


def test_fresh_it_foresees_nothing_at_all():
    torch.manual_seed(0)
    out = run(DiT(TINY).double(), (0, 1, 2))
    assert all(not part.any() for part in out.values())


def test_every_weight_is_used(shaken):
    model = shaken(DiT(TINY)).double()
    sum(part.square().sum() for part in run(model, (0, 1, 2)).values()).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 3]))
def test_patches_go_back(num_frames, height, width, patch):
    grid = TokenGrid(num_frames, height, width)
    latents = torch.randn(num_frames, height * patch, width * patch, 3)
    tokens = patchify(latents, patch)
    assert tokens.shape == (grid.num_tokens, 3 * patch**2)
    assert torch.equal(unpatchify(tokens, grid, patch=patch), latents)


def test_a_token_is_one_square_of_the_latent():
    latents = torch.arange(2 * 4 * 6).reshape(2, 4, 6, 1).float()
    tokens = patchify(latents, 2)
    assert tokens[0].tolist() == [0, 1, 6, 7]
    assert tokens[3].tolist() == [12, 13, 18, 19]  # second row of tokens
    assert tokens[6].tolist() == [24, 25, 30, 31]  # second latent frame


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), min_size=1, max_size=6))
def test_where_everything_stands_in_a_row(sizes):
    texts = [list(range(1, n + 1)) for n, _ in sizes]
    positions = [torch.full((v, 3), float(number)).double() for number, (_, v) in enumerate(sizes)]
    row = lay_row(texts, positions, text_multiple=4)
    num_text, num_video = len(row.text_ids), sum(v for _, v in sizes)
    assert sorted(row.place.tolist()) == list(range(num_text + num_video))
    assert row.place[row.place_video].tolist() == list(range(num_text, num_text + num_video))
    assert row.segment.tolist() == sorted(row.segment.tolist())
    assert sum(count * length for count, length in row.runs) == len(row.place)
    assert sum(count * length for count, length in row.text_runs) == num_text
    for number, text in enumerate(texts):
        own = row.text_ids[row.text_segment == number].tolist()
        assert own[: len(text)] == text
        assert not any(own[len(text) :])
        assert len(own) % 4 == 0
        assert 0 < len(own) < max(len(text), 1) + 4
        here = row.positions[row.segment == number]
        assert not here[: len(own)].any()  # text stands at the origin
        assert torch.equal(here[len(own) :], positions[number])


def test_positions_are_seconds_and_centred_units():
    places = token_positions(TokenGrid(3, 2, 4), rate_fps=8.0, compression=COMPRESSION, patch=2)
    seconds, rows, columns = places.reshape(3, 2, 4, 3).unbind(dim=-1)
    # A first frame at 0, then groups of frames 1..4 and 5..8 at their middles.
    assert seconds[:, 0, 0].tolist() == [0, 2.5 / 8, 6.5 / 8]
    torch.testing.assert_close(rows, -rows.flip(1))
    torch.testing.assert_close(columns, -columns.flip(2))
    half_side = 8**0.5 / 2
    torch.testing.assert_close(columns[0, 0].diff(), torch.full((3,), 1 / half_side).double())
    torch.testing.assert_close(rows[0, :, 0].diff(), torch.full((1,), 1 / half_side).double())


def test_a_shorter_clip_stands_where_the_longer_one_begins():
    long, short = (
        token_positions(TokenGrid(t, 2, 2), rate_fps=12.0, compression=COMPRESSION, patch=2)
        for t in (5, 2)
    )
    assert torch.equal(long[: len(short)], short)


def test_texts_and_clips_must_be_as_many():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        lay_row([[1], [2]], [torch.zeros(1, 3).double()], text_multiple=4)


def test_a_row_moves_as_a_whole():
    row = lay_row(TEXTS, samples()[2], text_multiple=4)
    moved = row.to("meta")
    assert all(x.device.type == "meta" for x in vars(moved).values() if torch.is_tensor(x))
    assert moved.runs == row.runs


@pytest.mark.parametrize("name", DITS)
def test_named_sizes_make_models(name):
    with torch.device("meta"):
        model = DiT(DITS[name])
    assert DiTConfig.from_json(model.config.to_json()) == model.config
    assert model.config.width % model.config.head_size == 0
