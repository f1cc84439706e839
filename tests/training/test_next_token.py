"""The reader's loss: a batch's memory = one document computed literally; runs resume exactly."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from cyclorama.models.lm import LM, LMS
from cyclorama.nn.recall import Look
from cyclorama.training import next_token
from cyclorama.training.loop import LoopConfig, train
from cyclorama.training.next_token import Asked, TokenBatch, next_token_loss, pick_rows
from cyclorama.training.optimizer import OptimizerConfig

TINY = LMS["tiny"].model_copy(update={"vocabulary": 64})
NUM, LENGTH, EXTRA = 3, 12, 2
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # scores of the memory are float32


@pytest.fixture(params=[0, 4])
def lm(shaken, request):
    torch.manual_seed(0)
    config = TINY.model_copy(update={"hindsight": request.param})
    model = shaken(LM(config).double())
    with torch.no_grad():
        for layer in model.inquirers:
            layer.slope_M.fill_(0.8)  # so that distances matter
    return model


def batch(*, crossbatch, extra=EXTRA, max_rows=1000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(NUM, LENGTH, generator=generator)
    weights[weights < 0.3] = 0.0
    weights[weights > 0.8] = 5.0
    return TokenBatch(
        ids_BL=torch.randint(0, 64, (NUM, LENGTH), generator=generator),
        weights_BL=weights,
        extra_EL=torch.randint(0, 64, (extra, LENGTH), generator=generator),
        crossbatch=crossbatch,
        max_rows=max_rows,
    )


def drawn():
    return torch.Generator().manual_seed(7)


def weighted(losses, weights):
    return (torch.stack(losses) * torch.stack(weights)).sum() / torch.stack(weights).sum()


def literal_loss(lm, data):
    """Lay all other sequences in front of each row's own, and compute row after row."""
    sequences = [lm.read(lm.embed(ids[None])) for ids in data.ids_BL]
    with torch.no_grad():
        sequences += [lm.read(lm.embed(ids[None])) for ids in data.extra_EL]
        strangers = [lm.write(x) for x, *_ in sequences[NUM:]]
    late = [lm.write(x) for x, *_ in sequences[:NUM]] + strangers
    losses, weights = [], []
    for own in range(NUM):
        for target in range(1, LENGTH):
            if data.weights_BL[own, target] == 0:
                continue
            before = [*range(own + 1, len(sequences)), *range(own)] if data.crossbatch else []
            known = max(0, target - lm.config.hindsight)  # cards that know nothing of the target
            own_k = torch.cat((late[own][0][0, :known], sequences[own][1][0, known:target]))
            cards = [
                torch.cat([*[late[s][0][0] for s in before], own_k]),
                torch.cat([*[late[s][1][0] for s in before], sequences[own][2][0, :target]]),
            ]
            look = Look.causal(cards[0], cards[1], position_R=torch.tensor([len(cards[0]) - 1]))
            logits = lm.answer(sequences[own][0][0, target - 1 : target], look)
            losses.append(F.cross_entropy(logits[0].float(), data.ids_BL[own, target]))
            weights.append(data.weights_BL[own, target])
    return weighted(losses, weights)


def gradients(lm, value):
    for parameter in lm.parameters():
        parameter.grad = None
    value.backward()
    return {name: p.grad.clone() for name, p in lm.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("crossbatch", "extra"), [(False, 0), (True, 0), (True, EXTRA)])
@pytest.mark.parametrize("max_rows", [7, 1000])
@pytest.mark.parametrize("together", [12, 24, 2048])
def test_a_row_sees_one_document_computed_literally(
    lm, crossbatch, extra, max_rows, together, monkeypatch
):
    monkeypatch.setattr(next_token, "READ_TOGETHER", together)
    data = batch(crossbatch=crossbatch, extra=extra)
    chosen = pick_rows(data.weights_BL, max_rows, generator=drawn())
    few = torch.zeros_like(data.weights_BL)
    few[chosen] = data.weights_BL[chosen]
    data = replace(data, weights_BL=few)
    wanted = literal_loss(lm, data)
    found, _ = next_token_loss(lm, data, generator=drawn())
    torch.testing.assert_close(found, wanted, **CLOSE)
    exact, ours = gradients(lm, wanted), gradients(lm, found)
    assert exact.keys() == ours.keys()
    for name, gradient in exact.items():  # the strangers' cards have none, in both
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


def test_alone_is_the_plain_forwards_cross_entropy(lm):
    data = batch(crossbatch=False, extra=0)
    found, metrics = next_token_loss(lm, data, generator=drawn())
    logits = lm(data.ids_BL)[:, :-1].float()
    targets, weights = data.ids_BL[:, 1:], data.weights_BL[:, 1:]
    losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    torch.testing.assert_close(found, (losses * weights).sum() / weights.sum(), **CLOSE)
    text, answers = (weights > 0) & (weights <= 1), weights > 1
    right = (logits.argmax(dim=-1) == targets).float()
    for name, wanted in [
        ("text_nats", losses[text].mean()),
        ("answer_nats", losses[answers].mean()),
        ("answer_right", right[answers].mean()),
    ]:
        assert metrics[name] == pytest.approx(wanted.item(), rel=1e-4)


def test_strangers_matter_only_when_shared(lm):
    alone = batch(crossbatch=False)
    shared = replace(alone, crossbatch=True)
    other = torch.zeros_like(alone.extra_EL)

    def loss(data):
        with torch.no_grad():
            return next_token_loss(lm, data, generator=drawn())[0]

    assert loss(alone) == loss(replace(alone, extra_EL=other))
    assert abs(loss(shared) - loss(replace(shared, extra_EL=other))) > 1e-5
    assert abs(loss(shared) - loss(alone)) > 1e-5


def test_answers_can_be_told_right(lm):
    data = batch(crossbatch=True)
    with torch.no_grad():
        lm.embed.weight.mul_(1e-3)  # all logits but one near nothing
        lm.embed.weight[5] = 0.0
        lm.norm_out.weight.zero_()
    only = replace(data, ids_BL=torch.full_like(data.ids_BL, 0))
    assert next_token_loss(lm, only, generator=drawn())[1]["answer_right"] == 1.0
    never = replace(data, ids_BL=torch.full_like(data.ids_BL, 9))
    assert next_token_loss(lm, never, generator=drawn())[1]["answer_right"] == 0.0


def test_rows_are_answers_first_then_a_sample_of_the_text():
    weights = torch.full((4, 50), 0.5)
    weights[:, 20:25] = 5.0
    weights[2] = 0.0
    weights[3, 0] = 5.0  # the first token has nothing before it
    seen = torch.zeros(4, 50)
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        rows, places = pick_rows(weights, 40, generator=generator)
        assert len(rows) == 40
        assert len(set(zip(rows.tolist(), places.tolist(), strict=True))) == 40
        assert (weights[rows, places] > 1).sum() == 15  # every answer that can be judged
        seen[rows, places] += 1
    assert seen[2].sum() == 0
    assert seen[:, 0].sum() == 0
    assert seen[:, 1:][weights[:, 1:] == 0.5].min() > 0  # no text is left out for ever
    assert seen[[0, 1, 3]][:, 20:25].eq(60).all()


def test_fewer_rows_than_answers_and_more_than_there_are():
    weights = torch.zeros(2, 10)
    weights[:, 5:8] = 5.0
    rows, places = pick_rows(weights, 4, generator=drawn())
    assert len(rows) == 4
    assert (weights[rows, places] == 5).all()
    rows, places = pick_rows(weights, 1000, generator=drawn())
    pairs = sorted(zip(rows.tolist(), places.tolist(), strict=True))
    assert pairs == [(b, p) for b in (0, 1) for p in (5, 6, 7)]
    again = pick_rows(weights, 4, generator=drawn())
    other = pick_rows(weights, 4, generator=drawn())
    assert all(torch.equal(a, b) for a, b in zip(again, other, strict=True))


LOOP = LoopConfig(
    num_steps=5,
    optimizer=OptimizerConfig(lr=0.01, warmup_steps=2),
    checkpoint_every_s=0.0,
    log_every=1,
)


def run(directory, *, stop_at=None, dtype="bfloat16"):
    """Train a tiny reader, and return the masters and the averaged one."""
    torch.manual_seed(0)
    model = LM(TINY)

    def batches(step):
        if step == stop_at:
            raise KeyboardInterrupt
        return batch(crossbatch=True, max_rows=20, seed=step)

    config = LOOP.model_copy(update={"dtype": dtype})
    quiet = {"report": lambda line: None}
    trained = train(
        model, next_token_loss, batches=batches, config=config, directory=directory, **quiet
    )
    return model, trained


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_resumed_is_uninterrupted_with_the_experts_votes(tmp_path, dtype):
    whole = run(tmp_path / "whole", dtype=dtype)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop_at=3, dtype=dtype)
    resumed = run(tmp_path / "cut", dtype=dtype)
    for one, other in zip(whole, resumed, strict=True):
        state, wanted = other.state_dict(), one.state_dict()
        assert state.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert torch.equal(state[name], tensor), name
    votes = torch.stack([layer.experts.votes_E for layer in whole[1].scribes])
    assert votes.abs().sum() > 0  # there was something to be lost


def test_a_few_steps_learn_a_batch_by_heart(tmp_path):
    data = batch(crossbatch=True)
    torch.manual_seed(0)
    model = LM(TINY)
    with torch.no_grad():
        _, before = next_token_loss(model, data, generator=drawn())
    config = LOOP.model_copy(
        update={"num_steps": 20, "average_decay": 0.5, "checkpoint_every_s": 1e9}
    )
    trained = train(
        model,
        next_token_loss,
        batches=lambda step: data,
        config=config,
        directory=tmp_path,
        report=lambda line: None,
    )
    with torch.no_grad():
        _, after = next_token_loss(trained, data, generator=drawn())
    assert after["answer_nats"] < 0.5 * before["answer_nats"]
    assert after["answer_right"] > before["answer_right"]


def asked_apart():
    """Return three sequences, of which one is asked once, one never and one twice."""
    generator = torch.Generator().manual_seed(3)
    weights = 5.0 * (torch.rand(3, 9, generator=generator) > 0.4)
    ids = torch.randint(0, 64, (3, 9), generator=generator)
    asked = Asked(ids, weights, torch.tensor([0, 2, 2]))
    return replace(batch(crossbatch=False, extra=0), asked=asked)


@pytest.mark.parametrize("together", [1, 4096])
def test_what_is_asked_apart_is_each_continuation_alone(lm, together, monkeypatch):
    monkeypatch.setattr(next_token, "ASKED_TOGETHER", together)
    data = asked_apart()
    found, _ = next_token_loss(lm, data, generator=drawn())
    found_gradients = gradients(lm, found)
    losses, weights = [], []
    for ids, each, of in zip(
        data.asked.ids_QL, data.asked.weights_QL, data.asked.of_Q, strict=True
    ):
        before, _, _, state = lm.read(lm.embed(data.ids_BL[of][None]))
        late_k, late_v = lm.write(before)  # it is over when it is asked
        x, k, v, _ = lm.read(lm.embed(ids[None]), state)
        for target in range(1, len(ids)):  # its first token is not foreseen
            if each[target] == 0:
                continue
            cards = (
                torch.cat((late[0], own[0, :target])) for late, own in ((late_k, k), (late_v, v))
            )
            look = Look.causal(*cards, position_R=torch.tensor([LENGTH + target - 1]))
            logits = lm.answer(x[0, target - 1 : target], look)
            losses.append(F.cross_entropy(logits[0].float(), ids[target]))
            weights.append(each[target])
    wanted = weighted(losses, weights)
    torch.testing.assert_close(found, wanted, **CLOSE)
    for name, gradient in gradients(lm, wanted).items():
        torch.testing.assert_close(found_gradients[name], gradient, rtol=1e-3, atol=1e-5)


def test_one_continuation_does_not_know_another(lm):
    data = asked_apart()
    other = replace(data.asked, ids_QL=data.asked.ids_QL.clone())
    other.ids_QL[0] = (other.ids_QL[0] + 1) % 64
    mine = replace(data.asked, weights_QL=data.asked.weights_QL.clone())
    mine.weights_QL[0] = 0  # only the others are judged
    one, _ = next_token_loss(lm, replace(data, asked=mine), generator=drawn())
    changed = replace(other, weights_QL=mine.weights_QL)
    two, _ = next_token_loss(lm, replace(data, asked=changed), generator=drawn())
    torch.testing.assert_close(one, two)
    with pytest.raises(ValueError, match="must come in their sequences' order"):
        replace(data.asked, of_Q=torch.tensor([2, 0, 2]))
