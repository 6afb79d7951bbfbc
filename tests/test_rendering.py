"""Pictures made from arrays: the numbers by hand, the refusals, and the edges."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageColor

from segdemo import rendering
from segdemo.rendering import INF_COLOUR, NAN_COLOUR, NEGATIVE_INF_COLOUR, Scale, is_flat, scale_for

WHITE = (255, 255, 255)
ODD_COLOURS = (NAN_COLOUR, INF_COLOUR, NEGATIVE_INF_COLOUR)
COLOURS = ["#000000", "#ff0000", "#0064c8"]


def rgb(name: str, fraction: float) -> tuple[int, ...]:
    """Ask matplotlib for a colour of a map, as 8-bit numbers."""
    return tuple(round(255 * part) for part in matplotlib.colormaps[name](fraction)[:3])


def pixels(picture: Image.Image) -> np.ndarray:
    """Read a picture as an array."""
    assert picture.mode == "RGB"
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 4.0, Scale(0.0, 4.0, False)),
        (1.5, 4.0, Scale(1.5, 4.0, False)),
        (-1.0, 4.0, Scale(-4.0, 4.0, True)),
        (-6.0, 4.0, Scale(-6.0, 6.0, True)),
        (-6.0, -4.0, Scale(-6.0, 6.0, True)),
        (0.0, 0.0, Scale(0.0, 0.0, False)),
        (-0.0, 0.0, Scale(0.0, 0.0, False)),
        (math.nan, math.nan, Scale(0.0, 0.0, False)),
    ],
)
def test_scale_is_symmetric_exactly_when_values_are_negative(low: float, high: float, expected: Scale) -> None:
    assert scale_for(low, high) == expected


def test_scale_refuses_a_low_above_its_high() -> None:
    with pytest.raises(ValueError, match=r"low 2.0 is above high 1.0"):
        scale_for(2.0, 1.0)


@pytest.mark.parametrize(
    ("own", "reference", "flat"),
    [
        ((0.0, 5e-6), (0.0, 1.0), True),
        ((3.0, 3.0005), (0.0, 1.0), True),
        ((0.0, 0.0009995), (0.0, 1.0), True),
        ((0.0, 0.001), (0.0, 1.0), False),
        ((0.0, 1.0), (0.0, 1.0), False),
        ((0.0, 5e-6), (0.0, 5e-6), False),
        ((2.0, 2.0), (2.0, 2.0), True),
        ((math.nan, math.nan), (0.0, 1.0), False),
    ],
)
def test_map_is_flat_below_a_thousandth_of_its_layer(
    own: tuple[float, float], reference: tuple[float, float], flat: bool
) -> None:
    assert is_flat(*own, *reference) is flat


def test_values_that_are_never_negative_run_through_viridis() -> None:
    drawn = pixels(rendering.heat_map(np.array([[2, 3], [4, 9]], np.float32), Scale(2.0, 4.0, False)))
    assert drawn.shape == (2, 2, 3)
    assert tuple(drawn[0, 0]) == rgb("viridis", 0.0) == (68, 1, 84)
    assert tuple(drawn[0, 1]) == pytest.approx(rgb("viridis", 0.5), abs=2)
    assert tuple(drawn[1, 0]) == tuple(drawn[1, 1]) == rgb("viridis", 1.0) == (253, 231, 37)


def test_zero_of_signed_values_is_white_and_the_signs_are_red_and_blue() -> None:
    drawn = pixels(rendering.heat_map(np.array([[-3, -1, 0, 1, 3]], np.float32), scale_for(-1.0, 3.0)))[0].astype(int)
    assert tuple(drawn[2]) == WHITE
    assert drawn[0, 2] > drawn[0, 0] and drawn[1, 2] > drawn[1, 0]
    assert drawn[4, 0] > drawn[4, 2] and drawn[3, 0] > drawn[3, 2]
    assert tuple(drawn[0]) == rgb("RdBu_r", 0.0) and tuple(drawn[4]) == rgb("RdBu_r", 1.0)


def test_only_zero_is_white_and_colour_steps_stay_small() -> None:
    ramp = np.linspace(-1, 1, 257, dtype=np.float32)[None]
    drawn = pixels(rendering.heat_map(ramp, Scale(-1.0, 1.0, True)))[0].astype(int)
    assert np.flatnonzero((drawn == 255).all(axis=1)).tolist() == [128]
    assert np.abs(np.diff(drawn, axis=0)).max() <= 6


def test_nan_and_infinities_have_colours_that_no_map_holds() -> None:
    values = np.array([[math.nan, math.inf, -math.inf]], np.float32)
    for scale in (Scale(0.0, 1.0, False), Scale(-1.0, 1.0, True), Scale(0.0, 0.0, False)):
        assert [tuple(pixel) for pixel in pixels(rendering.heat_map(values, scale))[0]] == [
            NAN_COLOUR,
            INF_COLOUR,
            NEGATIVE_INF_COLOUR,
        ]
        ramp = pixels(rendering.heat_map(np.linspace(-1, 1, 2001, dtype=np.float32)[None], scale))[0].astype(int)
        for colour in ODD_COLOURS:
            assert np.abs(ramp - colour).sum(axis=1).min() > 100
    assert len(set(ODD_COLOURS)) == 3


def test_one_infinity_leaves_the_finite_values_their_colours() -> None:
    values = np.array([[0.0, 1.0, math.inf]], np.float32)
    drawn = pixels(rendering.heat_map(values, scale_for(0.0, 1.0)))
    assert np.array_equal(drawn[:, :2], pixels(rendering.heat_map(values[:, :2], scale_for(0.0, 1.0))))


@pytest.mark.parametrize("value", [0.0, 7.0, -7.0])
def test_constant_map_is_one_quiet_colour(value: float) -> None:
    drawn = pixels(rendering.heat_map(np.full((2, 3), value, np.float32), scale_for(value, value)))
    assert len({tuple(pixel) for pixel in drawn.reshape(-1, 3)}) == 1
    expected = rgb("RdBu_r", 0.0) if value < 0 else rgb("viridis", 0.0)
    assert tuple(drawn[0, 0]) == expected


def test_signed_scale_without_range_is_white() -> None:
    assert tuple(pixels(rendering.heat_map(np.zeros((1, 1), np.float32), Scale(0.0, 0.0, True)))[0, 0]) == WHITE


def test_smallest_and_largest_floats_can_be_drawn() -> None:
    tiny, huge = np.float32(1e-45), np.finfo(np.float64).max
    drawn = pixels(rendering.heat_map(np.array([[0, tiny]], np.float32), scale_for(0.0, float(tiny))))
    assert [tuple(pixel) for pixel in drawn[0]] == [rgb("viridis", 0.0), rgb("viridis", 1.0)]
    drawn = pixels(rendering.heat_map(np.array([[-huge, 0, huge]]), scale_for(-huge, huge)))
    assert [tuple(pixel) for pixel in drawn[0]] == [rgb("RdBu_r", 0.0), WHITE, rgb("RdBu_r", 1.0)]


def quantised(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Store values as levels 0 to 252, as summaries do."""
    return np.rint((values - low) / (high - low) * 252).astype(np.uint8)


def test_thumbnails_are_coloured_like_the_values_they_stand_for() -> None:
    levels = np.arange(253, dtype=np.uint8).reshape(1, 11, 23)
    values = -1 + levels[0] / 252 * 4
    for scale in (Scale(-3.0, 3.0, True), Scale(-1.0, 3.0, False), Scale(-30.0, 30.0, True)):
        tiles = rendering.colour_thumbnails(levels, np.array([-1.0]), np.array([3.0]), [scale])
        expected = pixels(rendering.heat_map(values, scale)).astype(int)
        assert np.abs(tiles[0] - expected).max() <= 6  # at most one step of the map, where rounding falls differently
    assert quantised(values, -1, 3).tolist() == levels[0].tolist()


def test_zero_stays_white_in_thumbnails() -> None:
    tiles = rendering.colour_thumbnails(
        np.array([[[63, 0, 252]]], np.uint8), np.array([-1.0]), np.array([3.0]), [scale_for(-1.0, 3.0)]
    )
    assert tuple(tiles[0, 0, 0]) == WHITE
    assert tuple(tiles[0, 0, 2]) == rgb("RdBu_r", 1.0)


def test_each_thumbnail_has_its_own_range_and_scale() -> None:
    thumbnails = np.array([[[0, 252]], [[0, 252]], [[0, 0]]], np.uint8)
    shared = Scale(0.0, 10.0, False)
    tiles = rendering.colour_thumbnails(
        thumbnails, np.array([0.0, 0.0, 5.0]), np.array([10.0, 5.0, 5.0]), [shared, shared, shared]
    )
    assert [tuple(pixel) for pixel in tiles[0, 0]] == [rgb("viridis", 0.0), rgb("viridis", 1.0)]
    assert tuple(tiles[1, 0, 1]) == tuple(tiles[2, 0, 0]) == pytest.approx(rgb("viridis", 0.5), abs=2)


def test_reserved_levels_of_thumbnails_are_the_infinities_and_nan() -> None:
    thumbnails = np.array([[[253, 254, 255]]], np.uint8)
    for low, high in ((0.0, 1.0), (math.nan, math.nan)):
        tiles = rendering.colour_thumbnails(thumbnails, np.array([low]), np.array([high]), [scale_for(low, high)])
        assert [tuple(pixel) for pixel in tiles[0, 0]] == [NEGATIVE_INF_COLOUR, INF_COLOUR, NAN_COLOUR]


def test_thumbnails_refuse_a_missing_scale() -> None:
    with pytest.raises(ValueError, match="2 maps, but 2 lows, 2 highs, 1 scales"):
        rendering.colour_thumbnails(np.zeros((2, 1, 1), np.uint8), np.zeros(2), np.ones(2), [Scale(0.0, 1.0, False)])


def test_sheet_keeps_the_order_of_channels_row_by_row() -> None:
    tiles = np.zeros((5, 2, 3, 3), np.uint8)
    tiles[:, :, :, 0] = np.array([10, 20, 30, 40, 50])[:, None, None]
    sheet = pixels(rendering.channel_grid(tiles, columns=2))
    assert sheet.shape == (6, 6, 3)
    assert [int(sheet[row, column, 0]) for row in (0, 2, 4) for column in (0, 3)] == [10, 20, 30, 40, 50, 128]
    for index in range(5):
        row, column = divmod(index, 2)
        assert np.array_equal(sheet[row * 2 : row * 2 + 2, column * 3 : column * 3 + 3], tiles[index])
    assert set(sheet[4:, 3:].reshape(-1).tolist()) == {128}


def test_sheet_puts_gaps_between_tiles_only() -> None:
    sheet = pixels(rendering.channel_grid(np.zeros((4, 2, 3, 3), np.uint8), columns=2, gap=1))
    assert sheet.shape == (5, 7, 3)
    grey = (sheet == 128).all(axis=2)
    assert grey[2].all() and grey[:, 3].all() and int(grey.sum()) == 5 + 7 - 1


def test_sheet_of_one_pixel_and_fewer_tiles_than_columns() -> None:
    assert rendering.channel_grid(np.zeros((1, 1, 1, 3), np.uint8)).size == (8, 1)
    assert rendering.channel_grid(np.zeros((1, 1, 1, 3), np.uint8), columns=1).size == (1, 1)


@pytest.mark.parametrize(("count", "columns", "gap"), [(0, 8, 0), (1, 0, 0), (1, 1, -1)])
def test_sheet_refuses_what_makes_no_sheet(count: int, columns: int, gap: int) -> None:
    with pytest.raises(ValueError, match="a sheet needs a tile and a column"):
        rendering.channel_grid(np.zeros((count, 1, 1, 3), np.uint8), columns=columns, gap=gap)


def test_colour_bar_runs_from_left_to_right_and_from_bottom_to_top() -> None:
    lying = rendering.colour_bar(Scale(-2.0, 2.0, True), 5, 2)
    standing = rendering.colour_bar(Scale(0.0, 2.0, False), 2, 5)
    assert lying.size == (5, 2) and standing.size == (2, 5)
    assert [lying.getpixel((x, 1)) for x in (0, 2, 4)] == [rgb("RdBu_r", 0.0), WHITE, rgb("RdBu_r", 1.0)]
    assert [standing.getpixel((1, y)) for y in (0, 4)] == [rgb("viridis", 1.0), rgb("viridis", 0.0)]
    square = rendering.colour_bar(Scale(0.0, 2.0, False), 3, 3)
    assert [square.getpixel((x, 1)) for x in (0, 2)] == [rgb("viridis", 0.0), rgb("viridis", 1.0)]
    assert rendering.colour_bar(Scale(3.0, 3.0, False), 1, 1).getpixel((0, 0)) == rgb("viridis", 0.0)


def test_mask_is_painted_in_class_colours() -> None:
    drawn = rendering.coloured_mask(np.array([[0, 1, 2]], np.uint8), COLOURS)
    assert [drawn.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (255, 0, 0), (0, 100, 200)]


def test_palette_png_keeps_class_indices_and_colours() -> None:
    colours = [f"#{index:02x}{255 - index:02x}{index // 2:02x}" for index in range(256)]
    for classes in (2, 3, 17, 256):
        mask = np.arange(256, dtype=np.uint8).reshape(16, 16) % np.uint8(classes - 1 or 1)
        mask[0, 0] = classes - 1
        file = io.BytesIO()
        rendering.palette_mask(mask, colours[:classes]).save(file, "PNG")
        read = Image.open(file)
        assert read.mode == "P"
        assert np.array_equal(np.asarray(read), mask)
        assert np.array_equal(np.asarray(read.convert("RGB")), pixels(rendering.coloured_mask(mask, colours[:classes])))


@pytest.mark.parametrize("draw", [rendering.coloured_mask, rendering.palette_mask])
def test_mask_with_a_class_without_colour_is_refused(draw: Callable[..., Image.Image]) -> None:
    with pytest.raises(ValueError, match="the mask holds class 3, but there are 3 colours"):
        draw(np.array([[3]], np.uint8), COLOURS)
    with pytest.raises(ValueError, match=r"a mask is \(H, W\) uint8"):
        draw(np.array([[1]], np.int64), COLOURS)


def test_overlay_mixes_by_opacity_and_spares_hidden_classes() -> None:
    picture = Image.new("RGB", (3, 1), (100, 50, 200))
    mask = np.array([[0, 1, 2]], np.uint8)
    mixed = rendering.overlay(picture, mask, COLOURS, opacity=0.25, hidden=frozenset({0}))
    assert [mixed.getpixel((x, 0)) for x in range(3)] == [
        (100, 50, 200),
        (139, 38, 150),  # 75 + 63.75, 37.5 + 0, 150 + 0; halves go to the even neighbour
        (75, 62, 200),  # 75 + 0, 37.5 + 25, 150 + 50
    ]
    everything = rendering.overlay(picture, mask, COLOURS, opacity=1.0, hidden=frozenset({2, 99}))
    assert [everything.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (255, 0, 0), (100, 50, 200)]
    nothing = rendering.overlay(picture, mask, COLOURS, opacity=0.0, hidden=frozenset())
    assert nothing.tobytes() == picture.tobytes()


def test_overlay_of_a_tall_picture_is_mixed_everywhere() -> None:
    mixed = rendering.overlay(Image.new("RGB", (2, 600)), np.ones((600, 2), np.uint8), COLOURS, opacity=1.0)
    assert (pixels(mixed) == (255, 0, 0)).all()


def test_every_value_of_a_picture_is_mixed_with_every_colour_as_the_formula_says() -> None:
    values = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (3, 1, 3))
    mask = np.repeat(np.arange(3, dtype=np.uint8)[:, None], 256, 1)
    mixed = rendering.overlay(Image.fromarray(values), mask, COLOURS, opacity=0.55, hidden=frozenset({1}))
    expected = values.astype(np.float64)
    for row in (0, 2):
        expected[row] = expected[row] * 0.45 + np.array(ImageColor.getrgb(COLOURS[row])) * 0.55
    assert np.abs(np.asarray(mixed) - expected).max() <= 0.5 + 1e-4
    assert (np.asarray(mixed)[1] == values[1]).all()


def test_a_photograph_as_png_is_the_same_to_the_pixel_and_carries_its_text() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 3), np.uint8)
    file = rendering.encode_png(Image.fromarray(pixels), photograph=True, text={"Software": "segdemo"})
    with Image.open(io.BytesIO(file)) as read:
        assert (np.asarray(read) == pixels).all()
        assert read.info["Software"] == "segdemo"
    assert file.index(b"tEXt") < file.index(b"IDAT")  # before the pixels, where results are known by it


def test_overlay_refuses_another_size_and_an_impossible_opacity() -> None:
    picture = Image.new("RGB", (3, 2))
    with pytest.raises(ValueError, match=r"does not lie on a picture of \(3, 2\)"):
        rendering.overlay(picture, np.zeros((3, 2), np.uint8), COLOURS)
    with pytest.raises(ValueError, match=r"opacity 1\.5"):
        rendering.overlay(picture, np.zeros((2, 3), np.uint8), COLOURS, opacity=1.5)


def test_nothing_is_drawn_into_what_was_given() -> None:
    values = np.array([[math.nan, -1, math.inf, 2]], np.float32)
    thumbnails = np.array([[[0, 100, 253, 255]]], np.uint8)
    mask = np.array([[0, 1]], np.uint8)
    picture = Image.new("RGB", (2, 1), (9, 8, 7))
    for array in (values, thumbnails, mask):
        array.flags.writeable = False
    scale = scale_for(-1.0, 2.0)
    rendering.heat_map(values, scale)
    tiles = rendering.colour_thumbnails(thumbnails, np.array([-1.0]), np.array([2.0]), [scale])
    sheet = rendering.channel_grid(tiles, columns=1)
    before = sheet.tobytes()
    tiles[:] = 0
    assert sheet.tobytes() == before
    made = rendering.palette_mask(mask, COLOURS)
    made.putpixel((0, 0), 2)
    rendering.overlay(picture, mask, COLOURS, hidden=frozenset()).putpixel((0, 0), (1, 1, 1))
    assert mask.tolist() == [[0, 1]]
    later = np.array([[0, 1]], np.uint8)
    made = rendering.palette_mask(later, COLOURS)
    later[:] = 2
    assert np.asarray(made).tolist() == [[0, 1]]
    assert picture.getpixel((0, 0)) == (9, 8, 7)
    again = rendering.heat_map(values, scale)
    again.putpixel((0, 0), (1, 2, 3))
    assert rendering.heat_map(values, scale).getpixel((0, 0)) == NAN_COLOUR


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (300, 2)])
def test_an_encoded_png_reads_back_bit_for_bit(mode: str, size: tuple[int, int]) -> None:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    values = np.random.default_rng(8).integers(0, 256, shape, np.uint8)
    with Image.open(io.BytesIO(rendering.encode_png(Image.fromarray(values)))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", mode, size)
        assert np.array_equal(np.asarray(read), values)
