"""The reader with stems: media lie where they are marked; weights refuse what they do not read."""

import pytest
import torch

from cyclorama.models.lm import LM, LMS
from cyclorama.nn.mel import LEAD
from cyclorama.shapes import SOUND_RATE_HZ

TINY = LMS["tiny"].model_copy(update={"reads": ("pictures", "sound"), "stem_hidden": 64})
MARK = 11


@pytest.fixture(scope="module")
def lm(shaken):
    torch.manual_seed(0)
    return shaken(LM(TINY))


def frames(num, seed, *, height=48, width=48):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num, height, width, 3), generator=generator, dtype=torch.uint8)


def sound(num, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, LEAD + SOUND_RATE_HZ, generator=generator) * 0.1


@torch.no_grad()
def test_media_keep_their_order_whatever_their_shapes(lm):
    media = [frames(2, 0), sound(1, 1), frames(1, 2, height=32, width=64), frames(1, 3)]
    together = lm.embed_media(media)
    alone = torch.cat([lm.embed_media([medium]) for medium in media])
    assert len(together) == 2 * 9 + 25 + 8 + 9
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_stream_has_words_at_words_and_media_at_media(lm):
    ids = torch.tensor([40, *[MARK] * 18, 41, 42, *[MARK] * 25])
    media = [frames(2, 0), sound(1, 1)]
    x = lm.embed_stream(ids, media, is_medium_L=ids == MARK)
    torch.testing.assert_close(x[[0, 19, 20]], lm.embed(ids[[0, 19, 20]]))
    torch.testing.assert_close(x[ids == MARK], lm.embed_media(media))


@torch.no_grad()
def test_frames_are_as_loud_as_words(lm):
    torch.manual_seed(0)
    fresh = LM(TINY)
    words = fresh.embed.weight.square().mean().sqrt()
    for medium in (frames(2, 0), sound(2, 0)):
        loud = fresh.embed_media([medium]).square().mean().sqrt()
        torch.testing.assert_close(loud, words, rtol=0.05, atol=0)


def test_what_does_not_fit_is_refused(lm):
    ids = torch.tensor([40, *[MARK] * 17])
    with pytest.raises(ValueError, match="have 18 tokens and the stream has places for 17"):
        lm.embed_stream(ids, [frames(2, 0)], is_medium_L=ids == MARK)
    with pytest.raises(ValueError, match="have 0 tokens and the stream has places for 17"):
        lm.embed_stream(ids, [], is_medium_L=ids == MARK)


@pytest.mark.parametrize(
    ("reads", "medium", "message"),
    [
        ((), frames(1, 0), "these weights read text and no pictures: pass --weights"),
        (("pictures",), sound(1, 0), "these weights read text and pictures and no sound"),
    ],
)
def test_weights_say_what_they_read(reads, medium, message):
    model = LM(LMS["tiny"].model_copy(update={"reads": reads}))
    with pytest.raises(ValueError, match=message):
        model.embed_media([medium])


def test_weights_of_text_alone_have_no_parts_for_media():
    names = set(LM(LMS["tiny"]).state_dict())
    more = set(LM(TINY).state_dict()) - names
    assert more
    assert all(name.startswith(("frames.", "namer.", "sounds.", "speller.")) for name in more)


def test_the_stems_of_nano_stay_small():
    with torch.device("meta"):
        model = LM(LMS["nano"].model_copy(update={"reads": ("pictures", "sound")}))
    stems = [*model.frames.parameters(), *model.sounds.parameters()]
    assert sum(p.numel() for p in stems) <= 1_600_000
