"""The diffusion transformer, with and without its head over single latents.

Packed = alone, a sample never sees another, everything matters.
"""

import pytest
import torch

from cyclorama.models.dit import DITS, DiT, DiTConfig
from cyclorama.nn.patch import latent_positions, lay_row
from cyclorama.shapes import Compression, TokenGrid

TINY = DiTConfig(
    latent_channels=3,
    width=64,
    depth=2,
    head_size=32,
    detail_width=32,
    text_width=32,
    text_depth=1,
    vocabulary=64,
)
COMPRESSION = Compression(space=8, time=4, channels=3)
GRIDS = [TokenGrid(3, 2, 2), TokenGrid(1, 4, 2), TokenGrid(2, 2, 3)]
TEXTS = [[5, 6, 7], [], list(range(10, 21))]


@pytest.fixture(
    scope="module",
    params=[{}, {"detail_depth": 1}, {"soft_experts": 3, "expert_slots": 2}],
    ids=["no head", "head", "soft experts"],
)
def config(request):
    return TINY.model_copy(update=request.param)


@pytest.fixture(scope="module")
def model(config, shaken):
    torch.manual_seed(0)
    return shaken(DiT(config)).double()


def samples(seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = [
        torch.randn(g.num_tokens, TINY.token_size, generator=generator).double() for g in GRIDS
    ]
    times = [torch.rand(g.num_tokens, generator=generator).double() for g in GRIDS]
    positions = [latent_positions(g, rate_fps=8.0, compression=COMPRESSION, patch=2) for g in GRIDS]
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


@torch.no_grad()
def test_fresh_it_foresees_nothing_at_all(config):
    torch.manual_seed(0)
    out = run(DiT(config).double(), (0, 1, 2))
    # Nothing is a clean token of zeros, or with the head no velocity: what is seen, stays.
    for number, tokens in enumerate(samples()[0]):
        assert torch.equal(out[number], tokens if config.detail_depth else torch.zeros_like(tokens))


def test_every_weight_is_used(config, shaken):
    model = shaken(DiT(config)).double()
    sum(part.square().sum() for part in run(model, (0, 1, 2)).values()).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def with_head(shaken):
    torch.manual_seed(0)
    return shaken(DiT(TINY.model_copy(update={"detail_depth": 1}))).double()


@torch.no_grad()
def test_clean_tokens_pass_the_head_unchanged(shaken):
    model = with_head(shaken)
    tokens, times, positions = samples()
    times[0] = times[0].clone()
    times[0][2:5] = 0.0
    out = run(model, (0,), data=(tokens, times, positions))[0]
    assert torch.equal(out[2:5], tokens[0][2:5])
    others = torch.cat((out[:2] - tokens[0][:2], out[5:] - tokens[0][5:]))
    assert (others.abs().amax(dim=1) > 1e-6).all()


@torch.no_grad()
def test_the_head_tells_the_latents_of_a_token_apart(shaken):
    model = with_head(shaken)
    tokens, times, positions = samples()
    before = run(model, (0,))[0]
    # The latents of each token change places; the token's own place stays.
    after = run(model, (0,), data=(tokens, times, [p.flip(1) for p in positions]))[0]
    assert ((after - before).abs().amax(dim=1) > 1e-6).all()


@pytest.mark.parametrize("name", DITS)
def test_named_sizes_make_models(name):
    with torch.device("meta"):
        model = DiT(DITS[name])
    assert DiTConfig.from_json(model.config.to_json()) == model.config
    assert model.config.width % model.config.head_size == 0
