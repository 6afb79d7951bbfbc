"""Pictures of any kind become RGB; batches have the size their preprocessing says, and padding is undone exactly."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo import InputError
from segdemo.images import MAX_PIXELS, Placement, check_input_size, load_picture, place, to_batch, to_picture
from segdemo.networks.network import Preprocessing

PAD = Preprocessing(size=64, sizes=(64, 128), stride=16)
SQUARE = Preprocessing(size=65, sizes=(65, 129), stride=8, remainder=1, shape="square", mean=(0.5,) * 3, std=(0.5,) * 3)
STRETCH = Preprocessing(size=64, sizes=(64, 96), stride=32, shape="stretch")


def encoded(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_every_mode_becomes_rgb_of_the_same_size(mode: str) -> None:
    assert load_picture(Image.new(mode, (7, 5))).mode == "RGB"
    assert load_picture(Image.new(mode, (7, 5))).size == (7, 5)


def test_16_bit_values_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    assert np.array(load_picture(encoded(Image.fromarray(values), "PNG")))[0, :, 0].tolist() == [0, 100, 255]


def test_floats_from_0_to_1_are_scaled() -> None:
    assert np.array(load_picture(Image.fromarray(np.array([[0, 0.2, 1]], np.float32))))[0, :, 1].tolist() == [
        0,
        51,
        255,
    ]


def test_transparent_pixels_are_laid_over_white() -> None:
    clear = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    assert [load_picture(clear).getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (10, 20, 30)]
    palette = Image.new("P", (1, 1))
    palette.info["transparency"] = 0
    assert load_picture(palette).getpixel((0, 0)) == (255, 255, 255)


def test_a_rotated_photograph_is_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    picture = Image.new("RGB", (40, 20))
    picture.paste((255, 0, 0), (0, 0, 20, 20))  # left half red: upright, the top half is
    upright = load_picture(encoded(picture, "JPEG", exif=exif, quality=95))
    assert upright.size == (20, 40)
    assert np.array(upright)[5, 10, 0] > 240
    assert upright.getpixel((10, 35)) == (0, 0, 0)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert load_picture(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).getpixel((0, 0)) == (
        255,
        0,
        0,
    )


def test_what_is_loaded_is_a_copy() -> None:
    picture = Image.new("RGB", (2, 2))
    load_picture(picture).putpixel((0, 0), (9, 9, 9))
    assert picture.getpixel((0, 0)) == (0, 0, 0)


def truncated() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    return encoded(Image.fromarray(noise), "JPEG")[:1500]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as a picture"),
        (b"this is text, whatever its name says", "cannot be read as a picture"),
        (truncated(), "cannot be read as a picture"),
        (encoded(Image.new("1", (9000, 9000)), "PNG"), r"9000 × 9000 pixels; at most 12000 on a side and 40 million"),
        (encoded(Image.new("1", (12001, 1)), "PNG"), r"12001 × 1 pixels"),
        (encoded(Image.new("1", (14000, 14000)), "PNG"), "far more than 40 million"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence_that_names_the_file(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "holiday.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as refusal:
        load_picture(path)
    assert str(tmp_path) not in str(refusal.value)
    assert load_picture(Image.new("RGB", (3, 3))).size == (3, 3)  # the next one works


def test_a_file_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"There is no file nowhere.png"):
        load_picture("nowhere.png")


def test_the_size_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encoded(Image.new("1", (9000, 9000)), "PNG")
    assert len(bomb) < 20_000
    assert MAX_PIXELS < 9000 * 9000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(InputError):
        load_picture(bomb)


@pytest.mark.parametrize(
    ("preprocessing", "size", "resized", "padded"),
    [
        (PAD, (100, 50), (64, 32), (64, 32)),
        (PAD, (100, 53), (64, 34), (64, 48)),
        (PAD, (50, 100), (32, 64), (32, 64)),
        (PAD, (1, 1), (64, 64), (64, 64)),
        (PAD, (10000, 20), (64, 1), (64, 16)),
        (SQUARE, (100, 50), (65, 32), (65, 65)),
        (SQUARE, (10000, 20), (65, 1), (65, 65)),
        (STRETCH, (100, 50), (64, 64), (64, 64)),
    ],
)
def test_a_picture_is_placed_as_the_rule_says(
    preprocessing: Preprocessing, size: tuple[int, int], resized: tuple[int, int], padded: tuple[int, int]
) -> None:
    assert place(size, preprocessing, preprocessing.size) == Placement(size, resized, padded)
    batch, placement = to_batch(Image.new("RGB", size, "white"), preprocessing)
    assert tuple(batch.shape) == (1, 3, padded[1], padded[0])
    assert placement.valid == (resized[0] / padded[0], resized[1] / padded[1])


def test_values_are_normalised_and_padding_is_0_afterwards() -> None:
    picture = Image.new("RGB", (65, 33), (255, 0, 51))
    batch, _ = to_batch(picture, SQUARE)
    assert batch[0, :, 0, 0].tolist() == pytest.approx([1, -1, 0.2 * 2 - 1])
    assert batch[0, :, :33].unique().numel() == 3
    assert not batch[0, :, 33:].any()


def test_the_batch_turns_back_into_the_picture_with_its_padding() -> None:
    values = np.random.default_rng(1).integers(0, 255, (33, 65, 3), np.uint8)
    batch, _ = to_batch(Image.fromarray(values), SQUARE)
    back = np.array(to_picture(batch, SQUARE))
    assert (back[:33] == values).all()
    assert (back[33:] == 128).all()  # the mean, which 0 stands for


@pytest.mark.parametrize(("side", "nearest"), [(64, 65), (66, 65), (0, 9), (-5, 9), (3, 9), (2000, 1017), (1025, 1017)])
def test_a_working_size_that_does_not_suit_is_refused_with_the_nearest_that_does(side: int, nearest: int) -> None:
    with pytest.raises(InputError, match=rf"The working size {side} .* of the form 8 × n \+ 1, .*\. Try {nearest}\."):
        check_input_size(SQUARE, side)
    assert check_input_size(SQUARE, nearest) == nearest


def test_without_a_working_size_the_networks_own_is_taken() -> None:
    assert check_input_size(SQUARE, None) == 65
    assert torch.equal(to_batch(Image.new("RGB", (4, 4)), SQUARE)[0], to_batch(Image.new("RGB", (4, 4)), SQUARE, 65)[0])


@pytest.mark.parametrize("side", [16, 64, 1024])
def test_a_network_that_fits_one_size_takes_no_other(side: int) -> None:
    preprocessing = Preprocessing(size=32, sizes=(32,), stride=32)
    assert check_input_size(preprocessing, 32) == 32
    with pytest.raises(InputError, match=rf"{side} does not suit.*from 32 to 32.*Try 32"):
        check_input_size(preprocessing, side)


def test_a_grey_batch_holds_the_luma_of_the_picture_and_turns_back_into_it() -> None:
    preprocessing = Preprocessing(
        size=2, sizes=(2,), stride=2, shape="stretch", mean=(0.5, 9, 9), std=(0.25, 9, 9), channels=1
    )
    picture = Image.new("RGB", (2, 2), (255, 0, 0))
    picture.putpixel((1, 0), (0, 255, 0))
    batch, _ = to_batch(picture, preprocessing)
    red, green = (round(255 * weight) / 255 for weight in (0.299, 0.587))  # ITU-R 601
    expected = torch.tensor([[[[red, green], [red, red]]]])
    torch.testing.assert_close(batch, (expected - 0.5) / 0.25)
    assert to_picture(batch, preprocessing).getpixel((1, 0)) == (150, 150, 150)


def test_a_pixel_lies_under_the_value_of_a_map_that_covers_it() -> None:
    placement = Placement((200, 100), (64, 32), (64, 64))  # the lower half of the batch is padding
    assert placement.cell_at((0, 0), (8, 8)) == (0, 0)
    assert placement.cell_at((199, 99), (8, 8)) == (7, 3)
    assert placement.cell_at((100, 50), (8, 8)) == (4, 2)
    assert placement.point_at((4, 2), (8, 8)) == (112, 62)
    assert placement.point_at((4, 4), (8, 8)) is None


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (65, 65), (513, 300)])
def test_the_way_to_a_map_and_back_leads_to_the_same_value(size: tuple[int, int]) -> None:
    placement = Placement((451, 300), (513, 341), (513, 513))
    for column in range(size[0]):
        for row in range(size[1]):
            point = placement.point_at((column, row), size)
            if point is not None and size[0] <= 451 and size[1] <= 300:
                assert placement.cell_at(point, size) == (column, row)


def test_the_part_of_a_map_over_the_picture_ends_with_the_value_over_its_last_pixel() -> None:
    placement = Placement((200, 100), (64, 32), (64, 64))
    assert placement.part_of((8, 8)) == (8, 4)
    assert placement.pixels_under((8, 8)) == ([12, 37, 62, 87, 112, 137, 162, 187], [12, 37, 62, 87])
    thin = Placement((3000, 4), (64, 1), (64, 64))  # less than a value of the map high
    assert thin.part_of((8, 8)) == (8, 1)
    assert thin.pixels_under((8, 8))[1] == [3]  # its middle lies below the picture: the nearest pixel
