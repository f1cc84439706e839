"""Attention in runs of segments is attention in each segment alone."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.nn.attention import (
    SHORT_KEYS,
    in_segments,
    runs_of,
    segment_attention,
    short_attention,
)

lengths_of_a_row = st.lists(st.integers(1, 6), min_size=1, max_size=8)


@given(lengths_of_a_row)
def test_runs_tell_the_lengths_again(lengths):
    runs = runs_of(lengths)
    assert [length for count, length in runs for _ in range(count)] == lengths
    assert all(a[1] != b[1] for a, b in pairwise(runs))


def test_an_empty_segment_is_an_error():
    with pytest.raises(ValueError, match="at least one token"):
        runs_of([3, 0])


@pytest.mark.parametrize("num_keys", [5, SHORT_KEYS + 1])
def test_both_ways_of_attending_are_the_same_attention(num_keys):
    torch.manual_seed(0)
    q, k, v = (torch.randn(4, n, 16) for n in (7, num_keys, num_keys))
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    torch.testing.assert_close(short_attention(q, k, v_BSK=v), expected.float())


@given(lengths_of_a_row)
def test_packed_is_alone(lengths):
    torch.manual_seed(len(lengths))
    q, k, v = (torch.randn(sum(lengths), 2, 8) for _ in range(3))
    packed = segment_attention(q, k, v_LNK=v, runs=runs_of(lengths))
    for part, own_q, own_k, own_v in zip(
        *(x.split(lengths) for x in (packed, q, k, v)), strict=True
    ):
        expected = F.scaled_dot_product_attention(
            *(x.transpose(0, 1).double() for x in (own_q, own_k, own_v))
        ).transpose(0, 1)
        torch.testing.assert_close(part, expected.float())


def test_a_segment_never_sees_another():
    torch.manual_seed(0)
    lengths = [3, 3, 5]
    q, k, v = (torch.randn(sum(lengths), 2, 8) for _ in range(3))
    before = segment_attention(q, k, v_LNK=v, runs=runs_of(lengths))
    for x in (q, k, v):
        x[3:6] = 1e3
    after = segment_attention(q, k, v_LNK=v, runs=runs_of(lengths))
    assert torch.equal(before[:3], after[:3])
    assert torch.equal(before[6:], after[6:])
    assert not torch.equal(before[3:6], after[3:6])


def test_runs_must_cover_the_row():
    x = torch.zeros(5, 1, 4)
    with pytest.raises(ValueError, match="cover 4 tokens, the row has 5"):
        segment_attention(x, x, v_LNK=x, runs=((2, 2),))


def test_a_layer_in_segments_meets_each_alone():
    lengths = (3, 3, 5)
    x_LD = torch.arange(22.0).view(11, 2)
    summed = in_segments(lambda x: x.cumsum(dim=1), x_LD, runs=runs_of(lengths))
    assert torch.equal(summed, torch.cat([part.cumsum(dim=0) for part in x_LD.split(lengths)]))
    with pytest.raises(ValueError, match="cover 6 tokens, the row has 11"):
        in_segments(torch.relu, x_LD, runs=runs_of(lengths[:2]))
