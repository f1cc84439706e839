"""The third look: pages are asked where heads looked, and what stands there and is sure is told."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclorama.data.needle_stream import ANSWER, QUESTION, question_ids
from cyclorama.data.passages import MEDIUM
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.inference import second_look, shelf, text, third_look
from cyclorama.inference.quotes import page_of
from cyclorama.inference.second_look import BLOCK, Places
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.inference.third_look import (
    APART,
    LEAST_WEIGHT,
    NUM_SPOTS,
    Said,
    Spot,
    places_of,
    settled,
    spots_in,
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
        self.answers, self.pages = answers, []

    def __call__(self, ids):
        self.pages.append(ids.tolist())
        words = load_tokenizer().decode(ids.tolist())
        return next((said(*one) for fact, one in self.answers.items() if fact in words), NOTHING)


NOTHING = said("not found", 0.99)
TOVAK, RULD, DULL = Spot(20, 3.0), Spot(60, 1.0), Spot(40, 0.5)


def test_spots_are_where_most_weight_lies_apart_from_each_other():
    weight_D = torch.zeros(80)
    weight_D[[20, 21, 22, 50, 70]] = torch.tensor([1.0, 0.9, 0.8, 2.0, LEAST_WEIGHT * 0.9])
    found = spots_in(weight_D)
    assert [spot.drawer for spot in found] == [21, 49]  # the first of those around one peak
    assert [spot.weight for spot in found] == pytest.approx([2.7, 2.0])
    for seed in range(5):
        found = spots_in(torch.rand(200, generator=torch.Generator().manual_seed(seed)))
        assert len(found) == NUM_SPOTS
        assert min(np.diff(sorted(spot.drawer for spot in found))) >= APART
        weights = [spot.weight for spot in found]
        assert weights == sorted(weights, reverse=True)
        pages = [set(places_of(spot, 200 * BLOCK).tolist()) for spot in found]
        assert len(set.union(*pages)) == sum(map(len, pages))


@pytest.mark.parametrize("num_drawers", [12, 200])
def test_weight_is_of_the_heads_to_whom_nothing_is_nearer(num_drawers):
    num, width, heads = num_drawers * BLOCK - 5, 16, 3
    draw = torch.Generator().manual_seed(1)
    cards = torch.nn.functional.normalize(torch.randn(num, width, generator=draw), dim=-1)
    memory = open_memory(num, width, dtype="bfloat16")
    memory.append(cards, cards)
    k_SK, _ = memory.take(slice(0, num), torch.float32)
    layers = torch.nn.functional.normalize(torch.randn(2, 4, heads, width, generator=draw), dim=-1)
    places, position_R = Places(memory, heads - 1), torch.full((4,), num)
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
    short = torch.nn.functional.pad(scores, (0, 5), value=float("-inf"))
    share = short.unflatten(-1, (-1, BLOCK)).amax(-1).softmax(-1)
    kept = share >= share.topk(min(second_look.HEAVIEST, num_drawers)).values[..., -1:]
    for weight_D, wanted_D in zip(places.weights(), (share * kept).sum((0, 2)), strict=True):
        torch.testing.assert_close(weight_D, wanted_D, rtol=1e-4, atol=1e-6)


def test_a_sure_answer_is_given_without_a_page_being_read(ids):
    ask = Asked({})
    for words in ("4988", "a thing that stands nowhere"):
        sure = said(words, 0.96)
        assert settled(sure, ids=ids, spots=[TOVAK, RULD], ask=ask) is sure
    assert not ask.pages


@pytest.mark.parametrize("first", [("4988", 0.9), ("4989", 0.94), ("988", 0.94)])
def test_an_unsure_one_is_settled_by_its_pages(ids, first):
    ask = Asked({"Tovakwick": ("4988", 0.8), "Ruldford": ("71", 0.9)})
    found = settled(said(*first), ids=ids, spots=[TOVAK, RULD], ask=ask)
    assert found.words == b"4988"  # 3.0 x 0.8 and more against 1.0 x 0.9
    assert ask.pages == [ids[places_of(spot, len(ids))].tolist() for spot in (TOVAK, RULD)]


def test_votes_are_as_loud_as_spot_and_answer_are_sure(ids):
    spots = [replace(TOVAK, weight=1.0), replace(RULD, weight=0.9)]
    for chance, wanted in ((0.8, b"71"), (0.9, b"4988")):
        ask = Asked({"Tovakwick": ("4988", chance), "Ruldford": ("71", 0.95)})
        assert settled(said("rain", 0.0001), ids=ids, spots=spots, ask=ask).words == wanted
    # The answer from the cards has a vote on each page where it stands: here on both.
    ask = Asked({"Tovakwick": ("4988", 0.8), "Ruldford": ("71", 0.95)})
    assert settled(said("the rain", 0.6), ids=ids, spots=spots, ask=ask).words == b"the rain"
    # And a little by itself, by which one put together of several pages' words can win.
    faint = [replace(RULD, weight=LEAST_WEIGHT)]
    for chance, wanted in ((0.7, b"71"), (0.9, b"rain and bell")):
        ask = Asked({"Ruldford": ("71", 0.8)})
        assert settled(said("rain and bell", chance), ids=ids, spots=faint, ask=ask).words == wanted


def test_what_does_not_stand_on_its_page_has_no_vote(ids):
    ask = Asked({"Tovakwick": ("pounds 4988", 0.99), "Ruldford": ("71", 0.5)})
    assert settled(said("8", 0.9), ids=ids, spots=[TOVAK, RULD], ask=ask).words == b"71"
    garbled = said("8", 0.2)
    assert settled(garbled, ids=ids, spots=[TOVAK], ask=ask) is garbled  # nobody knows better
    assert settled(garbled, ids=ids, spots=[DULL], ask=ask) is garbled


def test_words_are_compared_as_pages_have_them(ids):
    stream = ids.copy()
    fact = encode(" The \u00c5rhus bell is called Big \u00c9mile\n Zola here.")
    stream[40 * BLOCK :][: len(fact)] = fact
    ask = Asked({"rhus": ("big \u00c9mile Zola", 0.9)})
    found = settled(said("4", 0.5), ids=stream, spots=[DULL], ask=ask)
    assert found.words == "big \u00c9mile zola".encode()


def test_words_cut_by_a_pages_edge_do_not_stand_on_it(ids):
    stream = np.resize(encode(" Wendelbach"), len(ids))
    [_, *rest] = encode(" Wendelbach").tolist()
    assert rest  # several tokens a word, so that edges cut some
    half = Said(rest, math.log(0.9))
    spots = [Spot(drawer, 1.0) for drawer in range(10, 60, APART)]
    seen = settled(said("4", 0.1), ids=stream, spots=spots, ask=lambda _: half)
    assert seen.words == b"4"


def test_an_unsure_not_found_is_settled_by_what_pages_say_and_by_those_that_say_nothing(ids):
    for chance, weight, wanted in (
        (0.96, 1.0, b"71"),
        (0.96, 0.5, b"not found"),
        (0.94, 1.0, b"not found"),
    ):
        ask = Asked({"Ruldford": ("71", chance)})  # the other page says "not found", at 0.99
        spots = [replace(TOVAK, weight=0.4), replace(RULD, weight=weight)]
        for words in ("not found", "Not  found"):
            found = settled(said(words, 0.5), ids=ids, spots=spots, ask=ask)
            assert found.words == wanted
            assert len(ask.pages) % 2 == 0
    # But no page's silence speaks against an answer from the cards.
    silent = Asked({})
    assert settled(said("8", 0.1), ids=ids, spots=[TOVAK, RULD], ask=silent).words == b"8"


def test_lists_and_what_was_seen_are_left(ids):
    ask = Asked({"Tovakwick": ("4988", 0.99), "Ruldford": ("71", 0.9)})
    first, film = said("12, 13", 0.3), ids.copy()
    assert settled(first, ids=ids, spots=[TOVAK], ask=ask) is first
    first = said("12", 0.3)
    assert settled(first, ids=ids, spots=[], ask=ask) is first
    film[21 * BLOCK + 50] = MEDIUM
    assert settled(first, ids=film, spots=[TOVAK, RULD], ask=ask) is first
    wordless = np.resize(encode(" 1 2 3"), len(ids))
    assert settled(first, ids=wordless, spots=[TOVAK], ask=ask) is first
    assert not ask.pages
    assert settled(first, ids=film, spots=[RULD, TOVAK], ask=ask).words == b"71"
    assert len(ask.pages) == 1
    assert settled(said("1,000", 0.3), ids=ids, spots=[RULD], ask=ask).words == b"71"  # no list


@pytest.mark.parametrize("drawer", [0, 5, 40, 79])
def test_a_page_lies_around_its_spot_as_far_as_there_is_text(drawer):
    places = places_of(Spot(drawer, 1.0), 80 * BLOCK - 3)
    assert places[0] == max(0, drawer - 8) * BLOCK
    assert places[-1] == min((drawer + 9) * BLOCK, 80 * BLOCK - 3) - 1
    assert len(places) == places[-1] - places[0] + 1


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    return Reader(shaken(LM(TINY).double()), "none")


@pytest.fixture
def long(monkeypatch):
    """Look more than once at any memory; a drawer a head, every weight makes a spot; never sure."""
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)
    monkeypatch.setattr(text, "LEAST", 0)
    monkeypatch.setattr(second_look, "TOP", 1)
    monkeypatch.setattr(third_look, "LEAST_WEIGHT", 1e-9)
    monkeypatch.setattr(third_look, "SURE", 0.1)
    chunks = cache.Memory.chunks
    monkeypatch.setattr(cache.Memory, "chunks", lambda self, dtype: chunks(self, dtype, 512))


PROMPTS = [question_ids(f"What weighs {name}?") for name in ("it", "Tovakwick", "the road")]
HOW = {"max_tokens": 6, "stop": EOS}


def log_chances(reader, reading, prompts, monkeypatch):
    """Return each question's answer, and the sum of its tokens' log-probabilities, stop and all."""
    sums, choose = [0.0] * len(prompts), text._choose

    def spied(logits, *how):
        chosen = choose(logits, *how)
        for row, token in enumerate(chosen):
            sums[row] += float(logits[row].log_softmax(-1)[token])
        return chosen

    with monkeypatch.context() as patch:
        patch.setattr(text, "_choose", spied)
        return continue_all(reader, reading, prompts=prompts, **HOW), sums


@pytest.mark.usefixtures("long")
def test_pages_are_asked_each_by_itself_and_the_loudest_is_told(reader, ids, monkeypatch):
    reading = read_tokens(reader, ids, memory_dtype="float64")
    calls = []

    def spied(first, *, ids, spots, ask):
        asked = {tuple(places_of(spot, len(ids)).tolist()): None for spot in spots}

        def noted(page):
            answer = ask(page)
            place = next(place for place in asked if np.array_equal(ids[list(place)], page))
            asked[place] = answer
            return answer

        told = settled(first, ids=ids, spots=spots, ask=noted)
        calls.append((first, spots, asked, told))
        return told

    monkeypatch.setattr(text, "settled", spied)
    found = continue_all(reader, reading, prompts=PROMPTS, **HOW)
    assert [told.ids for *_, told in calls] == found
    plain = replace(reader, three_looks=False)
    before = continue_all(plain, reading, prompts=PROMPTS, **HOW)
    assert [first.ids for first, *_ in calls] == before
    for number, prompt in enumerate(PROMPTS):
        [alone], [chance] = log_chances(plain, reading, [prompt], monkeypatch)
        assert calls[number][0].ids == alone
        assert calls[number][0].log_probability == pytest.approx(chance, rel=1e-6)
    monkeypatch.setattr(text, "LEAST", len(ids))  # what follows is short
    strict = replace(plain, quotes=True)
    for prompt, (_, spots, asked, _) in zip(PROMPTS, calls, strict=True):
        assert len(spots) == len(asked) == NUM_SPOTS
        for place, answer in asked.items():
            page = ids[list(place)]
            leaf = read_tokens(strict, page)
            assert continue_all(strict, leaf, prompts=[prompt], **HOW) == [answer.ids]
            whole = page_of(page).holds(answer.words)
            assert whole or answer.words == b"not found" or not answer.ids


@pytest.mark.usefixtures("long")
def test_probabilities_are_those_of_the_reader_also_where_words_are_quoted(
    reader, ids, monkeypatch
):
    reading = read_tokens(reader, ids[:2000], memory_dtype="float64")
    seen = []
    monkeypatch.setattr(text, "settled", lambda first, **_: seen.append(first) or first)
    continue_all(replace(reader, quotes=True), reading, prompts=PROMPTS[:1], **HOW)
    _, [held] = log_chances(
        replace(reader, quotes=True, three_looks=False), reading, PROMPTS[:1], monkeypatch
    )
    assert seen[0].log_probability < held - 1  # held logits share all among few


@pytest.mark.usefixtures("long")
def test_spots_are_those_of_the_first_search(reader, ids, monkeypatch):
    reading = read_tokens(reader, ids, memory_dtype="float64")
    searches, search = [], shelf.OwnShelf.search

    def spied(self, *rows, num_far=0, **how):
        searches.append(num_far)
        return search(self, *rows, num_far=num_far, **how)

    monkeypatch.setattr(shelf.OwnShelf, "search", spied)
    [answer] = continue_all(replace(reader, three_looks=False), reading, prompts=PROMPTS[:1], **HOW)
    assert searches == [0]
    comma = answer[1]
    real = text.load_tokenizer()
    marks = type("Marks", (), {"encode": lambda _, mark: [comma], "decode": real.decode})()
    monkeypatch.setattr(text, "load_tokenizer", lambda: marks)
    searches.clear()
    told = []
    monkeypatch.setattr(text, "settled", lambda first, *, spots, **_: told.append(spots) or first)
    continue_all(reader, reading, prompts=PROMPTS[:1], **HOW)
    assert searches[:2] == [TINY.cross_heads - TINY.distant_heads, 0]
    continue_all(reader, reading, prompts=PROMPTS[:1], max_tokens=1, stop=EOS)
    assert told[0] == told[1]


@pytest.mark.usefixtures("long")
def test_no_page_is_asked_where_none_can_be_or_answers_are_drawn(reader, ids, monkeypatch):
    reading = read_tokens(reader, ids, memory_dtype="float64")
    talk = read_tokens(
        reader, np.append(ids, [QUESTION, 50, ANSWER, 51, EOS]), memory_dtype="float64"
    )
    monkeypatch.setattr(text, "settled", None)  # whoever calls it fails
    prompts = [[5, 6, 7]]
    for asked, read, how in (
        (reader, reading, {"stop": None}),
        (reader, reading, {"stop": EOS, "temperature": 1.0}),
        (reader, reading, {"stop": EOS, "max_tokens": 0}),
        (reader, talk, {"stop": EOS}),
        (replace(reader, two_looks=False), reading, {"stop": EOS}),
        (replace(reader, three_looks=False), reading, {"stop": EOS}),
    ):
        continue_all(asked, read, prompts=prompts, **({"max_tokens": 3} | how))
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
