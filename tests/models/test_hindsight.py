"""Cards written late know what follows, in pieces as at once; no row knows more by them."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from cyclorama.inference.files import ids_item
from cyclorama.inference.memory_file import open_reading, read_to_file
from cyclorama.inference.messages import Stream
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS
from cyclorama.nn import cache
from cyclorama.nn.recall import Look

WAIT, LENGTH = 5, 31
TINY = LMS["tiny"].model_copy(update={"hindsight": WAIT})
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def lm(shaken):
    torch.manual_seed(0)
    return shaken(LM(TINY).double())


@pytest.fixture(scope="module")
def ids():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, TINY.vocabulary, (2, LENGTH), generator=generator)


@torch.no_grad()
def written(lm, ids, cuts=()):
    """Return the cards of a stream that is read in pieces."""
    parts, state = [], None
    for start, stop in zip([0, *cuts], [*cuts, ids.shape[1]], strict=True):
        x, _, _, following = lm.read(lm.embed(ids[:, start:stop]), state)
        parts.append(lm.write(x, state, ended=stop == ids.shape[1]))
        state = following
    return [torch.cat(cards, dim=1) for cards in zip(*parts, strict=True)]


@settings(max_examples=12, deadline=None)
@given(st.sets(st.integers(1, LENGTH - 1), max_size=9))
def test_written_in_pieces_of_any_cut_is_written_at_once(lm, ids, cuts):
    for one, other in zip(written(lm, ids, sorted(cuts)), written(lm, ids), strict=True):
        assert one.shape[1] == LENGTH
        torch.testing.assert_close(one, other, **CLOSE)


def test_a_key_knows_just_the_tokens_that_it_waits_for(lm, ids):
    place = 12
    for later, knows in ((1, True), (WAIT - 1, True), (WAIT, False), (WAIT + 3, False)):
        other = ids.clone()
        other[:, place + later] = (other[:, place + later] + 1) % TINY.vocabulary
        changed, same = (written(lm, stream)[0][:, place] for stream in (other, ids))
        assert ((changed - same).abs().max() > 1e-5) == knows


def test_no_row_sees_a_later_token_by_a_late_card(lm, ids):
    with torch.no_grad():
        wanted = lm(ids)
        for place in (1, WAIT, LENGTH - 1):
            other = ids.clone()
            other[:, place:] = (other[:, place:] + 1) % TINY.vocabulary
            torch.testing.assert_close(lm(other)[:, :place], wanted[:, :place], **CLOSE)


def test_a_new_hindsight_is_as_if_there_were_none(ids):
    torch.manual_seed(0)
    late, plain = LM(TINY), LM(LMS["tiny"])
    assert late.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
    with torch.no_grad():
        torch.testing.assert_close(late(ids), plain(ids))
        x, k, v, _ = plain.read(plain.embed(ids))
        for one, other in zip(plain.write(x), (k, v), strict=True):
            torch.testing.assert_close(one, other)


def test_a_question_is_asked_of_late_cards_and_its_own_at_once(lm, ids, monkeypatch):
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)
    reader, prompt = Reader(lm, "none"), ids[1, :7]
    document = ids[0].numpy()
    reading = read_tokens(reader, document, piece=9, memory_dtype="float64")
    late_k, late_v = written(lm, ids[:1])
    torch.testing.assert_close(reading.memory.k_SK, late_k[0], **CLOSE)
    [answer] = continue_all(reader, reading, prompts=[prompt.tolist()], max_tokens=3)
    tokens = prompt
    for token in answer:
        with torch.no_grad():
            state = lm.read(lm.embed(ids[:1]))[3]
            x, k, v, _ = lm.read(lm.embed(tokens[None]), state)
            cards = torch.cat((late_k[0], k[0])), torch.cat((late_v[0], v[0]))
            at = torch.tensor([len(cards[0]) - 1])
            logits = lm.answer(x[0, -1:], Look.causal(*cards, position_R=at))
        assert int(logits.argmax()) == token
        tokens = torch.cat((tokens, torch.tensor([token])))


@pytest.mark.parametrize("cut", [2, 20])
def test_what_is_read_later_is_known_to_the_last_cards_of_before(lm, ids, cut, monkeypatch):
    monkeypatch.setitem(cache.DTYPES, "float64", torch.float64)
    reader, document = Reader(lm, "none"), ids[0].numpy()
    first = read_tokens(reader, document[:cut], memory_dtype="float64")
    assert first.memory.num_cards == cut
    both = read_tokens(reader, document[cut:], after=first, memory_dtype="float64")
    whole = read_tokens(reader, document, memory_dtype="float64")
    assert both.memory.num_cards == whole.memory.num_cards == LENGTH
    torch.testing.assert_close(both.memory.k_SK, whole.memory.k_SK, **CLOSE)
    np.testing.assert_array_equal(both.ids, whole.ids)
    same = read_tokens(reader, [], after=first, memory_dtype="float64")
    torch.testing.assert_close(same.memory.k_SK, first.memory.k_SK)


@pytest.mark.parametrize("cut", [2, 20])
def test_a_reading_that_rested_on_disk_goes_on_as_one_in_hand(lm, ids, cut, tmp_path):
    reader, document, path = Reader(lm, "none"), ids[0].numpy(), tmp_path / "first.memory"
    first = document[:cut].astype(np.uint16)
    read_to_file(reader, Stream((ids_item(first),), ()), path=path, memory_dtype="int8")
    rest = {"after": open_reading(path, reader), "memory_dtype": "int8", "piece": 3}
    both = read_tokens(reader, document[cut:], **rest)
    whole = read_tokens(reader, document, memory_dtype="int8")
    assert both.memory.num_cards == LENGTH
    for one, other in (
        (both.memory.k_SK, whole.memory.k_SK),
        (both.memory.v_SK, whole.memory.v_SK),
    ):
        assert (one.int() - other.int()).abs().max() <= 1  # of 127
