"""Quotations: every run of whole words of a text can be said, and nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclorama.data.needle_stream import ABSENT
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.inference import second_look, text
from cyclorama.inference.quotes import Quotations, may_follow, page_of
from cyclorama.inference.second_look import BLOCK
from cyclorama.inference.text import Reader, continue_all, read_tokens
from cyclorama.models.lm import LM, LMS
from cyclorama.nn.cache import open_memory

TOKENIZER = load_tokenizer()
TEXT = (
    "At the airport the suitcase of Émile d'Œuvre was given the tag WD-63333,\nthe one with "
    "the onion; it was redeemed on 4 May 1822 for £48 by Señor Ibáñez. The  ferry 漢字 sank."
)
IDS = np.array(TOKENIZER.encode(TEXT), np.uint16)
PLAIN = re.sub(r"\s+", " ", TEXT)
WORDS = PLAIN.split(" ")


def says(page, answer):
    """Tell whether the tokens of an answer, and then its end, are allowed one after the other."""
    tokens = [*TOKENIZER.encode(answer), EOS]
    return all(
        token in may_follow(page, tokens[:number], stop=EOS) for number, token in enumerate(tokens)
    )


def is_quotation(answer):
    """Tell whether an answer is runs of whole words of the text, commas between them."""
    answer = answer.strip().lower()
    run = r"(?:(?<!\S)|(?<![^\W_])(?=[^\W_]))" + re.escape(answer) + r"(?:(?<=[\W_])|(?![^\W_]))"
    commas = [match.start() for match in re.finditer(",", answer)]
    return bool(answer) and (
        answer == ABSENT
        or re.search(run, PLAIN.lower()) is not None
        or any(is_quotation(answer[:at]) and is_quotation(answer[at + 1 :]) for at in commas)
    )


def test_every_run_of_words_can_be_said():
    page = page_of(IDS)
    for start in range(len(WORDS)):
        for end in range(start + 1, min(start + 7, len(WORDS)) + 1):
            quoted = " ".join(WORDS[start:end])
            assert says(page, " " + quoted), quoted
            assert says(page, quoted.rstrip(",;.")), quoted


@pytest.mark.parametrize(
    ("answer", "can"),
    [
        (" WD-63333", True),
        (" WD-6333", False),  # a number is said to its end
        (" WD-633333", False),
        (" ion", False),  # and a word from its beginning
        (" red", False),
        (" redeemed", True),
        (" REDEEMED", True),
        (" 63333", True),  # behind a hyphen a word begins
        (" onion, Señor Ibáñez, WD-63333", True),
        (" onion Señor", False),
        (" onion,, tag", False),
        (" not found", True),
        (" not", False),
        ("", False),  # silence is no answer
    ],
)
def test_what_is_no_run_of_words_cannot_be_said(answer, can):
    assert says(page_of(IDS), answer) is can


def test_whatever_may_follow_ends_as_a_quotation():
    page, ends = page_of(IDS), 0
    for seed in range(60):
        rng, said = np.random.default_rng(seed), []
        while len(said) < 40:
            allowed = may_follow(page, said, stop=EOS)
            assert allowed  # there is always a way on
            token = EOS if EOS in allowed and rng.random() < 0.2 else int(rng.choice(allowed))
            if token == EOS:
                assert is_quotation(TOKENIZER.decode(said)), TOKENIZER.decode(said)
                ends += 1
                break
            said.append(token)
    assert ends > 30


def test_pieces_and_marks_do_not_join():
    mark = TOKENIZER.special("<image>")
    ids = np.array([*TOKENIZER.encode(" warm"), mark, *TOKENIZER.encode(" pigeon soup")], np.uint16)
    assert not says(page_of(ids), " warm pigeon")
    assert says(page_of(ids), " pigeon soup")
    apart = page_of(ids, np.array([0, *range(3, len(ids))]))
    assert says(apart, " warm")
    assert not says(apart, " warm soup")
    assert not says(apart, " warm pigeon")


def test_a_letter_of_several_tokens_has_its_bytes():
    spelled = TOKENIZER.spelling()
    assert b"".join(spelled[i] for i in TOKENIZER.encode(TEXT)) == TEXT.encode()
    assert set(spelled[:32]) == {b""}
    assert {bytes([byte]) for byte in range(256)} <= set(spelled)


def test_what_is_likeliest_and_can_be_quoted_stays_so():
    logits = torch.randn(2, len(TOKENIZER), generator=torch.Generator().manual_seed(0))
    free, [onion] = logits.clone(), TOKENIZER.encode(" suit")
    free[0, onion] = logits[0, onion] = 20.0
    quotations = Quotations(IDS, EOS)
    quotations.hold(logits, questions=[4, 7], said=[[]] * 8, desks={})
    assert int(logits[0].argmax()) == onion
    allowed = may_follow(page_of(IDS), [], stop=EOS)
    assert torch.equal(logits[:, allowed], free[:, allowed])
    assert int(torch.isfinite(logits).sum()) == 2 * len(allowed)


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    config = LMS["tiny"].model_copy(update={"vocabulary": len(TOKENIZER)})
    return Reader(shaken(LM(config)), "none")


PROMPTS = [[5, 600, 7], [9], [311, 1200, 13]]


def test_an_untrained_reader_answers_with_the_texts_words(reader):
    reading = read_tokens(reader, IDS)
    how = {"prompts": PROMPTS, "max_tokens": 30, "stop": EOS}
    free = continue_all(reader, reading, **how)
    assert not any(is_quotation(TOKENIZER.decode(answer)) for answer in free)
    held = continue_all(replace(reader, quotes=True), reading, **how)
    done = [TOKENIZER.decode(answer) for answer in held if len(answer) < 30]
    assert all(is_quotation(answer) for answer in done)
    page = page_of(IDS)
    for answer in held:
        for number, token in enumerate(answer):
            assert token in may_follow(page, answer[:number], stop=EOS)


def test_a_desk_is_quoted_from_and_one_brought_later_too(reader, monkeypatch):
    ids = np.resize(IDS, 40 * BLOCK)
    memory = open_memory(len(ids), 4)
    memory.append(torch.zeros(len(ids), 4), torch.zeros(len(ids), 4))

    def desk(first):
        place = torch.arange(first, first + BLOCK)
        return second_look.Desk(*memory.take(place, torch.float32), place, len(ids))

    quotations, said, first, second = Quotations(ids, EOS), [[]], desk(0), desk(7 * BLOCK)
    one, two = (page_of(ids, some.place_S.numpy()) for some in (first, second))
    for some, page in ((first, one), (first, one), (second, one + two)):
        logits = torch.zeros(1, len(TOKENIZER))
        quotations.hold(logits, questions=[0], said=said, desks={0: some})
        allowed = torch.isfinite(logits[0]).nonzero().flatten().tolist()
        assert allowed == may_follow(page, [], stop=EOS)
    assert set(may_follow(one, [], stop=EOS)) < set(may_follow(one + two, [], stop=EOS))
    monkeypatch.setattr(text, "LEAST", 0)
    reading = read_tokens(reader, ids)
    [answer] = continue_all(replace(reader, quotes=True), reading, prompts=PROMPTS[:1], stop=EOS)
    assert answer


def test_quotations_need_an_end(reader):
    with pytest.raises(ValueError, match="needs a stop"):
        continue_all(replace(reader, quotes=True), read_tokens(reader, IDS), prompts=[[1]])
