"""The third look: pages are asked where heads looked, and what stands there and is sure is told."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclorama.data.needle_stream import question_ids
from cyclorama.data.passages import MEDIUM
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.inference import second_look, text, third_look
from cyclorama.inference.quotes import page_of
from cyclorama.inference.second_look import BLOCK, Places
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.inference.third_look import (
    APART,
    LEAST_WEIGHT,
    NUM_PLACES,
    Place,
    Said,
    leaf_of,
    places_of,
    settled,
)
from cyclorama.models.lm import LM, LMS
from cyclorama.nn import cache
from cyclorama.nn.cache import open_memory
from cyclorama.nn.recall import Look, recall

TINY = LMS["tiny"].model_copy(update={"vocabulary": len(load_tokenizer())})
FILLER = " The rain went on all night, and in the morning the road was gone."
FACTS = {
    20: " The bell of Tovakwick weighs 4988 pounds.",
    60: " The bell of Ruldford weighs 71 pounds.",
}


def encode(words):
    return np.array(load_tokenizer().encode(words), np.uint16)


@pytest.fixture(scope="module")
def ids():
    """Return a text of 80 drawers with a fact in two of them."""
    stream = np.resize(encode(FILLER), 80 * BLOCK)
    for drawer, words in FACTS.items():
        fact = encode(words)
        stream[drawer * BLOCK + 20 :][: len(fact)] = fact
    return stream


def said(words, chance):
    return Said(encode(" " + words).tolist(), math.log(chance))


class Asked:
    """Answers by the fact that a page has; notes which pages were asked."""

    def __init__(self, answers):
        self.answers, self.leaves = answers, []

    def __call__(self, leaf):
        self.leaves.append(leaf)
        words = load_tokenizer().decode(leaf.tolist())
        return next((said(*one) for fact, one in self.answers.items() if fact in words), NOTHING)


NOTHING = said("not found", 0.99)
TOVAK, RULD, DULL = Place(20, 3.0), Place(60, 1.0), Place(40, 0.5)


def test_places_are_where_most_weight_lies_apart_from_each_other():
    weight_RD = torch.zeros(2, 50)
    weight_RD[0, [10, 11, 12, 30, 45]] = torch.tensor([1.0, 0.9, 0.8, 2.0, LEAST_WEIGHT * 0.9])
    weight_RD[1, 49] = 5.0
    first, second = places_of(weight_RD)
    assert [place.drawer for place in first] == [11, 29]  # the first of those around one peak
    assert [place.weight for place in first] == pytest.approx([2.7, 2.0])
    assert [place.drawer for place in second] == [48]
    crowded = torch.rand(5, 200, generator=torch.Generator().manual_seed(0))
    for chosen in places_of(crowded):
        drawers = sorted(place.drawer for place in chosen)
        assert len(drawers) == NUM_PLACES
        assert min(np.diff(drawers)) >= APART
        weights = [place.weight for place in chosen]
        assert weights == sorted(weights, reverse=True)


def test_weight_is_of_the_heads_to_whom_distance_is_nothing():
    num, width, heads = 20 * BLOCK, 16, 3
    draw = torch.Generator().manual_seed(1)
    cards = torch.nn.functional.normalize(torch.randn(num, width, generator=draw), dim=-1)
    memory = open_memory(num, width, dtype="bfloat16")
    memory.append(cards, cards)
    k_SK, _ = memory.take(slice(0, num), torch.float32)
    layers = torch.nn.functional.normalize(torch.randn(2, 4, heads, width, generator=draw), dim=-1)
    places, position_R = Places(memory, num_far=heads - 1), torch.full((4,), num)
    scale_N = torch.tensor([20.0, 30.0, 40.0])

    def chunks():
        yield from memory.chunks(torch.float32, 512)
        yield k_SK[:1], k_SK[:1], num

    for q_RNK in layers:
        look = Look(chunks, position_R, position_R + 1, note=places.note)
        recall(q_RNK, look, scale_N=scale_N, slope_M=torch.tensor([9.0]))
    places.desks(torch.float32)
    heat = math.log(num + 1) / math.log(4096)
    scores = torch.einsum("lrnk,sk->lrns", layers[:, :, :-1], k_SK) * scale_N[:-1, None] * heat
    best = scores.unflatten(-1, (-1, BLOCK)).amax(-1)
    wanted = best.softmax(-1).sum((0, 2))
    torch.testing.assert_close(places.weight_RD, wanted, rtol=2e-2, atol=1e-3)


def test_a_sure_answer_that_stands_on_its_page_is_given_without_a_page_being_read(ids):
    ask = Asked({})
    sure = said("4988", 0.96)
    assert settled(sure, ids=ids, places=[TOVAK, RULD], ask=ask) is sure
    assert not ask.leaves


@pytest.mark.parametrize("first", [("4988", 0.9), ("4989", 0.99), ("988", 0.99)])
def test_one_that_is_unsure_or_stands_nowhere_is_settled_by_its_pages(ids, first):
    ask = Asked({"Tovakwick": ("4988", 0.8), "Ruldford": ("71", 0.9)})
    found = settled(said(*first), ids=ids, places=[TOVAK, RULD], ask=ask)
    assert found.text == "4988"  # 3.0 x 0.8 and more against 1.0 x 0.9
    assert [leaf.tolist() for leaf in ask.leaves] == [
        leaf_of(ids, place).tolist() for place in (TOVAK, RULD)
    ]


def test_votes_are_as_loud_as_place_and_answer_are_sure(ids):
    places = [replace(TOVAK, weight=1.0), replace(RULD, weight=0.9)]
    for chance, wanted in ((0.8, "71"), (0.9, "4988")):
        ask = Asked({"Tovakwick": ("4988", chance), "Ruldford": ("71", 0.95)})
        assert settled(said("rain", 0.0001), ids=ids, places=places, ask=ask).text == wanted
    # The answer from the cards has a vote on each page where it stands: here on both.
    ask = Asked({"Tovakwick": ("4988", 0.8), "Ruldford": ("71", 0.95)})
    assert settled(said("the rain", 0.6), ids=ids, places=places, ask=ask).text == "the rain"


def test_what_does_not_stand_on_its_page_has_no_vote(ids):
    ask = Asked({"Tovakwick": ("pounds 4988", 0.99), "Ruldford": ("71", 0.5)})
    assert settled(said("8", 0.99), ids=ids, places=[TOVAK, RULD], ask=ask).text == "71"
    garbled = said("8", 0.2)
    assert settled(garbled, ids=ids, places=[TOVAK], ask=ask) is garbled  # nobody knows better
    assert settled(garbled, ids=ids, places=[DULL], ask=ask) is garbled


def test_lists_what_is_nowhere_and_pages_with_media_are_left(ids):
    ask = Asked({"Tovakwick": ("4988", 0.99)})
    for words in ("12, 13", "not found", "Not found"):
        first = said(words, 0.3)
        assert settled(first, ids=ids, places=[TOVAK], ask=ask) is first
    first, film = said("12", 0.3), ids.copy()
    assert settled(first, ids=ids, places=[], ask=ask) is first
    film[21 * BLOCK + 50] = MEDIUM
    assert settled(first, ids=film, places=[TOVAK], ask=ask) is first
    assert not ask.leaves
    wordless = np.resize(encode(" 1 2 3"), len(ids))
    assert settled(first, ids=wordless, places=[TOVAK], ask=ask) is first


@pytest.mark.parametrize("drawer", [0, 5, 40, 79])
def test_a_page_lies_around_its_drawer_as_far_as_there_is_text(ids, drawer):
    numbered = np.arange(len(ids))
    leaf = leaf_of(numbered, Place(drawer, 1.0))
    assert {drawer * BLOCK, drawer * BLOCK + BLOCK - 1} <= set(leaf.tolist())
    assert len(leaf) == (17 if 8 <= drawer < 72 else 9 + min(drawer, 79 - drawer)) * BLOCK


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(TINY).double()), "none")


@pytest.fixture
def long(monkeypatch):
    """Look more than once at any memory; a few drawers a head, all of them places; never sure."""
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)
    monkeypatch.setattr(text, "LEAST", 0)
    monkeypatch.setattr(second_look, "TOP", 1)
    monkeypatch.setattr(third_look, "LEAST_WEIGHT", 0.0)
    monkeypatch.setattr(third_look, "SURE", 0.1)
    chunks = cache.Memory.chunks
    monkeypatch.setattr(cache.Memory, "chunks", lambda self, dtype: chunks(self, dtype, 512))


@pytest.mark.usefixtures("long")
def test_answers_are_those_of_the_pages_each_read_by_itself(reader, ids, monkeypatch):
    reading = read_tokens(reader, ids, memory_dtype="float64")
    prompts = [question_ids(f"What weighs {name}?") for name in ("it", "Tovakwick", "the road")]
    how = {"max_tokens": 6, "stop": EOS}
    calls = []

    def spied(first, *, ids, places, ask):
        answers = [ask(leaf_of(ids, place)) for place in places]
        calls.append((first, places, answers))
        return answers[-1]

    monkeypatch.setattr(text, "settled", spied)
    found = continue_all(reader, reading, prompts=prompts, **how)
    before = continue_all(replace(reader, three_looks=False), reading, prompts=prompts, **how)
    assert [first.ids for first, _, _ in calls] == before
    strict = replace(reader, three_looks=False, quotes=True)
    monkeypatch.setattr(text, "LEAST", len(ids))  # what follows is short
    for prompt, answer, (_, places, answers) in zip(prompts, found, calls, strict=True):
        assert answer == answers[-1].ids
        assert len(places) == NUM_PLACES
        for place, one in zip(places, answers, strict=True):
            leaf = leaf_of(ids, place)
            alone = continue_all(strict, read_tokens(strict, leaf), prompts=[prompt], **how)
            assert alone == [one.ids]
            assert not one.ids or page_of(leaf).holds(one.text.encode()) or one.text == "not found"
            assert one.log_probability <= 0


@pytest.mark.usefixtures("long")
def test_no_page_is_asked_where_none_can_be_or_answers_are_drawn(reader, ids, monkeypatch):
    reading = read_tokens(reader, ids, memory_dtype="float64")
    monkeypatch.setattr(text, "settled", None)  # whoever calls it fails
    prompts = [[5, 6, 7]]
    once = replace(reader, two_looks=False)
    for asked, how in (
        (reader, {"stop": None}),
        (reader, {"stop": EOS, "temperature": 1.0}),
        (once, {"stop": EOS}),
        (replace(reader, three_looks=False), {"stop": EOS}),
    ):
        continue_all(asked, reading, prompts=prompts, max_tokens=3, **how)
    monkeypatch.setattr(text, "LEAST", len(ids))
    continue_all(reader, reading, prompts=prompts, max_tokens=3, stop=EOS)


@pytest.mark.usefixtures("long")
def test_what_is_streamed_is_what_was_settled(reader, ids, monkeypatch):
    reading = read_tokens(reader, ids, memory_dtype="float64")
    answers = [Said([40, 41, 42], -0.1), Said([], -0.1), Said([50], -0.1)]
    left = iter(answers)
    monkeypatch.setattr(text, "settled", lambda *_, **__: next(left))
    steps = []
    prompts = [[5], [6, 7], [8]]
    found = continue_all(
        reader, reading, prompts=prompts, max_tokens=4, stop=EOS, stream=steps.append
    )
    assert found == [one.ids for one in answers]
    assert steps == [[40, -1, 50], [41, -1, -1], [42, -1, -1], [-1, -1, -1]]
