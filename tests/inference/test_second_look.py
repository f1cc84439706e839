"""The second look: the desk holds what was found, and a desk with everything is the memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclorama.inference import second_look, text
from cyclorama.inference.second_look import BLOCK, TOP, Desk, Places
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS
from cyclorama.nn import cache
from cyclorama.nn.cache import open_memory
from cyclorama.nn.recall import Look, recall

TINY = LMS["tiny"]
NUM_DRAWERS = 40
WIDTH = 16


@pytest.fixture(autouse=True)
def exact_shelf(monkeypatch):
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(TINY).double()), "none")


def unit(*shape, seed):
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def hall(num_cards, *, dtype="bfloat16"):
    memory = open_memory(num_cards, WIDTH, dtype=dtype)
    memory.append(unit(num_cards, WIDTH, seed=1), unit(num_cards, WIDTH, seed=2))
    return memory


def walked(memory, q_RNK, *, chunk=512):
    """Return the places that queries note in a memory shown piece by piece, as a model's layer."""
    places = Places(memory)
    num_rows, num_heads, _ = q_RNK.shape
    position = torch.full((num_rows,), memory.num_cards)

    def chunks():
        yield from memory.chunks(torch.float32, chunk)
        yield unit(1, WIDTH, seed=3), unit(1, WIDTH, seed=4), memory.num_cards

    look = Look(chunks, position, position + 1, note=places.note)
    recall(q_RNK, look, scale_N=torch.full((num_heads,), 30.0), slope_M=torch.zeros(0))
    return places


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@pytest.mark.parametrize("num_cards", [NUM_DRAWERS * BLOCK, NUM_DRAWERS * BLOCK - 13])
def test_the_best_cards_of_every_head_and_layer_are_on_the_desk(num_cards, dtype):
    memory = hall(num_cards, dtype=dtype)
    k_SK, v_SK = memory.take(slice(0, num_cards), torch.float32)
    layers = [unit(3, 2, WIDTH, seed=5 + layer) for layer in range(2)]
    places = walked(memory, layers[0])
    places.noted += walked(memory, layers[1]).noted
    for row, desk in enumerate(places.desks(torch.float32)):
        on_desk = set(desk.place_S.tolist())
        assert desk.place_S.tolist() == sorted(on_desk)
        assert on_desk < set(range(num_cards))  # not all of them
        assert torch.equal(desk.k_SK, k_SK[desk.place_S])
        assert torch.equal(desk.v_SK, v_SK[desk.place_S])
        for q_RNK in layers:
            drawers_N = [
                [float(part.max()) for part in (k_SK @ q).split(BLOCK)] for q in q_RNK[row]
            ]
            for best_S in drawers_N:
                for drawer in np.argsort(best_S)[-TOP:]:
                    wanted = range(max(0, drawer - 1) * BLOCK, (drawer + 3) * BLOCK)
                    assert {place for place in wanted if place < num_cards} <= on_desk


def test_pieces_of_any_size_are_noted_alike():
    memory, q_RNK = hall(NUM_DRAWERS * BLOCK), unit(2, 3, WIDTH, seed=9)
    few, many = (walked(memory, q_RNK, chunk=size) for size in (64, 1024))
    for one, other in zip(few.desks(torch.float32), many.desks(torch.float32), strict=True):
        assert torch.equal(one.place_S, other.place_S)


def test_a_desk_with_every_card_is_the_memory():
    memory, q_RNK = hall(300), unit(1, 3, WIDTH, seed=11)
    k_LK, v_LK = unit(4, WIDTH, seed=12), unit(4, WIDTH, seed=13)
    how = {"scale_N": torch.full((3,), 30.0), "slope_M": torch.tensor([0.7])}
    k_SK, v_SK = memory.take(slice(0, 300), torch.float32)
    desk = Desk(k_SK, v_SK, torch.arange(300), 300)
    whole = Look.causal(
        torch.cat((k_SK, k_LK)), torch.cat((v_SK, v_LK)), position_R=torch.tensor([303])
    )
    torch.testing.assert_close(
        recall(q_RNK, desk.look(k_LK, v_LK), **how), recall(q_RNK, whole, **how)
    )


def read(reader, num):
    ids = np.random.default_rng(0).integers(TINY.vocabulary, size=num).astype(np.uint16)
    return read_tokens(reader, ids, memory_dtype="float64")


PROMPTS = [[5, 6, 7], [9], [11, 12, 13, 14, 15]]


@pytest.mark.parametrize("num", [3 * BLOCK, 5 * BLOCK - 7])
def test_answers_from_a_desk_with_room_for_all_are_those_of_the_memory(reader, monkeypatch, num):
    reading = read(reader, num)
    once = replace(reader, two_looks=False)
    wanted = continue_all(once, reading, prompts=PROMPTS, max_tokens=5)
    monkeypatch.setattr(text, "LEAST", 0)
    monkeypatch.setattr(second_look, "TOP", 5)
    looks = []
    monkeypatch.setattr(Desk, "look", spy(Desk.look, looks))
    assert continue_all(reader, reading, prompts=PROMPTS, max_tokens=5) == wanted
    assert len(looks) == 5 * len(PROMPTS)
    assert all(len(desk.place_S) == num for desk in looks)


def test_a_long_memory_is_walked_once_and_a_short_one_never_left(reader, monkeypatch):
    reading = read(reader, 2000)
    walks = []
    monkeypatch.setattr(cache.Memory, "chunks", spy(cache.Memory.chunks, walks))
    monkeypatch.setattr(text, "LEAST", 1999)
    continue_all(reader, reading, prompts=PROMPTS, max_tokens=4)
    assert len(walks) == TINY.cross_depth
    walks.clear()
    monkeypatch.setattr(text, "LEAST", 2000)
    continue_all(reader, reading, prompts=PROMPTS, max_tokens=4)
    assert len(walks) == 4 * TINY.cross_depth


def spy(function, seen):
    def called(self, *args, **more):
        seen.append(self)
        return function(self, *args, **more)

    return called
