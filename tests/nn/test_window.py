"""Windows: blocks = dense attention with a mask; pieces of any cut = at once."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from cyclorama.nn.window import (
    Past,
    ShortConvolution,
    next_past,
    window_attention,
    window_mask,
    window_phases,
)

WINDOW, SIZE, TAPS = 5, 8, 4


def streams(length, *, heads=4, groups=2, batch=2, seed=0):
    torch.manual_seed(seed)
    return [
        torch.randn(batch, length, n, SIZE, dtype=torch.float64) for n in (heads, groups, groups)
    ]


def angle(distance):
    """Return the angles of each pair at a distance: periods from 6 to 8 windows."""
    share = torch.arange(SIZE // 2, dtype=torch.float64) / (SIZE // 2 - 1)
    return distance * 2 * math.pi / (6.0 * (8.0 * WINDOW / 6.0) ** share)


def dense(q, k, v):
    """Attend token by token: score of rotated pairs at their true distance, then softmax."""
    out = torch.zeros_like(q)
    shared = q.shape[2] // k.shape[2]
    for b in range(q.shape[0]):
        for head in range(q.shape[2]):
            for place in range(q.shape[1]):
                seen = range(max(0, place - WINDOW + 1), place + 1)
                scores = []
                for other in seen:
                    q1, q2 = q[b, place, head].chunk(2)
                    k1, k2 = k[b, other, head // shared].chunk(2)
                    turn = angle(place - other)
                    scores.append(
                        ((q1 * k1 + q2 * k2) * turn.cos() + (q1 * k2 - q2 * k1) * turn.sin()).sum()
                    )
                weights = (torch.stack(scores) * SIZE**-0.5).softmax(dim=0)
                out[b, place, head] = weights @ v[b, list(seen), head // shared]
    return out


@pytest.mark.parametrize("length", [1, 3, 5, 6, 10, 13])
def test_blocks_are_dense_attention_with_a_window(length):
    q, k, v = streams(length)
    found = window_attention(q, k, v_BLGK=v, window=WINDOW, past=None)
    torch.testing.assert_close(found, dense(q, k, v), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_heads_of_a_group_share_its_keys(groups):
    q, k, v = streams(11, groups=groups)
    found = window_attention(q, k, v_BLGK=v, window=WINDOW, past=None)
    own = [t.repeat_interleave(4 // groups, dim=2) for t in (k, v)]
    wanted = window_attention(q, own[0], v_BLGK=own[1], window=WINDOW, past=None)
    torch.testing.assert_close(found, wanted)


def test_the_mask_is_the_token_and_those_before_it():
    mask = window_mask(3)
    assert mask.int().tolist() == [[0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1]]


def test_phases_count_places_of_two_blocks():
    cos, sin = window_phases(WINDOW, SIZE, like=torch.zeros((), dtype=torch.float64))
    wanted = torch.stack([angle(place) for place in range(2 * WINDOW)])
    torch.testing.assert_close(cos, wanted.cos(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sin, wanted.sin(), rtol=1e-5, atol=1e-6)


def read_in_pieces(tensors, convolution, cuts):
    """Return attention and convolution of a stream cut into pieces, each after the last one."""
    q, k, v, x = tensors
    past, mixed, smooth = None, [], []
    for start, stop in zip([0, *cuts], [*cuts, q.shape[1]], strict=True):
        part = [t[:, start:stop] for t in (q, k, v, x)]
        mixed.append(window_attention(part[0], part[1], v_BLGK=part[2], window=WINDOW, past=past))
        smooth.append(convolution(part[3], None if past is None else past.tail_BJD))
        past = next_past(past, part[1], v_BLGK=part[2], x_BLD=part[3], window=WINDOW, taps=TAPS)
    return torch.cat(mixed, dim=1), torch.cat(smooth, dim=1), past


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 17), max_size=8))
def test_pieces_of_any_cut_are_the_whole(cuts):
    q, k, v = streams(18, batch=1, heads=2, groups=1)
    torch.manual_seed(1)
    x = torch.randn(1, 18, 6, dtype=torch.float64)
    convolution = ShortConvolution(6, TAPS).double()
    torch.nn.init.normal_(convolution.taps)
    whole = window_attention(q, k, v_BLGK=v, window=WINDOW, past=None)
    mixed, smooth, past = read_in_pieces((q, k, v, x), convolution, sorted(cuts))
    torch.testing.assert_close(mixed, whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(smooth, convolution(x))
    assert torch.equal(past.k_BWGK, k[:, -WINDOW:])
    assert torch.equal(past.v_BWGK, v[:, -WINDOW:])
    assert torch.equal(past.tail_BJD, x[:, 1 - TAPS :])
    assert past.num_valid_B.tolist() == [WINDOW]


def test_rows_of_a_batch_may_have_read_different_amounts():
    q, k, v = streams(4)
    longer = next_past(None, k[:1], v_BLGK=v[:1], x_BLD=q[:1, :, 0], window=WINDOW, taps=TAPS)
    shorter = next_past(
        None, k[1:, :2], v_BLGK=v[1:, :2], x_BLD=q[1:, :2, 0], window=WINDOW, taps=TAPS
    )
    names = ("k_BWGK", "v_BWGK", "tail_BJD", "num_valid_B")
    both = Past(*(torch.cat((getattr(longer, n), getattr(shorter, n))) for n in names))
    assert both.num_valid_B.tolist() == [4, 2]
    found = window_attention(q, k, v_BLGK=v, window=WINDOW, past=both)
    for row, past in enumerate((longer, shorter)):
        one = [t[row : row + 1] for t in (q, k, v)]
        wanted = window_attention(one[0], one[1], v_BLGK=one[2], window=WINDOW, past=past)
        torch.testing.assert_close(found[row : row + 1], wanted)


@pytest.mark.parametrize("taps", [1, 2, 4])
def test_the_convolution_is_the_sum_it_says(taps):
    torch.manual_seed(0)
    layer = ShortConvolution(3, taps).double()
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    assert torch.equal(layer(x), x)  # it begins as nothing
    torch.nn.init.normal_(layer.taps)
    wanted = x.clone()
    for place in range(6):
        for back in range(min(taps, place + 1)):
            wanted[:, place] += layer.taps[back] * x[:, place - back]
    torch.testing.assert_close(layer(x), wanted)
