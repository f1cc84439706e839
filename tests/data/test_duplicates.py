"""Planted twins are found, mirrored and rescaled too; strangers and other moments are not."""

import numpy as np
from PIL import Image

from cyclorama.data.duplicates import (
    HASH_BYTES,
    Likeness,
    SeenClips,
    difference,
    hash_distance,
    likeness,
)


def scene(seed: int, *, num_frames: int = 9, height: int = 96, width: int = 128) -> np.ndarray:
    """Return a clip of discs that drift over a soft background."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    soft = rng.uniform(60, 200, (3, 4, 3)).astype(np.uint8)
    back = np.asarray(Image.fromarray(soft).resize((width, height), Image.Resampling.BICUBIC))
    clip = np.repeat(back[None], num_frames, 0).copy()
    for _ in range(5):
        centre, speed = rng.uniform(0, [height, width]), rng.uniform(-3, 3, 2)
        colour, radius = rng.integers(0, 256, 3), rng.uniform(6, 24)
        for t in range(num_frames):
            y, x = centre + t * speed
            clip[t][(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = colour
    return clip


def twin(seen: SeenClips, clip: np.ndarray) -> str | None:
    found = seen.twin_of(likeness(clip), origin="asked", max_distance=16, max_difference=24.0)
    return found.id if found else None


def test_the_mirrored_hash_is_the_hash_of_the_mirror() -> None:
    clip = scene(5)
    look, turned = likeness(clip), likeness(clip[:, :, ::-1])
    assert len(look.plain) == len(look.mirrored) == HASH_BYTES
    assert (turned.plain, turned.mirrored) == (look.mirrored, look.plain)
    assert np.array_equal(turned.thumbnail, look.thumbnail[..., ::-1])
    assert hash_distance(look, turned) == 0 and difference(look.thumbnail, turned.thumbnail) == 0


def test_twins_are_found_and_strangers_are_not() -> None:
    clips = [scene(seed) for seed in range(40)]
    seen = SeenClips()
    assert twin(seen, clips[0]) is None
    for seed, clip in enumerate(clips):
        assert twin(seen, clip) is None  # it is not there yet, and no other is like it
        seen.add(f"clip{seed}", likeness(clip), origin=f"file{seed}")
    assert len(seen) == 40
    for seed, clip in enumerate(clips):
        small = np.stack([np.asarray(Image.fromarray(f).resize((80, 64))) for f in clip])
        bright = np.clip(clip.astype(int) + 12, 0, 255).astype(np.uint8)
        for copy in (clip, small, bright[:, :, ::-1]):
            assert twin(seen, copy) == f"clip{seed}"
        own = seen.twin_of(
            likeness(clip), origin=f"file{seed}", max_distance=16, max_difference=24.0
        )
        assert own is None  # clips of one file are never twins


def test_another_moment_before_a_fixed_camera_is_no_twin() -> None:
    empty = scene(1)[:1].repeat(9, 0)
    passer = empty.copy()
    for t in range(9):
        passer[t, 40:64, 10 + 8 * t : 22 + 8 * t] = 20  # 3 % of the picture
    seen = SeenClips()
    seen.add("empty", likeness(empty), origin="monday")
    look = likeness(passer)
    assert hash_distance(look, likeness(empty)) <= 40
    assert seen.twin_of(look, origin="x", max_distance=192, max_difference=24.0) is None
    found = seen.twin_of(look, origin="x", max_distance=192, max_difference=255.0)
    assert found is not None and found.id == "empty" and found.difference > 24


def test_it_grows_and_keeps_ids() -> None:
    rng = np.random.default_rng(0)
    looks = [
        Likeness(rng.bytes(24), rng.bytes(24), rng.integers(0, 256, (3, 16, 16)).astype(np.uint8))
        for _ in range(600)
    ]
    seen = SeenClips()
    for number, look in enumerate(looks):
        seen.add(str(number), look, origin="a")
    for number in (0, 255, 256, 599):
        found = seen.twin_of(looks[number], origin="b", max_distance=0, max_difference=0.0)
        assert found is not None and (found.id, found.distance) == (str(number), 0)
