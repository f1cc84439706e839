"""Rows with media: only answers weigh, each is true of what is shown, media have their places."""

import numpy as np
import pytest

from cyclorama.data.asked_clips import asked_clips
from cyclorama.data.instants import Stretch
from cyclorama.data.media_rows import (
    CARD_COLOURS,
    card,
    card_row,
    clip_row,
    film_needle_row,
    sound_needle_row,
    speech_row,
)
from cyclorama.data.needle_stream import ABSENT, ANSWER
from cyclorama.data.passages import MEDIUM, stamp
from cyclorama.data.requests import CAPTION_REQUESTS, SAID_REQUEST
from cyclorama.data.sample import Sample
from cyclorama.data.tokenizer import EOS, load_tokenizer
from cyclorama.shapes import SOUND_RATE_HZ, grid_of_frames

CLIPS = asked_clips("stage", "train", num_clips=3)


def num_places(row):
    """Return how many tokens the media of a row have."""
    return sum(
        25 * len(m) if m.ndim == 2 else grid_of_frames(len(m), m.shape[1:3]).num_tokens
        for m in row.media
    )


def check(row):
    """Hold a row to what every row is: places for media, answers that weigh and nothing else."""
    sequence = row.sequence
    assert (sequence.ids == MEDIUM).sum() == num_places(row)
    weighed = np.zeros(len(sequence.ids), bool)
    for (start, stop), asked in zip(sequence.answers, sequence.asked, strict=True):
        assert load_tokenizer().decode(sequence.ids[start:stop]) == " " + asked.answer
        assert sequence.ids[start - 1] == ANSWER
        assert sequence.ids[stop] == EOS
        weighed[start : stop + 1] = True
    np.testing.assert_array_equal(sequence.weights > 1, weighed)
    np.testing.assert_array_equal(sequence.weights[~weighed], 0)
    return {asked.text: asked.answer for asked in sequence.asked}


def tones(num):
    """Return words and loud sounds of 1.5 s in their place."""
    wave = np.sin(np.arange(24_000) / 9).astype(np.float32) / 2
    return [(f"word {number}", wave) for number in range(num)]


def by_instant(asked):
    """Return what stands at which instant, whichever of both was asked for."""
    found = {}
    for question, answer in asked.items():
        if question.startswith(("What is said at", "What number is shown at")):
            found[question[-9:-1]] = answer
        elif question.startswith("When is "):
            thing = question.removeprefix("When is ").removeprefix("the number ")
            assert answer not in found  # one of both tells the other
            found[answer] = thing.removesuffix(" said?").removesuffix(" shown?")
    return found


def moving(num=20):
    return np.random.default_rng(0).integers(0, 90, (num, 64, 64, 3), np.uint8)


def test_a_card_in_a_film_is_found_by_its_instant_or_the_instant_by_its_number():
    whens = 0
    for seed in range(4):
        row = film_needle_row(np.random.default_rng(seed), moving(), num_tokens=1200)
        asked = check(row)
        (frames,) = row.media
        held = [t for t in range(20) if (frames[t] == 255).mean() > 0.3]
        assert len(held) == 4
        text = load_tokenizer().decode(row.sequence.ids[:16])
        hours, minutes, seconds = map(int, text.split("fps ")[1][:8].split(":"))
        start_s = hours * 3600 + minutes * 60 + seconds
        found = by_instant(asked)
        for place in held:
            at = stamp(start_s + place)
            colour = asked.get(f"What colour is the number at {at}?")
            whens += colour is None
            number, colours = found.pop(at), [colour] if colour else CARD_COLOURS
            cards = [card(number, each) for each in colours]
            assert any(np.array_equal(frames[place], each) for each in cards)
        assert list(found.values()) == [ABSENT]
    assert 0 < whens < 16


def test_cards_of_other_numbers_and_colours_differ():
    cards = [card(text, colour) for text in ("1234", "1235") for colour in CARD_COLOURS]
    for i, one in enumerate(cards):
        assert all((one != other).any() for other in cards[:i])


def test_a_card_alone_shows_the_number_that_is_asked_for():
    lengths = set()
    for seed in range(30):
        row = card_row(np.random.default_rng(seed))
        asked = check(row)
        number, colour = asked["What number is shown?"], asked["What colour is the number?"]
        assert np.array_equal(row.media[0][0], card(number, colour))
        lengths.add(len(number))
    assert lengths == {1, 2, 3, 4}


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="have no room for"):
        film_needle_row(rng, moving(), num_tokens=330)
    with pytest.raises(ValueError, match=r"footage must be \(T, 64, 64, 3\), T above 4"):
        film_needle_row(rng, moving(4))
    with pytest.raises(ValueError, match="10 s have 2 stamps, needed: 4"):
        sound_needle_row(rng, tones(3), num_seconds=10)
    with pytest.raises(ValueError, match="'x' comes without questions and events: take it from"):
        clip_row(rng, Sample("x", moving(), 8.0))


def asked_of(row):
    """Return questions and answers that are asked apart, as they stand in their parts."""
    told = {}
    for part in row.asked:
        text = load_tokenizer().decode(part.ids)
        question, answer = text.removeprefix("<reserved0> ").split("<reserved1> ")
        told[question] = answer.removesuffix("<eos>")
        assert (part.weights > 0).sum() == len(part.ids) - part.num_prompt
    return told


@pytest.mark.parametrize("shown", [{}, {"every": 4}, {"is_image": True}])
def test_a_clip_is_asked_for_what_the_engine_knows(shown):
    pytest.importorskip("mujoco", reason="needs the extra worlds")
    is_image, seen = "is_image" in shown, set()
    for seed in range(3):
        sample = CLIPS[seed]
        row = clip_row(np.random.default_rng(seed), sample, **shown)
        again = clip_row(np.random.default_rng(seed), sample, **shown)
        np.testing.assert_array_equal(row.media[0], again.media[0])
        assert [part.ids for part in row.asked] == [part.ids for part in again.asked]
        assert check(row) == {}  # in the row itself nothing is asked
        known = sample.truth["still"] if is_image else sample.truth
        asked, answers = asked_of(row), {q["text"]: q["answer"] for q in known["questions"]}
        assert asked == answers
        assert len(row.media[0]) == (1 if is_image else -(-17 // shown.get("every", 1)))
        seen |= {part.question.kind for part in row.asked}
    assert {"count", "colour"} <= seen
    if is_image:
        assert not seen & {"motion", "moves", "direction", "timed"}


def test_captions_of_a_clip_are_asked_for_on_their_own():
    pytest.importorskip("mujoco", reason="needs the extra worlds")
    row = clip_row(np.random.default_rng(0), CLIPS[0], num_asked=0)
    assert asked_of(row) == {
        request: CLIPS[0].captions[style] for style, request in CAPTION_REQUESTS.items()
    }
    still = clip_row(np.random.default_rng(0), CLIPS[0], num_asked=0, is_image=True)
    assert asked_of(still) == {CAPTION_REQUESTS["dense"]: CLIPS[0].truth["still"]["caption"]}


def test_kinds_of_questions_take_turns():
    asked = [
        {"kind": kind, "text": f"{kind} {n}?", "answer": "1"} for kind in "ab" for n in range(3)
    ]
    truth = {"questions": asked, "events": []}
    for seed in range(9):
        row = clip_row(
            np.random.default_rng(seed), Sample("x", moving(1), 8.0, truth=truth), num_asked=4
        )
        assert sorted(part.question.kind for part in row.asked) == ["a", "a", "b", "b"]
        assert {part.question.kind for part in row.asked[:2]} == {"a", "b"}


def test_spoken_words_are_their_own_transcript():
    row = speech_row("one two", np.ones(20_000, np.float32) * 0.5)
    assert check(row) == {SAID_REQUEST: "one two"}
    (seconds,) = row.media
    assert seconds.dtype == np.float32
    assert (seconds[:, -SOUND_RATE_HZ:] == 0.5).sum() == 20_000
    assert row.said == "one two"


def test_words_in_noise_are_where_the_question_says():
    row = sound_needle_row(np.random.default_rng(1), tones(3), num_seconds=30)
    asked = check(row)
    loud = np.abs(row.media[0][:, -SOUND_RATE_HZ:]).max(axis=1)
    answers, found = by_instant(asked), []
    for at in range(0, 30, 5):
        answer = answers.get(stamp(at), ABSENT)
        if answer != ABSENT:
            found.append(answer)
        assert (loud[at : at + 2].max() > 0.3) == (answer != ABSENT)
    assert sorted(found) == sorted(text for text, _ in tones(3))
    assert row.said == " ".join(found)  # in the order of their instants
    with pytest.raises(ValueError, match="start_s must be a multiple of 5, got 3"):
        odd = Stretch(3, (0, 5, 10, 15))
        sound_needle_row(np.random.default_rng(1), tones(3), num_seconds=30, stretch=odd)


def test_a_stretch_tells_where_things_are():
    rng = np.random.default_rng(1)
    row = sound_needle_row(
        rng, tones(2), num_seconds=30, stretch=Stretch(3600, (20, 5, 10)), num_tokens=2000
    )
    asked = check(row)
    said = {"01:00:20": "word 0", "01:00:05": "word 1", "01:00:10": ABSENT}
    assert by_instant(asked) == said
    taken = {1234}
    film = film_needle_row(
        rng, moving(), stretch=Stretch(60, (3, 7, 11)), taken=taken, num_needles=2, num_tokens=1200
    )
    numbers = by_instant(check(film))
    assert numbers.keys() == {"00:01:03", "00:01:07", "00:01:11"}
    assert numbers["00:01:11"] == ABSENT
    assert taken == {1234, int(numbers["00:01:03"]), int(numbers["00:01:07"])}
