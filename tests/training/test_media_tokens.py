"""The loss with media is the loss over tokens embedded by hand; the stems learn from answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cyclorama.data.media_rows import MediaRow, film_needle_row, speech_row
from cyclorama.data.needle_stream import Question, joined, question_part, text_part
from cyclorama.data.passages import MEDIUM, joined_passage, seconds_of, video_passages
from cyclorama.models.lm import LM, LMS
from cyclorama.nn.naming import NUM_WORDS, naming_loss
from cyclorama.nn.spelling import spelling_loss
from cyclorama.training.media_tokens import Illustrated, media_batch, media_token_loss, number_media
from cyclorama.training.next_token import TokenBatch, next_token_loss

TINY = LMS["tiny"].model_copy(update={"reads": ("pictures", "sound"), "stem_hidden": 64})
LENGTH = 48


def media(seed):
    draw = np.random.default_rng(seed)
    frames = draw.integers(0, 256, (2, 48, 48, 3), np.uint8)
    return [frames, seconds_of(draw.normal(size=9000).astype(np.float32) * 0.1)]


def batch(crossbatch):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(20, TINY.vocabulary, (3, LENGTH), generator=generator)
    ids[0, 1:19] = MEDIUM  # a film of two frames, then a second of sound in another row
    ids[1, 2:27] = MEDIUM
    ids[2, 3:21] = MEDIUM
    ids[2, 21:46] = MEDIUM
    weights = torch.ones(3, LENGTH)
    weights[:, -2:] = 5.0
    weights[ids == MEDIUM] = 0
    return TokenBatch(ids[:2], weights[:2], ids[2:], crossbatch, 40)


@pytest.fixture(scope="module")
def lm(shaken):
    torch.manual_seed(0)
    return shaken(LM(TINY))


def loss_of(model, data, call):
    return call(model, data, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("crossbatch", [False, True])
def test_the_loss_is_that_of_tokens_embedded_by_hand(lm, crossbatch):
    tokens = batch(crossbatch)
    found, metrics = loss_of(
        lm, number_media(tokens, media(0), strangers=media(1)), media_token_loss
    )

    class ByHand:
        """Embeds a stream as reading does, sequence by sequence."""

        read, write, answer, config = lm.read, lm.write, lm.answer, lm.config

        @staticmethod
        def embed(ids_BL):
            own = media(1) if len(ids_BL) == 1 else media(0)
            flat = ids_BL.flatten()
            return lm.embed_stream(flat, [torch.from_numpy(m) for m in own],
                                   is_medium_L=flat == MEDIUM).view(*ids_BL.shape, -1)  # fmt: skip

    wanted, same = loss_of(ByHand, tokens, next_token_loss)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert metrics.keys() == same.keys()


def test_words_alone_are_the_plain_loss(lm):
    tokens = batch(False)
    words = TokenBatch(
        tokens.ids_BL.clamp(min=20), tokens.weights_BL, tokens.extra_EL[:0], False, 40
    )
    found, _ = loss_of(lm, number_media(words, []), media_token_loss)
    wanted, _ = loss_of(lm, words, next_token_loss)
    torch.testing.assert_close(found, wanted)


def test_other_media_give_another_loss_and_stems_learn(shaken):
    torch.manual_seed(2)
    model = shaken(LM(TINY))
    tokens = batch(True)
    one, _ = loss_of(model, number_media(tokens, media(0), strangers=media(1)), media_token_loss)
    two, _ = loss_of(model, number_media(tokens, media(2), strangers=media(1)), media_token_loss)
    assert abs(one.item() - two.item()) > 1e-4
    one.backward()
    for stem in (model.frames, model.sounds):
        for name, parameter in stem.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.norm() > 0, name


def test_what_does_not_fit_is_refused(lm):
    tokens = batch(False)
    with pytest.raises(ValueError, match="the media have 43 tokens, the batch places for 86"):
        loss_of(lm, number_media(tokens, media(0)), media_token_loss)
    heavy = TokenBatch(
        tokens.ids_BL, torch.ones_like(tokens.weights_BL), tokens.extra_EL, False, 40
    )
    with pytest.raises(ValueError, match="only words can be foreseen"):
        number_media(heavy, media(0), strangers=media(1))


def test_media_are_numbered_in_the_order_of_sequences(lm):
    numbered = number_media(batch(True), media(0), strangers=media(1)).tokens
    assert numbered.ids_BL[0, 1:19].tolist() == list(range(-1, -19, -1))
    assert numbered.ids_BL[1, 2].item() == -19
    assert numbered.extra_EL[0, 3].item() == -44
    tokens_MD = torch.arange(86.0)[:, None].expand(86, TINY.width)
    x = Illustrated(lm, tokens_MD).embed(numbered.extra_EL)
    assert x[0, 3:46, 0].tolist() == list(range(43, 86))


def test_rows_in_a_batch_are_rows_alone(lm):
    draw = np.random.default_rng(0)
    footage = draw.integers(0, 99, (6, 64, 64, 3), np.uint8)
    rows = [film_needle_row(draw, footage, num_needles=2, num_tokens=320) for _ in range(2)]
    # The tiny reader has 512 words: the others are folded onto them, those of media stay.
    for row in rows:
        row.sequence.ids[:] = np.where(
            row.sequence.ids == MEDIUM, MEDIUM, row.sequence.ids % 480 + 20
        )
    both, _ = loss_of(lm, media_batch(rows), media_token_loss)
    weights = [row.sequence.weights.sum() for row in rows]
    alone = [loss_of(lm, media_batch([row]), media_token_loss)[0] for row in rows]
    wanted = sum(a * w for a, w in zip(alone, weights, strict=True)) / sum(weights)
    torch.testing.assert_close(both, wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def speaking(shaken):
    """Return a reader of all the tokenizer's words."""
    torch.manual_seed(0)
    return shaken(LM(TINY.model_copy(update={"vocabulary": 8192})))


def test_what_is_said_is_spelled_from_its_own_sound(speaking):
    rng = np.random.default_rng(0)
    sounds = [rng.normal(size=size).astype(np.float32) * 0.1 for size in (9000, 30_000)]
    texts = ("one two", "six")
    rows = [speech_row(t, s, num_tokens=90) for t, s in zip(texts, sounds, strict=True)]
    found, metrics = loss_of(speaking, media_batch(rows), media_token_loss)
    unsaid = [replace(row, said="") for row in rows]
    silent, plain = loss_of(speaking, media_batch(unsaid), media_token_loss)
    assert "letters_nats" not in plain
    notes = []
    for row in rows:  # each alone, in full
        one = media_batch([row])
        shown = Illustrated(speaking, speaking.embed_media(one.media))
        walked = speaking.read(shown.embed(one.tokens.ids_BL))[0]
        notes.append(speaking.speller(walked[0][one.tokens.ids_BL[0] < 0]))
    wanted = spelling_loss(notes, ["one two", "six"])
    torch.testing.assert_close(found - silent, wanted, rtol=1e-4, atol=1e-4)
    assert metrics["letters_nats"] == pytest.approx(wanted.item(), rel=1e-4)


def test_strangers_are_not_spelled(speaking):
    rng = np.random.default_rng(1)
    row = speech_row("one", rng.normal(size=9000).astype(np.float32) * 0.1, num_tokens=60)
    one = media_batch([row])
    more = replace(one.tokens, extra_EL=torch.full((2, 60), 30), crossbatch=True)
    _, alone = loss_of(speaking, one, media_token_loss)
    _, beside = loss_of(speaking, replace(one, tokens=more), media_token_loss)
    assert beside["letters_nats"] == pytest.approx(alone["letters_nats"])


def named(seed):
    """Return a row of a film whose squares have names."""
    draw = np.random.default_rng(seed)
    footage = draw.integers(0, 99, (4, 64, 64, 3), np.uint8)
    row = film_needle_row(draw, footage, num_needles=1, num_tokens=200)
    return replace(row, names=draw.integers(0, 3, (64, len(NUM_WORDS))))


def test_what_is_seen_is_named_from_its_own_square(speaking):
    rows = [named(0), named(1)]
    found, metrics = loss_of(speaking, media_batch(rows), media_token_loss)
    unnamed = media_batch([replace(row, names=None) for row in rows])
    silent, plain = loss_of(speaking, unnamed, media_token_loss)
    assert "names_nats" not in plain
    scores = []
    for row in rows:  # each alone, in full
        one = media_batch([row])
        shown = Illustrated(speaking, speaking.embed_media(one.media))
        walked = speaking.read(shown.embed(one.tokens.ids_BL))[0]
        scores.append(speaking.namer(walked[0][one.tokens.ids_BL[0] < 0]))
    both = tuple(torch.cat(parts) for parts in zip(*scores, strict=True))
    wanted, right = naming_loss(both, torch.from_numpy(np.concatenate([r.names for r in rows])))
    torch.testing.assert_close(found - silent, wanted, rtol=1e-4, atol=1e-4)
    assert metrics["names_nats"] == pytest.approx(wanted.item(), rel=1e-4)
    assert metrics["shape_right"] == right[0]


def asked_row(seed, questions):
    """Return a film of two frames that is asked some questions apart."""
    draw = np.random.default_rng(seed)
    footage = draw.integers(0, 99, (2, 64, 64, 3), np.uint8)
    passage = joined_passage([*video_passages([footage], rate_fps=1.0)])
    sequence = joined([text_part(passage.ids, 0.0)], len(passage.ids))
    asked = [question_part(Question(q, a, "", "", (), ()), 5.0) for q, a in questions]
    names = draw.integers(0, 3, (32, len(NUM_WORDS)))
    return MediaRow(sequence, passage.media, names=names, asked=tuple(asked))


def test_what_is_asked_apart_of_a_film_is_asked_of_it_alone(speaking):
    asked = [("Which?", "this"), ("How many of them are there?", "two or three"), ("Who?", "he")]
    silent, last = asked_row(2, []), asked_row(1, asked[2:])
    rows = [asked_row(0, asked[:2]), silent, last]
    found, metrics = loss_of(speaking, media_batch(rows), media_token_loss)
    alone, weights = [], []
    for row in rows:
        for part in row.asked:  # behind the film, as in a row of its own
            behind = joined(
                [text_part(row.sequence.ids, 0.0), part], len(row.sequence.ids) + len(part.ids)
            )
            one = replace(row, sequence=behind, asked=(), names=None)
            alone.append(loss_of(speaking, media_batch([one]), media_token_loss)[0])
            weights.append(behind.weights.sum())
    wanted = sum(a * w for a, w in zip(alone, weights, strict=True)) / sum(weights)
    naming = metrics["names_nats"]  # of all films, asked or not
    torch.testing.assert_close(found - naming, wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="rows that are asked apart cannot share"):
        media_batch(rows, share=True)
    weighs = replace(silent, sequence=replace(silent.sequence, weights=silent.sequence.weights + 1))
    with pytest.raises(ValueError, match="nothing else in them weighs"):
        media_batch([last, weighs])


def test_strangers_are_seen_and_their_pictures_teach_nothing(speaking):
    rows, strangers = [replace(named(0), names=None)], [named(1), named(2)]
    batch = media_batch(rows, strangers=strangers, share=True)
    assert (len(batch.tokens.ids_BL), len(batch.tokens.extra_EL), batch.num_own) == (1, 2, 1)
    found, _ = loss_of(speaking, batch, media_token_loss)
    alone, _ = loss_of(speaking, media_batch(rows, share=True), media_token_loss)
    assert abs(found.item() - alone.item()) > 1e-5
    own, others = (speaking.embed_media(some) for some in (batch.media[:1], batch.media[1:]))
    constant = Illustrated(speaking, torch.cat((own, others.detach())))
    wanted, _ = loss_of(constant, batch.tokens, next_token_loss)
    weights = [*speaking.frames.parameters()]
    for one, other in zip(
        torch.autograd.grad(found, weights), torch.autograd.grad(wanted, weights), strict=True
    ):
        torch.testing.assert_close(one, other)
    with pytest.raises(ValueError, match="2 strangers are seen by nobody: give share=True"):
        media_batch(rows, strangers=strangers)


def test_names_of_other_squares_are_refused(speaking):
    row = named(0)
    short = replace(row, names=row.names[:-16])
    with pytest.raises(ValueError, match="a row has 64 squares and names for 48"):
        loss_of(speaking, media_batch([row, short]), media_token_loss)
