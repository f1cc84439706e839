"""Cutting, laying and placing: patches go back, a row holds all, positions in seconds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclorama.nn.patch import latent_positions, lay_row, patchify, unpatchify
from cyclorama.shapes import Compression, TokenGrid

COMPRESSION = Compression(space=8, time=4, channels=3)
grids = st.builds(TokenGrid, st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


def places(grid, patch, rate_fps=8.0):
    return latent_positions(grid, rate_fps=rate_fps, compression=COMPRESSION, patch=patch)


@given(grids, st.sampled_from([1, 2, 3]))
def test_patches_go_back(grid, patch):
    latents = torch.randn(grid.num_frames, grid.height * patch, grid.width * patch, 3)
    tokens = patchify(latents, patch)
    assert tokens.shape == (grid.num_tokens, 3 * patch**2)
    assert torch.equal(unpatchify(tokens, grid, patch=patch), latents)


def test_a_token_is_one_square_of_the_latent():
    latents = torch.arange(2 * 4 * 6).reshape(2, 4, 6, 1).float()
    tokens = patchify(latents, 2)
    assert tokens[0].tolist() == [0, 1, 6, 7]
    assert tokens[3].tolist() == [12, 13, 18, 19]  # second row of tokens
    assert tokens[6].tolist() == [24, 25, 30, 31]  # second latent frame


@given(grids, st.sampled_from([1, 2, 3]))
def test_positions_are_cut_as_the_latents_are(grid, patch):
    # Those of a field of single latents, cut into patches like any other three channels.
    single = places(TokenGrid(grid.num_frames, grid.height * patch, grid.width * patch), 1)
    field = single.reshape(grid.num_frames, grid.height * patch, grid.width * patch, 3)
    expected = patchify(field, patch).reshape(grid.num_tokens, patch**2, 3)
    torch.testing.assert_close(places(grid, patch), expected)


@given(grids, st.sampled_from([1, 2, 3]))
def test_the_middle_of_a_tokens_latents_is_its_own_place(grid, patch):
    of_latents, of_tokens = places(grid, patch), places(grid, 1)
    assert of_latents.shape == (grid.num_tokens, patch**2, 3)
    assert of_tokens.shape == (grid.num_tokens, 1, 3)
    torch.testing.assert_close(of_latents.mean(dim=1), of_tokens[:, 0])


def test_positions_are_seconds_and_centred_units():
    seconds, rows, columns = places(TokenGrid(3, 2, 4), 1).reshape(3, 2, 4, 3).unbind(dim=-1)
    # A first frame at 0, then groups of frames 1..4 and 5..8 at their middles.
    assert seconds[:, 0, 0].tolist() == [0, 2.5 / 8, 6.5 / 8]
    torch.testing.assert_close(rows, -rows.flip(1))
    torch.testing.assert_close(columns, -columns.flip(2))
    half_side = 8**0.5 / 2
    torch.testing.assert_close(columns[0, 0].diff(), torch.full((3,), 1 / half_side).double())
    torch.testing.assert_close(rows[0, :, 0].diff(), torch.full((1,), 1 / half_side).double())


def test_a_shorter_clip_stands_where_the_longer_one_begins():
    long, short = (places(TokenGrid(t, 2, 2), 2, rate_fps=12.0) for t in (5, 2))
    assert torch.equal(long[: len(short)], short)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), min_size=1, max_size=6),
    st.sampled_from([1, 4]),
)
def test_where_everything_stands_in_a_row(sizes, num_latents):
    texts = [list(range(1, n + 1)) for n, _ in sizes]
    lengths = [v for _, v in sizes]
    positions = [
        torch.arange(v * num_latents * 3).reshape(v, num_latents, 3).double() + 100 * (number + 1)
        for number, v in enumerate(lengths)
    ]
    row = lay_row(texts, positions, text_multiple=4)
    num_text, num_video = len(row.text_ids), sum(lengths)
    assert sorted(row.place.tolist()) == list(range(num_text + num_video))
    assert row.place[row.place_video].tolist() == list(range(num_text, num_text + num_video))
    assert row.segment.tolist() == sorted(row.segment.tolist())
    assert sum(count * length for count, length in row.runs) == len(row.place)
    assert sum(count * length for count, length in row.text_runs) == num_text
    laid = [length for count, length in row.video_runs for _ in range(count)]
    assert laid == [v * num_latents for v in lengths]
    assert all(map(torch.equal, row.latent_positions.split(lengths), positions))
    for number, text in enumerate(texts):
        own = row.text_ids[row.text_segment == number].tolist()
        assert own[: len(text)] == text
        assert not any(own[len(text) :])
        assert len(own) % 4 == 0
        assert 0 < len(own) < max(len(text), 1) + 4
        here = row.positions[row.segment == number]
        assert not here[: len(own)].any()  # text stands at the origin
        assert torch.equal(here[len(own) :], positions[number].mean(dim=1))


def test_texts_and_clips_must_be_as_many():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        lay_row([[1], [2]], [torch.zeros(1, 1, 3).double()], text_multiple=4)


def test_a_row_moves_as_a_whole():
    grids_of_row = [TokenGrid(3, 2, 2), TokenGrid(1, 4, 2)]
    row = lay_row([[5, 6, 7], []], [places(grid, 2) for grid in grids_of_row], text_multiple=4)
    moved = row.to("meta")
    assert all(x.device.type == "meta" for x in vars(moved).values() if torch.is_tensor(x))
    assert (moved.runs, moved.video_runs) == (row.runs, row.video_runs)
