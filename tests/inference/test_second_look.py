"""The second look: what heads wanted is on the desk, and from it they recall as from the whole."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cyclorama.data.needle_stream import question_ids
from cyclorama.data.passages import stamp
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.inference import second_look, text
from cyclorama.inference.second_look import BESIDE, BLOCK, TOP, Desk, Places
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS
from cyclorama.nn import cache
from cyclorama.nn.cache import open_memory
from cyclorama.nn.recall import Look, recall

TINY = LMS["tiny"]
NUM_DRAWERS = 60
WIDTH = 16
PROMPTS = [[5, 6, 7], [9], [11, 12, 13, 14, 15], [2, 3], [40, 41, 42]]
SCALES = torch.full((2,), 30.0)
SLOPES = torch.tensor([60.0])  # all scores of the last head are negative


@pytest.fixture(autouse=True)
def exact_shelf(monkeypatch):
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(TINY).double()), "none", three_looks=False)


def unit(*shape, seed):
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def hall(num_cards, *, dtype="bfloat16"):
    memory = open_memory(num_cards, WIDTH, dtype=dtype)
    memory.append(unit(num_cards, WIDTH, seed=1), unit(num_cards, WIDTH, seed=2))
    return memory


def walk(places, q_RNK, *, chunk=512):
    """Let rows recall, as a layer does, from a memory in pieces and a card of their own."""
    memory = places.memory
    position_R = torch.full((len(q_RNK),), memory.num_cards)

    def chunks():
        yield from memory.chunks(torch.float32, chunk)
        yield q_RNK[0, :1], unit(1, WIDTH, seed=4), memory.num_cards  # it fits best of all

    look = Look(chunks, position_R, position_R + 1, note=places.note)
    recall(q_RNK, look, scale_N=SCALES, slope_M=SLOPES)
    return places


def scores_of(memory, q_NK):
    k_SK, _ = memory.take(slice(0, memory.num_cards), torch.float32)
    scores_NS = q_NK @ k_SK.T * SCALES[:, None] * math.log(memory.num_cards + 1) / math.log(4096)
    distance_S = memory.num_cards - torch.arange(memory.num_cards)
    scores_NS[-1] -= SLOPES * torch.log2(1 + distance_S / 64)
    return scores_NS


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@pytest.mark.parametrize("num_cards", [NUM_DRAWERS * BLOCK, NUM_DRAWERS * BLOCK - 13])
@pytest.mark.parametrize("chunk", [64, 512, 1024])
def test_the_best_drawers_of_every_head_and_layer_are_on_the_desk(num_cards, dtype, chunk):
    memory = hall(num_cards, dtype=dtype)
    layers = [unit(3, 2, WIDTH, seed=5 + layer) for layer in range(2)]
    places = Places(memory)
    for q_RNK in layers:
        walk(places, q_RNK, chunk=chunk)
    desks = places.desks(torch.float32)
    assert len({tuple(desk.place_S.tolist()) for desk in desks}) == 3
    for row, desk in enumerate(desks):
        wanted = set()
        for q_RNK in layers:
            for scores_S in scores_of(memory, q_RNK[row]):
                best = [float(drawer.max()) for drawer in scores_S.split(BLOCK)]
                for drawer in np.argsort(best)[-TOP:]:
                    wanted |= {drawer + step for step in BESIDE}
        places_of = {place for d in wanted for place in range(d * BLOCK, (d + 1) * BLOCK)}
        assert desk.place_S.tolist() == sorted(p for p in places_of if 0 <= p < num_cards)
        k_SK, v_SK = memory.take(slice(0, num_cards), torch.float32)
        assert torch.equal(desk.k_SK, k_SK[desk.place_S])
        assert torch.equal(desk.v_SK, v_SK[desk.place_S])
        assert desk.num_cards == num_cards


def test_pieces_hold_whole_drawers():
    assert cache.CHUNK % BLOCK == 0


def test_a_desk_is_the_memory_with_everything_else_covered():
    num, own = 640, 4
    memory, q_RNK = hall(num), unit(1, 2, WIDTH, seed=11)
    k_LK, v_LK = unit(own, WIDTH, seed=12), unit(own, WIDTH, seed=13)
    place_S = torch.cat([torch.arange(64, 128), torch.arange(320, 384)])
    desk = Desk(*memory.take(place_S, torch.float32), place_S, num)
    k_SK, v_SK = memory.take(slice(0, num), torch.float32)
    position_R, seen_1S = torch.tensor([num + own - 1]), torch.zeros(1, num + own, dtype=torch.bool)
    seen_1S[:, torch.cat((place_S, num + torch.arange(own)))] = True
    whole = Look(
        lambda: iter([(torch.cat((k_SK, k_LK)), torch.cat((v_SK, v_LK)), 0)]),
        position_R,
        position_R + 1,
        view=lambda first, size: (seen_1S, position_R[:, None] - torch.arange(first, size)),
    )
    how = {"scale_N": SCALES, "slope_M": torch.tensor([0.7])}
    torch.testing.assert_close(
        recall(q_RNK, desk.look(k_LK, v_LK), **how), recall(q_RNK, whole, **how)
    )


def read(reader, num):
    ids = np.random.default_rng(0).integers(32, TINY.vocabulary, size=num).astype(np.uint16)
    return read_tokens(reader, ids, memory_dtype="float64")


def logits_of(monkeypatch, reader, reading, *, prompts, **more):
    """Return the answers and the logits of every step."""
    seen, choose = [], text._choose
    with monkeypatch.context() as patch:
        patch.setattr(
            text, "_choose", lambda logits, *how: (seen.append(logits), choose(logits, *how))[1]
        )
        return continue_all(reader, reading, prompts=prompts, **more), seen


@pytest.fixture
def narrow(monkeypatch):
    """Look twice at any memory, and bring one drawer a head."""
    monkeypatch.setattr(text, "LEAST", 0)
    monkeypatch.setattr(second_look, "TOP", 1)
    monkeypatch.setattr(second_look, "BESIDE", (0,))
    chunks = cache.Memory.chunks
    monkeypatch.setattr(cache.Memory, "chunks", lambda self, dtype: chunks(self, dtype, 128))


@pytest.mark.usefixtures("narrow")
def test_each_question_has_its_own_desk_though_others_end_before_it(reader, monkeypatch):
    reading = read(reader, 2005)
    free = continue_all(reader, reading, prompts=PROMPTS, max_tokens=5)
    stop = free[0][1]  # so that the first ends early, and those behind it move up
    assert any(stop not in answer for answer in free)
    how = {"max_tokens": 5, "stop": stop}
    together, _ = logits_of(monkeypatch, reader, reading, prompts=PROMPTS, **how)
    assert len({len(answer) for answer in together}) > 1
    _, first = logits_of(monkeypatch, reader, reading, prompts=PROMPTS, max_tokens=1)
    for number, prompt in enumerate(PROMPTS):
        alone, logits = logits_of(monkeypatch, reader, reading, prompts=[prompt], **how)
        assert alone == [together[number]]
        torch.testing.assert_close(logits[0][0], first[0][number], rtol=1e-5, atol=1e-5)
    once = continue_all(replace(reader, two_looks=False), reading, prompts=PROMPTS, max_tokens=5)
    assert once != free  # a drawer a head is not the whole hall


@pytest.mark.parametrize("num", [3 * BLOCK, 5 * BLOCK - 7])
def test_answers_from_a_desk_with_room_for_all_are_those_of_the_memory(reader, monkeypatch, num):
    reading = read(reader, num)
    how = {"prompts": PROMPTS, "max_tokens": 5}
    monkeypatch.setattr(text, "LEAST", 0)
    monkeypatch.setattr(second_look, "TOP", 5)
    looks = []
    monkeypatch.setattr(Desk, "look", spy(Desk.look, looks))
    wanted, once = logits_of(monkeypatch, replace(reader, two_looks=False), reading, **how)
    assert not looks
    found, twice = logits_of(monkeypatch, reader, reading, **how)
    assert found == wanted
    torch.testing.assert_close(torch.stack(twice), torch.stack(once), rtol=1e-5, atol=1e-5)
    assert len(looks) == 5 * len(PROMPTS)
    assert all(len(desk.place_S) == num for desk in looks)


def test_a_long_memory_is_walked_once_and_a_short_one_never_left(reader, monkeypatch):
    reading = read(reader, 2000)
    walks = []
    monkeypatch.setattr(cache.Memory, "chunks", spy(cache.Memory.chunks, walks))
    for least, one, num in ((1999, reader, 1), (2000, reader, 4), (0, "once", 4)):
        monkeypatch.setattr(text, "LEAST", least)
        asked = replace(reader, two_looks=False) if one == "once" else one
        continue_all(asked, reading, prompts=PROMPTS, max_tokens=4)
        assert len(walks) == num * TINY.cross_depth
        walks.clear()


def test_behind_a_comma_the_memory_is_walked_anew(reader, monkeypatch):
    reading = read(reader, 2000)
    monkeypatch.setattr(text, "LEAST", 0)
    how = {"prompts": PROMPTS[:1], "max_tokens": 5}
    [answer] = continue_all(reader, reading, **how)
    marks = SimpleNamespace(encode=lambda mark: {",": [answer[1]]}[mark])
    monkeypatch.setattr(text, "load_tokenizer", lambda: marks)
    walks = []
    monkeypatch.setattr(cache.Memory, "chunks", spy(cache.Memory.chunks, walks))
    [answer] = continue_all(reader, reading, **how)
    num_commas = answer[:-1].count(marks.encode(",")[0])
    assert num_commas
    assert len(walks) == (1 + num_commas) * TINY.cross_depth


@pytest.mark.usefixtures("narrow")
def test_of_sounds_only_what_names_an_instant_is_read_from_a_desk(reader, monkeypatch):
    reading = read(reader, 2005)
    heard = replace(reading, ids=np.append(reading.ids, np.uint16(text.AUDIO)))
    whole = replace(reader, two_looks=False)
    how = {"prompts": PROMPTS, "max_tokens": 4}
    _, once = logits_of(monkeypatch, whole, reading, **how)
    _, twice = logits_of(monkeypatch, reader, reading, **how)
    named = [PROMPTS[1], PROMPTS[3]]
    words = {tuple(prompt): f"What is said at {stamp(3723)}?" for prompt in named}
    plain = [prompt for prompt in PROMPTS if prompt not in named]
    commas = [int(once[1][PROMPTS.index(prompt)].argmax()) for prompt in plain]
    marks = SimpleNamespace(
        encode={",": commas[:1]}.get, decode=lambda ids: words.get(tuple(ids), "When is it 1:2?")
    )
    monkeypatch.setattr(text, "load_tokenizer", lambda: marks)
    looks = []
    monkeypatch.setattr(Desk, "look", spy(Desk.look, looks))
    _, found = logits_of(monkeypatch, reader, heard, **how)
    assert len(looks) == 4 * len(named)  # behind its comma a plain question has no desk either
    for number, prompt in enumerate(PROMPTS):
        wanted, other = (twice, once) if prompt in named else (once, twice)
        torch.testing.assert_close(found[0][number], wanted[0][number], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(found[0][number], other[0][number], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("time_s", [0, 5025, 360_000])
def test_instants_are_known_as_they_are_asked_for(time_s):
    decode = load_tokenizer().decode
    assert text.INSTANT.search(decode(question_ids(f"What is said at {stamp(time_s)}?")))
    assert not text.INSTANT.search(decode(question_ids("When is 10:30 said, at 7?")))


def spy(function, seen):
    def called(self, *args, **more):
        seen.append(self)
        return function(self, *args, **more)

    return called
