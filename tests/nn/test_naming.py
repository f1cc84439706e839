"""The loss of names is the mean over kinds, of things and of empty squares alike."""

import torch
import torch.nn.functional as F

from cyclorama.nn.naming import NUM_WORDS, UNNAMED, Namer, naming_loss


def test_each_kind_counts_alike_and_what_is_unnamed_not():
    torch.manual_seed(0)
    logits = tuple(torch.randn(5, words) for words in NUM_WORDS)
    names = torch.full((5, len(NUM_WORDS)), UNNAMED)
    names[:3, 0] = 0  # three empty squares, one cube, one that nobody asks for
    names[3, 0], names[3, 1] = 2, 4
    found, right = naming_loss(logits, names)
    empty = F.cross_entropy(logits[0][:3], torch.zeros(3, dtype=torch.long))
    shape = F.cross_entropy(logits[0][3:4], torch.tensor([2]))
    colour = F.cross_entropy(logits[1][3:4], torch.tensor([4]))
    torch.testing.assert_close(found, (empty + shape + colour) / 3)
    assert right[0] == float(logits[0][3].argmax() == 2)
    assert right[2:] == [None] * (len(NUM_WORDS) - 2)


def test_shares_are_those_of_things():
    logits = tuple(torch.zeros(2, words) for words in NUM_WORDS)
    logits[0][:, 0] = 1  # nothing lies there, it says
    names = torch.full((2, len(NUM_WORDS)), UNNAMED)
    names[:, 0] = torch.tensor([0, 3])
    assert naming_loss(logits, names)[1][0] == 0
    assert naming_loss(tuple(part[:1] for part in logits), names[:1])[1][0] is None


def test_cameras_and_events_that_are_none_count_as_kinds_of_their_own():
    torch.manual_seed(0)
    logits = tuple(torch.randn(6, words) for words in NUM_WORDS)
    names = torch.full((6, len(NUM_WORDS)), UNNAMED)
    names[:, 6] = torch.tensor([0, 0, 0, 0, 3, 1])
    names[:, 7] = torch.tensor([0, 0, 0, 0, 0, 2])
    found, right = naming_loss(logits, names)
    groups = [(6, slice(4, 6)), (6, slice(0, 4)), (7, slice(5, 6)), (7, slice(0, 5))]
    wanted = [F.cross_entropy(logits[kind][rows], names[rows, kind]) for kind, rows in groups]
    torch.testing.assert_close(found, torch.stack(wanted).mean())
    assert right[7] == float(logits[7][5].argmax() == 2)
    assert naming_loss(logits, names.clamp(max=0))[1][6] is None  # all cameras stand still


def test_where_nothing_is_named_nothing_is_lost():
    logits = tuple(torch.randn(2, words) for words in NUM_WORDS)
    loss, right = naming_loss(logits, torch.full((2, len(NUM_WORDS)), UNNAMED))
    assert loss == 0
    assert right == [None] * len(NUM_WORDS)


def test_a_namer_scores_every_word():
    torch.manual_seed(0)
    namer, x_LD = Namer(8), torch.randn(5, 8)
    scores = namer(x_LD)
    assert tuple(part.shape[1] for part in scores) == NUM_WORDS
    torch.testing.assert_close(scores[0][2:3], namer(x_LD[2:3])[0])
