"""Turn arrays into pictures: heat map, channel grid, colour bar, coloured mask, overlay.

Pure functions: none draws into what it is given. Maps that are never negative are drawn in viridis; maps with negative
values in red and blue with white at 0. What is no number has a colour of its own, found in neither of the two.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

Pixels = NDArray[np.uint8]

NAN_COLOUR = (255, 0, 255)  # magenta
INF_COLOUR = (0, 255, 255)  # cyan
NEGATIVE_INF_COLOUR = (0, 0, 0)  # black
EMPTY_COLOUR = (128, 128, 128)  # around and after the tiles of a channel grid

_STEPS = 257  # colours in each map; odd, so that a signed scale has one for exactly 0
_NEGATIVE_INF, _INF, _NAN = _STEPS, _STEPS + 1, _STEPS + 2  # their places in a colour table
_LEVELS = 252  # a thumbnail's highest level that stands for a number; 253 is -inf, 254 +inf, 255 NaN
_FLAT = 1 / 1000  # of the reference's range


@dataclass(frozen=True)
class Scale:
    """Which values the two ends of a colour map stand for.

    Args:
        low: value of the first colour.
        high: value of the last colour.
        diverging: the data is signed: ``low`` is ``-high``, and 0 is white.
    """

    low: float
    high: float
    diverging: bool


def scale_for(low: float, high: float) -> Scale:
    """Choose the colour scale that suits data from ``low`` to ``high``.

    Args:
        low: smallest finite value of the data, NaN when it has none.
        high: largest finite value of the data, NaN when it has none.

    Returns:
        A scale symmetric about 0 when some values are negative, otherwise one from ``low`` to ``high``.

    Raises:
        ValueError: ``low`` is above ``high``.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return Scale(0.0, 0.0, diverging=False)
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if low < 0:
        reach = float(max(-low, high))
        return Scale(-reach, reach, diverging=True)
    return Scale(float(low), float(high), diverging=False)


def is_flat(low: float, high: float, reference_low: float, reference_high: float) -> bool:
    """Say whether a map hardly varies, so that it is named flat instead of being stretched until it shines.

    Args:
        low: smallest finite value of the map.
        high: largest finite value of the map.
        reference_low: smallest finite value of what it is compared with, usually its layer.
        reference_high: largest finite value of what it is compared with.

    Returns:
        True when the map is constant, or its range is under 1/1000 of the reference's.
    """
    return high == low or high - low < _FLAT * (reference_high - reference_low)


def heat_map(values: NDArray[np.floating], scale: Scale) -> Image.Image:
    """Draw one map, one pixel for each value.

    Args:
        values: (h, w), any float type; may hold NaN and infinities.
        scale: values beyond its ends get the colour of the nearer end.

    Returns:
        RGB picture of size (w, h).
    """
    return Image.fromarray(colour_values(values, scale))


def colour_values(values: NDArray[np.floating], scale: Scale) -> Pixels:
    """Give each value its colour.

    Args:
        values: any shape, any float type; may hold NaN and infinities.
        scale: values beyond its ends get the colour of the nearer end.

    Returns:
        uint8, the shape of ``values`` with RGB as a new last axis.
    """
    return _colours(scale.diverging)[_places(np.asarray(values, np.float64), scale)]


def colour_thumbnails(
    thumbnails: Pixels, lows: NDArray[np.floating], highs: NDArray[np.floating], scales: Sequence[Scale]
) -> Pixels:
    """Colour many small maps that were stored as levels between their own minimum and maximum.

    Args:
        thumbnails: (n, th, tw) uint8; 0 to 252 go from the map's low to its high, 253 is -inf, 254 +inf, 255 NaN.
        lows: (n,) value of level 0 of each map; NaN for a map without a number.
        highs: (n,) value of level 252 of each map; NaN for a map without a number.
        scales: n scales, one for each map.

    Returns:
        (n, th, tw, 3) uint8, RGB.

    Raises:
        ValueError: there are not as many lows, highs and scales as maps.
    """
    count = len(thumbnails)
    if not count == len(lows) == len(highs) == len(scales):
        raise ValueError(f"{count} maps, but {len(lows)} lows, {len(highs)} highs, {len(scales)} scales")
    tiles = np.empty((*thumbnails.shape, 3), np.uint8)
    fractions = np.arange(_LEVELS + 1) / _LEVELS
    for tile, thumbnail, low, high, scale in zip(tiles, thumbnails, lows, highs, scales, strict=True):
        first, last = float(low), float(high)
        # Weighting both ends keeps them exact, and a range of more than the largest float from overflowing.
        values = np.concatenate([first * (1 - fractions) + last * fractions, [-math.inf, math.inf, math.nan]])
        np.take(colour_values(values, scale), thumbnail, axis=0, out=tile, mode="clip")
    return tiles


def within(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return a size in the same proportions that is no longer than that, and no larger than it was.

    Args:
        size: (width, height), pixels.
        longest: side, pixels.
    """
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def channel_grid(tiles: Pixels, columns: int = 8, gap: int = 0) -> Image.Image:
    """Lay tiles out in rows, from left to right and from top to bottom.

    Args:
        tiles: (n, th, tw, 3) uint8, RGB.
        columns: tiles in a row; places without a tile are grey.
        gap: grey pixels between neighbouring tiles.

    Returns:
        RGB picture of ``columns`` by ⌈n / columns⌉ tiles.

    Raises:
        ValueError: there is no tile, no column, or a negative gap.
    """
    count, height, width, _ = tiles.shape
    if count < 1 or columns < 1 or gap < 0:
        raise ValueError(f"a sheet needs a tile and a column: {count} tiles, {columns} columns, gap {gap}")
    rows = -(-count // columns)
    sheet = np.empty((rows, height + gap, columns, width + gap, 3), np.uint8)
    if gap or count < rows * columns:
        sheet[:] = EMPTY_COLOUR
    for index, tile in enumerate(tiles):
        sheet[index // columns, :height, index % columns, :width] = tile
    flat = sheet.reshape(rows * (height + gap), columns * (width + gap), 3)
    return Image.fromarray(np.ascontiguousarray(flat[: len(flat) - gap, : flat.shape[1] - gap]))


def encode_png(picture: Image.Image, *, photograph: bool = False, text: Mapping[str, str] | None = None) -> bytes:
    """Write a picture as PNG, quickly: without choosing among row filters, on which Pillow spends most of its time.

    Args:
        picture: RGB or L.
        photograph: write each row as its difference from the one above, which suits photographs.
        text: keyword → what it says, both Latin-1, for the file to carry.

    Returns:
        The file's bytes; lossless.
    """
    values = np.asarray(picture)
    flat = values.reshape(len(values), -1)
    rows = np.empty((len(flat), 1 + flat.shape[1]), np.uint8)  # each row begins with its filter: 0, none, or 2, up
    rows[:, 0] = 2 if photograph else 0
    rows[:, 1:] = flat
    if photograph:
        rows[1:, 1:] -= flat[:-1]
    colour_type = {"RGB": 2, "L": 0}[picture.mode]
    header = struct.pack(">IIBBBBB", *picture.size, 8, colour_type, 0, 0, 0)
    notes = [(b"tEXt", f"{name}\0{said}".encode("latin-1")) for name, said in (text or {}).items()]
    chunks = ((b"IHDR", header), *notes, (b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def encode_jpeg(picture: Image.Image) -> bytes:
    """Return a picture as a JPEG file, without thinning out its colours.

    Args:
        picture: any mode; written as RGB.
    """
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=90, subsampling=0)
    return file.getvalue()


def colour_bar(scale: Scale, width: int, height: int) -> Image.Image:
    """Draw the colours of a scale: from left to right, or from bottom to top when higher than wide.

    Args:
        scale: what to draw; a scale without range gives a single colour.
        width: in pixels.
        height: in pixels.

    Returns:
        RGB picture; the middles of the first and the last pixel are the scale's ends.
    """
    lying = width >= height
    fractions = np.linspace(0, 1, width if lying else height)
    colours = colour_values(scale.low * (1 - fractions) + scale.high * fractions, scale)
    bar = colours[None, :] if lying else colours[::-1, None]
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(bar, (height, width, 3))))


def coloured_mask(mask: Pixels, colours: Sequence[str]) -> Image.Image:
    """Paint each class in its colour.

    Args:
        mask: (H, W) uint8 or uint16, class of each pixel.
        colours: ``"#rrggbb"`` of each class, in index order.

    Returns:
        RGB picture of size (W, H).

    Raises:
        ValueError: the mask holds a class without a colour.
    """
    return Image.fromarray(_class_colours(mask, colours)[mask])


def palette_mask(mask: Pixels, colours: Sequence[str]) -> Image.Image:
    """Make a picture whose pixels are the class indices themselves and whose palette shows them in colour.

    Args:
        mask: (H, W) uint8 or uint16, class of each pixel.
        colours: ``"#rrggbb"`` of each class, in index order.

    Returns:
        Picture of mode P and size (W, H), or of mode I;16 without colours above 256 classes, which no palette holds;
        saved as PNG, it keeps the indices.

    Raises:
        ValueError: the mask holds a class without a colour.
    """
    palette = _class_colours(mask, colours)
    picture = Image.fromarray(mask.copy())
    if mask.dtype != np.uint8:
        return picture
    picture.putpalette(palette.tobytes())
    return picture


def overlay(
    picture: Image.Image,
    mask: Pixels,
    colours: Sequence[str],
    opacity: float = 0.55,
    hidden: frozenset[int] = frozenset(),
) -> Image.Image:
    """Lay the class colours over a picture.

    Args:
        picture: of size (W, H).
        mask: (H, W) uint8 or uint16, class of each pixel.
        colours: ``"#rrggbb"`` of each class, in index order.
        opacity: of the colours; 0 shows the picture alone, 1 the colours alone.
        hidden: classes whose pixels stay as in the picture.

    Returns:
        RGB picture of size (W, H): picture · (1 - opacity) + colour · opacity, rounded.

    Raises:
        ValueError: mask and picture differ in size, the mask holds a class without a colour, or the opacity is not in
            [0, 1].
    """
    if mask.shape != (picture.height, picture.width):
        raise ValueError(f"a mask of {mask.shape} (height, width) does not lie on a picture of {picture.size}")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity {opacity} is not in [0, 1]")
    paints = _class_colours(mask, colours)
    plain = picture.convert("RGB")
    mixed = plain.copy()
    for index in np.flatnonzero(_counts(mask)).tolist():
        if index in hidden:
            continue
        here = Image.fromarray(mask == index)
        box = here.getbbox()
        painted = plain.crop(box).point(_painted(paints[index], opacity))
        mixed.paste(painted, box, here.crop(box))
    return mixed


def _counts(mask: Pixels) -> list[int]:
    """Count the pixels of each class."""
    if mask.dtype == np.uint8:
        return Image.fromarray(mask).histogram()  # several times faster than bincount, which makes 8 bytes of each
    return np.bincount(mask.ravel()).tolist()


def _painted(paint: Pixels, opacity: float) -> list[int]:
    """Return what becomes of each value of red, then green, then blue under a colour, 3 × 256 numbers."""
    values, weight = np.arange(256, dtype=np.float32), np.float32(opacity)
    mixed = np.rint(values * (1 - weight) + paint.astype(np.float32)[:, None] * weight)
    return [int(value) for value in mixed.ravel()]


def _places(values: NDArray[np.float64], scale: Scale) -> NDArray[np.intp]:
    """Find each value's place in the colour table."""
    last = _STEPS - 1
    with np.errstate(invalid="ignore", over="ignore"):
        if scale.diverging:
            fractions = 0.5 + (values / scale.high if scale.high else values * 0) / 2
        else:
            reach = scale.high - scale.low
            fractions = (values - scale.low) / reach if reach else values * 0
        places = np.rint(np.clip(np.where(np.isfinite(values), fractions, 0), 0, 1) * last).astype(np.intp)
    places[values == math.inf] = _INF
    places[values == -math.inf] = _NEGATIVE_INF
    places[np.isnan(values)] = _NAN
    return places


@cache
def _colours(diverging: bool) -> Pixels:
    """Build the colour table of a map: its steps, then the colours of -inf, +inf and NaN."""
    name = "RdBu_r" if diverging else "viridis"
    steps = matplotlib.colormaps[name].resampled(_STEPS)(np.arange(_STEPS))[:, :3] * 255
    if diverging:
        # RdBu's middle is a light grey (247): lift it to white, fading out towards both ends.
        middle = _STEPS // 2
        nearness = 1 - np.abs(np.arange(_STEPS) - middle)[:, None] / middle
        steps = steps + (255 - steps[middle]) * nearness
    table = np.rint(np.clip(np.vstack([steps, NEGATIVE_INF_COLOUR, INF_COLOUR, NAN_COLOUR]), 0, 255)).astype(np.uint8)
    table.flags.writeable = False
    return table


def _class_colours(mask: Pixels, colours: Sequence[str]) -> Pixels:
    """Make a (K, 3) table of RGB colours, after checking that every class of the mask has one."""
    if mask.dtype not in (np.uint8, np.uint16) or mask.ndim != 2:
        raise ValueError(f"a mask is (H, W) uint8 or uint16, not {mask.shape} {mask.dtype}")
    if mask.size and int(mask.max()) >= len(colours):
        raise ValueError(f"the mask holds class {int(mask.max())}, but there are {len(colours)} colours")
    return np.array([ImageColor.getrgb(colour)[:3] for colour in colours], np.uint8).reshape(-1, 3)
