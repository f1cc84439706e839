"""The shelf: bfloat16 cards come back as they were, int8 within half a step, files = memory."""

import pytest
import torch
import torch.nn.functional as F

from cyclorama.nn.cache import map_memory, open_memory

SIZE = 16


def cards(num=50, *, seed=0):
    torch.manual_seed(seed)
    return F.normalize(torch.randn(num, SIZE), dim=-1), torch.randn(num, SIZE) * 3


def all_cards(memory, *, dtype=torch.float32, size=7):
    pieces = list(memory.chunks(dtype, size))
    assert [first for _, _, first in pieces] == list(range(0, memory.num_cards, size))
    return torch.cat([k for k, _, _ in pieces]), torch.cat([v for _, v, _ in pieces])


def test_bfloat16_cards_come_back_exactly():
    k, v = (t.bfloat16() for t in cards())
    memory = open_memory(60, SIZE)
    memory.append(k[:20], v[:20])
    memory.append(k[20:], v[20:])
    assert (memory.num_cards, memory.dtype) == (50, "bfloat16")
    assert memory.scales_S2 is None
    for dtype in (torch.bfloat16, torch.float32):
        found = all_cards(memory, dtype=dtype)
        assert found[0].dtype == dtype
        assert torch.equal(found[0], k.to(dtype))
        assert torch.equal(found[1], v.to(dtype))


def test_int8_cards_are_within_half_a_step_of_their_scale():
    k, v = cards()
    v[3] = 0.0
    v[4] *= 1000
    memory = open_memory(50, SIZE, dtype="int8")
    memory.append(k, v)
    assert memory.dtype == "int8"
    for found, wanted in zip(all_cards(memory), (k, v), strict=True):
        step = wanted.abs().amax(dim=1, keepdim=True) / 127
        # The scale itself is a float16: one part in 2,048, times at most 127 steps.
        bound = step * (0.5 + 127 / 2048) + 1e-6
        assert ((found - wanted).abs() <= bound).all()
        assert (found - wanted).abs().max() > 0  # it is int8 indeed


def test_int8_in_bfloat16_is_int8_to_bfloat16s_precision():
    memory = open_memory(50, SIZE, dtype="int8")
    memory.append(*cards())
    for rough, fine in zip(all_cards(memory, dtype=torch.bfloat16), all_cards(memory), strict=True):
        assert ((rough.float() - fine).abs() <= fine.abs() / 100).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_a_mapped_memory_is_the_one_in_memory(tmp_path, dtype):
    k, v = cards()
    plain = open_memory(50, SIZE, dtype=dtype)
    written = open_memory(50, SIZE, dtype=dtype, directory=tmp_path / "deep" / "shelf")
    for memory in (plain, written):
        memory.append(k[:31], v[:31])
        memory.append(k[31:], v[31:])
    del written
    opened = map_memory(tmp_path / "deep" / "shelf", 50, size=SIZE, dtype=dtype)
    assert (opened.num_cards, opened.dtype) == (50, dtype)
    for one, other in zip(all_cards(opened), all_cards(plain), strict=True):
        assert torch.equal(one, other)


def test_more_cards_than_room_is_an_error_and_changes_nothing():
    k, v = cards()
    memory = open_memory(60, SIZE)
    memory.append(k, v)
    with pytest.raises(ValueError, match="room for 60 tokens, and 100 are to be kept"):
        memory.append(k, v)
    assert memory.num_cards == 50


@pytest.mark.parametrize("name", ["keys", "values", "scales"])
def test_a_file_of_another_size_is_refused(tmp_path, name):
    memory = open_memory(50, SIZE, dtype="int8", directory=tmp_path)
    memory.append(*cards())
    del memory
    whole = (tmp_path / name).read_bytes()
    for other in (whole[:-1], whole + b"x", b""):
        (tmp_path / name).write_bytes(other)
        with pytest.raises(ValueError, match=f"{name} has {len(other)} bytes, its card says"):
            map_memory(tmp_path, 50, size=SIZE, dtype="int8")
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"{name} has 0 bytes"):
        map_memory(tmp_path, 50, size=SIZE, dtype="int8")


def test_an_unknown_way_to_keep_cards_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="one of bfloat16, int8, got 'int4'"):
        open_memory(5, SIZE, dtype="int4")
    with pytest.raises(ValueError, match="one of bfloat16, int8, got 'int4'"):
        map_memory(tmp_path, 5, size=SIZE, dtype="int4")
