"""Pictures of every mode become RGB; contact sheets show what they are given."""

import numpy as np
import pytest
from PIL import Image

from cyclorama.media.describe import describe_file
from cyclorama.media.image import (
    MARGIN,
    contact_sheet,
    probe_image,
    read_image,
    wrap_text,
    write_contact_sheet,
    write_png,
)


def test_png_round_trip_is_exact(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    metadata = {"prompt": "zw\u00f6lf B\u00e4lle", "seed": 7}
    write_png(tmp_path / "a.png", image, metadata=metadata)
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    info = probe_image(tmp_path / "a.png")
    assert info.metadata == metadata and (info.width, info.height) == (47, 33)
    gray = image[:, :, 0]
    write_png(tmp_path / "gray.png", gray)
    assert np.array_equal(read_image(tmp_path / "gray.png"), np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2, 3)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2, 3), np.uint8), 3]
)
def test_what_is_no_image(tmp_path, image):
    with pytest.raises(ValueError, match="uint8"):
        write_png(tmp_path / "a.png", image)
    with pytest.raises(ValueError, match="suffix"):
        write_png(tmp_path / "a.jpg", np.zeros((2, 2, 3), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = np.array([[10, 60, 110], [160, 200, 250]], np.uint8)
    # What a camera held that way stores (EXIF 2.32, tag 0x0112), for each value of the tag.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png")[..., 0], upright)
    info = probe_image(tmp_path / "a.png")
    assert (info.width, info.height) == (3, 2)


@pytest.mark.parametrize(
    ("mode", "colour", "expected", "suffix"),
    [
        ("L", 77, (77, 77, 77), "png"),
        ("1", 1, (255, 255, 255), "png"),
        ("LA", (100, 0), (255, 255, 255), "png"),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30), "png"),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255), "png"),
        ("P", 0, (0, 0, 0), "png"),
        ("I;16", 257 * 90, (90, 90, 90), "png"),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0), "tiff"),
        ("F", 12.0, (12, 12, 12), "tiff"),
    ],
)
def test_modes(tmp_path, mode, colour, expected, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (5, 4), colour).save(path)
    image = read_image(path)
    assert image.shape == (4, 5, 3) and image.dtype == np.uint8
    assert np.allclose(image, expected, atol=1)


def test_jpeg(tmp_path, lab):
    image = lab.moving_frames(1, 40, 56)[0]
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=95)
    assert lab.psnr_db(read_image(tmp_path / "a.jpg"), image) > 32
    assert "picture 56x40, jpeg" in describe_file(tmp_path / "a.jpg")


# Contact sheets


def clip_of(levels, height=20, width=30):
    return np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])


def test_a_row_shows_first_to_last(lab):
    sheet = contact_sheet([clip_of(range(0, 170, 10))], columns=5)
    row = sheet[MARGIN + 10, MARGIN + 15 :: 31][:5, 0]
    assert list(row) == [0, 40, 80, 120, 160]


def test_scale_repeats_pixels():
    clip = np.random.default_rng(0).integers(0, 256, (1, 20, 90, 3), dtype=np.uint8)
    sheet = contact_sheet([clip], scale=2)
    shown = sheet[MARGIN : MARGIN + 40, MARGIN : MARGIN + 180]
    assert np.array_equal(shown, clip[0].repeat(2, axis=0).repeat(2, axis=1))


def test_captions_are_ink_below_their_clip():
    clips = [clip_of([0] * 6, 24, 40), clip_of([255] * 3, 30, 16)]
    bare = contact_sheet(clips)
    sheet = contact_sheet(clips, captions=["a red ball rolls", ""])
    assert sheet.shape[1] == bare.shape[1] and sheet.shape[0] > bare.shape[0]
    below = sheet[MARGIN + 24 : MARGIN + 24 + 16]
    assert (below < 100).any() and (bare[MARGIN + 24 : MARGIN + 31] > 200).all()


def test_long_captions_wrap_and_lose_nothing():
    from PIL import ImageFont

    font = ImageFont.load_default(size=13)
    text = "a purple cylinder slides, " * 9 + "w" * 60
    lines = wrap_text(text, font, width_px=200)
    assert all(font.getlength(line) <= 200 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert wrap_text("one\ntwo", font, width_px=200) == ["one", "two"]
    short, long = (contact_sheet([clip_of([0])], captions=[words]) for words in ("ball", text))
    assert long.shape[0] > short.shape[0] and long.shape[1] == short.shape[1]


def test_sheets_are_written_and_laid_side_by_side(tmp_path):
    clips = [clip_of([10 * i] * 4) for i in range(5)]
    tall = contact_sheet(clips)
    wide = contact_sheet(clips, clips_per_row=2)
    assert wide.shape[1] > tall.shape[1] and wide.shape[0] < tall.shape[0]
    write_contact_sheet(tmp_path / "a.png", clips, clips_per_row=2, metadata={"num": 5})
    assert np.array_equal(read_image(tmp_path / "a.png"), wide)
    assert probe_image(tmp_path / "a.png").metadata == {"num": 5}


@pytest.mark.parametrize(
    ("clips", "arguments", "message"),
    [
        ([], {}, "at least one"),
        ([np.zeros((4, 4, 3), np.uint8)], {}, r"\(T, H, W, 3\)"),
        ([np.zeros((1, 4, 4, 3))], {}, "uint8"),
        ([np.zeros((1, 4, 4, 3), np.uint8)], {"captions": ["a", "b"]}, "one caption a clip"),
        ([np.zeros((1, 4, 4, 3), np.uint8)], {"columns": 0}, "columns"),
        ([np.zeros((1, 4, 4, 3), np.uint8)], {"scale": 0}, "scale"),
    ],
)
def test_sheets_that_cannot_be(clips, arguments, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(clips, **arguments)
