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
    "the onion; it was redeemed on 4 May 1822 for £1,048 by Señor Ibáñez. The  ferry 漢字 sank."
)
IDS = np.array(TOKENIZER.encode(TEXT), np.uint16)
WORDS = re.sub(r"\s+", " ", TEXT).split(" ")


def says(page, answer):
    """Tell whether the tokens of an answer, and then its end, are allowed one after the other."""
    tokens = [*TOKENIZER.encode(answer), EOS]
    return all(
        token in may_follow(page, tokens[:number], stop=EOS) for number, token in enumerate(tokens)
    )


def page(words):
    return page_of(np.array(TOKENIZER.encode(words), np.uint16))


def test_every_run_of_words_can_be_said():
    whole = page_of(IDS)
    for start in range(len(WORDS)):
        for end in range(start + 1, min(start + 7, len(WORDS)) + 1):
            quoted = " ".join(WORDS[start:end]).rstrip(",")
            assert says(whole, " " + quoted), quoted
            assert says(whole, quoted.rstrip(";.")), quoted


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
        (" SEñOR ibáñez", True),
        (" 63333", True),  # behind a hyphen a word begins
        (" £1,048", True),
        (" 1,048", True),
        (" 1", False),
        (" 048", False),
        (" 1,63333", False),
        (" 63333, the", True),
        (" onion, Señor Ibáñez, WD-63333", True),
        (" onion,Señor", False),
        (" onion Señor", False),
        (" onion,, tag", False),
        (" WD-63333,", False),
        (" not found", True),
        (" not", False),
        (" onion, not found", False),
        ("", False),  # silence is no answer
    ],
)
def test_only_runs_of_words_can_be_said(answer, can):
    assert says(page_of(IDS), answer) is can


@pytest.mark.parametrize(
    ("words", "answer", "can"),
    [
        ("The city\u2014Paris\u2014was \u201cours\u201d\u2026", " Paris", True),
        ("The city\u2014Paris\u2014was \u201cours\u201d\u2026", " ours", True),
        ("The city\u2014Paris\u2014was \u201cours\u201d\u2026", " \u201cours\u201d\u2026", True),
        ("it costs 48€ (see page 3)", " 48", True),
        ("it costs 48€ (see page 3)", " 48€ (see page 3)", True),
        ("the cafe\u0301 is shut", " caf", False),  # an accent of its own letter
        ("warm\u00a0soup", " warm soup", True),
        ("10.0.0.127 answers", " 10.0.0", False),
        ("- left , and", " -", False),
        ("- left , and", " ,", False),
        ("- left , and", " left , and", True),
        ("the ,tag is", " ,tag", False),
        ("Pi is 3.14.", " 3.14", True),
        ("Pi is 3.14.", " 14", False),
    ],
)
def test_signs_are_no_letters_and_numbers_are_whole(words, answer, can):
    assert says(page(words), answer) is can


def test_whatever_may_follow_leads_to_an_end():
    texts = [
        TEXT,
        "a - , b",
        "!? x",
        "x ,",
        "4,5 , - 漢 \u0301 e\u0301, (",
        "' \" ' a\u2014b \u2014",
    ]
    ends = 0
    for seed in range(120):
        rng, said = np.random.default_rng(seed), []
        here = page(texts[seed % len(texts)])
        while len(said) < 30:
            allowed = may_follow(here, said, stop=EOS)
            token = EOS if EOS in allowed and rng.random() < 0.2 else int(rng.choice(allowed))
            if token == EOS:
                break
            said.append(token)
        ends += len(said) < 30
        quoted = Quotations(np.array(TOKENIZER.encode(texts[seed % len(texts)]), np.uint16), EOS)
        [part] = quoted.whole_parts([said], {})
        assert part == said[: len(part)]
        assert not part or EOS in may_follow(here, part, stop=EOS)
    assert ends > 60


def test_a_text_without_spaces_is_no_burden():
    rows = page(",".join(f'{{"id":{number},"n":"x{number * 7}"}}' for number in range(800)))
    assert max(map(len, rows.beginnings)) <= max(map(len, TOKENIZER.spelling()))
    assert says(rows, " x700")


def test_pieces_and_marks_do_not_join():
    mark = TOKENIZER.special("<image>")
    ids = [*TOKENIZER.encode(" warm"), mark, *TOKENIZER.encode(" pigeon soup")]
    assert not says(page_of(np.array(ids, np.uint16)), " warm pigeon")
    assert says(page_of(np.array(ids, np.uint16)), " pigeon soup")


def test_a_word_across_the_edge_of_a_piece_is_whole():
    lead, word, tail = (TOKENIZER.encode(t) for t in (" one" * 200, " WD-63,333", " two" * 200))
    ids = np.array([*lead, *word, *tail], np.uint16)
    for cut in range(len(lead) - 40, len(lead) + len(word) + 40):
        for places in (np.arange(cut, len(ids)), np.arange(cut)):
            piece = page_of(ids, places)
            assert not any(
                says(piece, short) for short in (" 3", " 333", " 63", " WD-6", " WD-63,3")
            )
            inside = places[0] <= len(lead) and len(lead) + len(word) <= places[-1] + 1
            assert says(piece, " WD-63,333") or not inside
    apart = page_of(ids, np.array([0, len(ids) - 1]))
    assert not says(apart, " one two")


def test_a_letter_of_several_tokens_has_its_bytes():
    spelled = TOKENIZER.spelling()
    assert b"".join(spelled[i] for i in TOKENIZER.encode(TEXT)) == TEXT.encode()
    assert set(spelled[:32]) == {b""}
    assert {bytes([byte]) for byte in range(256)} <= set(spelled)


def test_what_is_likeliest_and_can_be_quoted_stays_so():
    logits = torch.randn(2, len(TOKENIZER), generator=torch.Generator().manual_seed(0))
    free, [suit] = logits.clone(), TOKENIZER.encode(" suit")
    free[0, suit] = logits[0, suit] = 20.0
    quotations = Quotations(IDS, EOS)
    quotations.hold(logits, questions=[4, 7], said=[[]] * 8, desks={})
    assert int(logits[0].argmax()) == suit
    allowed = may_follow(page_of(IDS), [], stop=EOS)
    assert torch.equal(logits[:, allowed], free[:, allowed])
    assert int(torch.isfinite(logits).sum()) == 2 * len(allowed)


@pytest.fixture(scope="module")
def reader(shaken):
    torch.manual_seed(0)
    config = LMS["tiny"].model_copy(update={"vocabulary": len(TOKENIZER)})
    return Reader(shaken(LM(config)), "none", quotes=True)


PROMPTS = [[5, 600, 7], [9], [311, 1200, 13]]


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_an_untrained_reader_answers_with_the_texts_words(reader, temperature):
    reading = read_tokens(reader, IDS)
    how = {"prompts": PROMPTS, "max_tokens": 30, "stop": EOS, "temperature": temperature}
    free = continue_all(replace(reader, quotes=False), reading, **how)
    whole = page_of(IDS)
    assert not any(says(whole, TOKENIZER.decode(answer)) for answer in free)
    held = continue_all(reader, reading, **how)
    assert any(held)
    for answer in held:
        assert not answer or EOS in may_follow(whole, answer, stop=EOS)
        for number, token in enumerate(answer):
            assert token in may_follow(whole, answer[:number], stop=EOS)


def test_of_a_long_memory_what_lies_on_the_desk_is_quoted(reader, monkeypatch):
    letters = "bdfgklmnprstvz"
    words = [f"{a}o{b}a{c}" for a in letters for b in letters for c in letters]
    ids = np.array(TOKENIZER.encode(" ".join(words)), np.uint16)
    monkeypatch.setattr(text, "LEAST", 0)
    monkeypatch.setattr(second_look, "TOP", 1)
    desks = []
    take = second_look.Places.desks

    def seen(self, dtype):
        desks.append(take(self, dtype))
        return desks[-1]

    monkeypatch.setattr(second_look.Places, "desks", seen)
    answers = continue_all(
        reader, read_tokens(reader, ids), prompts=PROMPTS, max_tokens=12, stop=EOS
    )
    assert any(answers)
    for answer, desk in zip(answers, desks[0], strict=True):
        here = page_of(ids, desk.place_S.numpy())
        assert len(here.text) < len(page_of(ids).text) / 2
        first = TOKENIZER.decode(answer).split(",")[0]
        assert not answer or first.strip() == ABSENT or says(here, first)


def test_a_desk_brought_later_is_quoted_from_too():
    ids = np.array(TOKENIZER.encode(" ".join(f"a{n} b{n} c{n}" for n in range(400))), np.uint16)
    memory = open_memory(len(ids), 4)
    memory.append(torch.zeros(len(ids), 4), torch.zeros(len(ids), 4))

    def desk(first):
        place = torch.arange(first, first + BLOCK)
        return second_look.Desk(*memory.take(place, torch.float32), place, len(ids))

    quotations, first, second = Quotations(ids, EOS), desk(0), desk(9 * BLOCK)
    both = torch.cat((first.place_S, second.place_S)).numpy()
    for some, places in ((first, first.place_S.numpy()), (first, both[:BLOCK]), (second, both)):
        logits = torch.zeros(1, len(TOKENIZER))
        quotations.hold(logits, questions=[0], said=[[]], desks={0: some})
        allowed = torch.isfinite(logits[0]).nonzero().flatten().tolist()
        assert allowed == may_follow(page_of(ids, places), [], stop=EOS)
        assert quotations.page(0, some).text == page_of(ids, places).text


def test_what_cannot_be_quoted_is_an_error(reader):
    with pytest.raises(ValueError, match="needs a stop"):
        continue_all(reader, read_tokens(reader, IDS), prompts=[[1]])
    film = [TOKENIZER.special("<video>"), *TOKENIZER.encode("8 fps 00:00:01 00:00:02")]
    for ids in (TOKENIZER.encode("00:00:01"), [*film, TOKENIZER.special("</video>")]):
        with pytest.raises(ValueError, match="no words in what was read: ask without --quote"):
            continue_all(reader, read_tokens(reader, ids), prompts=[[1]], stop=EOS)
