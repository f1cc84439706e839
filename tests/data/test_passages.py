"""Media in a stream: exact ids, instants as digits, counts known before anything is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.data.passages import (
    LEAD_SAMPLES,
    MEDIUM,
    image_passage,
    joined_passage,
    num_sound_tokens,
    num_video_tokens,
    scale_frame,
    seconds_of,
    sound_passages,
    stamp,
    video_passages,
)
from cyclorama.data.tokenizer import load_tokenizer
from cyclorama.nn.mel import LEAD
from cyclorama.shapes import SOUND_RATE_HZ, frame_grid, grid_of_frames


def written(passage):
    """Return a passage's ids as text, each run of media tokens as its length in braces."""
    text, run = "", 0
    for token in [*passage.ids.tolist(), None]:
        if token == MEDIUM:
            run += 1
            continue
        text += f"{{{run}}}" if run else ""
        run = 0
        text += "" if token is None else load_tokenizer().decode([token])
    return text


def clip(num, height=48, width=48):
    return np.arange(num, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (num, height, width, 3), np.uint8
    )


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0, "00:00:00"), (7.99, "00:00:07"), (0.1 * 30, "00:00:03"), (36_000, "10:00:00"),
     (359_999, "99:59:59"), (400_000, "111:06:40")],
)  # fmt: skip
def test_instants_are_digits_of_any_length(time_s, text):
    assert stamp(time_s) == text
    ids = load_tokenizer().encode(text)
    assert len(ids) == len(text)  # a token a digit, as in a question about it


def test_no_instant_is_before_the_first():
    with pytest.raises(ValueError, match="must be 0 s or later, got -1"):
        stamp(-1)


def test_a_film_at_one_frame_a_second_has_a_stamp_a_frame():
    film = joined_passage([*video_passages([clip(2), clip(1)], rate_fps=1.0)])
    assert written(film) == "<video>1 fps 00:00:00{9}00:00:01{9}00:00:02{9}</video>"
    assert [len(medium) for medium in film.media] == [2, 1]


def test_fast_frames_share_the_stamp_of_their_second_and_slow_ones_have_their_own():
    fast = joined_passage([*video_passages([clip(5)], rate_fps=2.0, start_s=3599.0)])
    assert written(fast) == "<video>2 fps 00:59:59{18}01:00:00{18}01:00:01{9}</video>"
    slow = joined_passage([*video_passages([clip(2)], rate_fps=0.1)])
    assert written(slow) == "<video>0.1 fps 00:00:00{9}00:00:10{9}</video>"


def test_a_sound_has_a_stamp_each_fifth_second():
    sound = joined_passage([*sound_passages([seconds_of(np.zeros(7 * SOUND_RATE_HZ))])])
    assert written(sound) == "<audio>00:00:00{125}00:00:05{50}</audio>"


def test_a_picture_of_any_size_stands_between_its_marks():
    passage = image_passage(np.zeros((90, 160, 3), np.uint8))
    assert written(passage) == "<image>{15}</image>"
    assert passage.media[0].shape == (1, 48, 80, 3)


@given(st.integers(1, 40), st.sampled_from([0.3, 1.0, 2.0, 8.0, 29.97]), st.integers(0, 4000))
def test_tokens_of_a_film_are_known_before_it_is_read(num, rate_fps, start_s):
    passages = video_passages([clip(num)], rate_fps=rate_fps, start_s=float(start_s))
    wanted = len(joined_passage([*passages]).ids)
    grid = grid_of_frames(1, (48, 48))
    assert num_video_tokens(num, grid, rate_fps=rate_fps, start_s=float(start_s)) == wanted


@given(st.integers(1, 30), st.integers(1, 7))
def test_chunks_of_a_sound_are_its_whole(num, size):
    samples = np.random.default_rng(num).normal(size=num * SOUND_RATE_HZ - 40).astype(np.float32)
    whole = joined_passage([*sound_passages([seconds_of(samples)])])
    step = size * SOUND_RATE_HZ
    chunks = [
        seconds_of(samples[at : at + step], before=samples[:at])
        for at in range(0, len(samples), step)
    ]
    parts = joined_passage([*sound_passages(chunks)])
    np.testing.assert_array_equal(parts.ids, whole.ids)
    np.testing.assert_array_equal(np.concatenate(parts.media), np.concatenate(whole.media))
    assert len(whole.ids) == num_sound_tokens(num)


def test_a_second_begins_with_the_end_of_the_one_before():
    assert LEAD_SAMPLES == LEAD
    samples = np.arange(2 * SOUND_RATE_HZ + 5, dtype=np.float32)
    seconds = seconds_of(samples)
    assert len(seconds) == 3
    np.testing.assert_array_equal(seconds[0, :LEAD], 0)
    np.testing.assert_array_equal(seconds[0, LEAD:], samples[:SOUND_RATE_HZ])
    np.testing.assert_array_equal(seconds[1], samples[SOUND_RATE_HZ - LEAD : 2 * SOUND_RATE_HZ])
    np.testing.assert_array_equal(seconds[2, LEAD + 5 :], 0)


def test_scaling_keeps_what_fits_and_means_what_it_shrinks():
    square = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert scale_frame(square) is square
    large = np.repeat(np.repeat(square, 4, axis=0), 4, axis=1)
    np.testing.assert_array_equal(scale_frame(large), square)
    tall = scale_frame(np.zeros((1920, 1080, 3), np.uint8))
    assert tall.shape == (80, 48, 3)
    assert frame_grid(*tall.shape[:2]).num_tokens == 15
