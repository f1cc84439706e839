"""Notes spell words: the loss is the sum over all ways to lay words along a sound."""

from itertools import groupby, product

import pytest
import torch

from cyclorama.nn.spelling import LETTERS, NOTES, Speller, letter_ids, spelling_loss


def spelled(notes):
    """Return what notes spell: repeated ones are one letter, 0 is none."""
    return "".join(LETTERS[note - 1] for note, _ in groupby(notes) if note)


@pytest.mark.parametrize("words", ["ab", "aa", "b"])
def test_the_loss_is_the_sum_over_all_ways(words):
    torch.manual_seed(0)
    logits = torch.randn(4, 1 + len(LETTERS), dtype=torch.float64)
    logp = logits.log_softmax(dim=-1)
    used = [0, *letter_ids("ab")]
    ways = [
        sum(logp[step, note] for step, note in enumerate(notes))
        for notes in product(used, repeat=4)
        if spelled(notes) == words
    ]
    wanted = -torch.stack(ways).logsumexp(dim=0) / len(words)
    torch.testing.assert_close(spelling_loss([logits], [words]).double(), wanted, rtol=1e-5, atol=0)


def test_sounds_of_all_lengths_count_alike():
    torch.manual_seed(0)
    sounds = [torch.randn(length, 1 + len(LETTERS)) for length in (12, 7, 30)]
    words = ["one", "six", "it's seven"]
    alone = [spelling_loss([sound], [text]) for sound, text in zip(sounds, words, strict=True)]
    torch.testing.assert_close(spelling_loss(sounds, words), torch.stack(alone).mean())


def test_a_sound_too_short_for_its_words_counts_nothing():
    assert spelling_loss([torch.randn(3, 1 + len(LETTERS))], ["seven"]) == 0


def test_each_token_has_its_own_notes():
    torch.manual_seed(0)
    speller, x_LD = Speller(8), torch.randn(5, 8)
    notes = speller(x_LD)
    assert notes.shape == (5 * NOTES, 1 + len(LETTERS))
    torch.testing.assert_close(notes[2 * NOTES : 3 * NOTES], speller(x_LD[2:3]))


def test_what_cannot_be_spelled_is_named():
    with pytest.raises(ValueError, match="no note for '4': words are lower case letters"):
        letter_ids("a4")
    with pytest.raises(ValueError, match="one text for each of 1 sounds, got 2"):
        spelling_loss([torch.zeros(4, 29)], ["a", "b"])
