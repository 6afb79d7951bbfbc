"""What a mask's file says: the class of each pixel, whatever kind of picture it is stored as.

A mask holds one class index per pixel, and 255 where nothing is to be scored. It is stored without loss: as grey or
palette of any depth, or as colour whose channels are equal. What could mean two things is refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, UnidentifiedImageError

from segdemo import encoded
from segdemo.errors import InputError

IGNORED = 255  # in a mask: not to be scored
LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF", "HEIF")  # may change the values of pixels
BAND = 256  # rows that are looked at together
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation: what makes a picture upright

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """How a picture lies in its file.

    Args:
        stored: (width, height) of the pixels as they are stored.
        orientation: EXIF's, 1 to 8; 1 is upright.
        memory: bytes that it takes to read it, with its file, about.
    """

    stored: tuple[int, int]
    orientation: int
    memory: int = 0

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) as a viewer shows it."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored


def layout(data: bytes, name: str = encoded.NAMELESS) -> Layout:
    """Read from a picture's head how it lies in its file, without decoding it.

    Args:
        data: the file's bytes.
        name: of the file, for messages.

    Raises:
        InputError: it is larger than is worked on.
        Exception: of any kind: it is no picture, or damaged.
    """
    with _opened(data, name) as opened:
        return _layout(opened, data)


def decode(data: bytes, classes: int, name: str) -> tuple[Mask, Layout]:
    """Read a mask, upright if it carries an orientation of its own.

    Args:
        data: the file's bytes.
        classes: how many class indices it may use, from 0.
        name: of the file, for messages.

    Returns:
        (H, W) uint8, indices below ``classes`` and 255; and how it lay in its file.

    Raises:
        InputError: it is larger than is worked on, or holds another class.
        Exception: of any kind: it is no picture, damaged, or of a kind that no index can be read from.
    """
    with _opened(data, name) as opened:
        lies = _layout(opened, data)
        _check_lossless(opened, data)
        largest, full = _levels(opened, data)
        if encoded.decode(opened):
            raise ValueError("the file is damaged or ends early")
        values = _values(opened, classes, name, largest)
    if full != largest:  # Pillow spreads what has few levels over 0 … 255; that is undone
        values = np.rint(np.arange(256) * (largest / full)).astype(np.uint8)[values]
    values = _white(values, classes, largest)
    _check_classes(values, classes, name)
    return turn(values, lies.orientation), lies


def turn(values: Mask, orientation: int) -> Mask:
    """Make (H, W) values upright that lie as EXIF's orientation, 1 to 8, says."""
    if orientation not in TURNS:
        return values
    return np.array(Image.fromarray(values).transpose(TURNS[orientation]))


def counts(values: Mask) -> NDArray[np.int64]:
    """Count the pixels of each value, (256,)."""
    return np.array(Image.fromarray(values).histogram(), np.int64)  # numpy's own takes eight bytes a pixel


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    if data.startswith(b"\x93NUMPY"):
        raise ValueError("it is a NumPy array; a mask is a picture such as PNG")
    try:
        opened = encoded.open_picture(io.BytesIO(data), name)
    except UnidentifiedImageError:
        raise ValueError("it is empty, or no picture of a kind that is read") from None
    with opened:
        yield opened


def _layout(opened: Image.Image, data: bytes) -> Layout:
    """Read size and orientation just as whoever reads the picture does."""
    orientation = encoded.orientation_of(opened)
    stored = opened.size
    if opened.format == "TIFF" and orientation >= 5:  # of these Pillow gives the upright size
        stored = stored[::-1]
    return Layout(stored, orientation, encoded.memory_of(opened, data))


def _check_lossless(opened: Image.Image, data: bytes) -> None:
    if opened.format in LOSSY or (opened.format == "WEBP" and not _webp_is_lossless(data)):
        raise ValueError(
            f"it is {opened.format}, which changes the values of pixels; save class indices as PNG, those of an old "
            "mask after a threshold"
        )


def _webp_is_lossless(data: bytes) -> bool:
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] in (b"VP8L", b"VP8 "):
            return data[at : at + 4] == b"VP8L"
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False


def _levels(opened: Image.Image, data: bytes) -> tuple[int, int]:
    """Return the largest value that the file can store, and what Pillow makes of it."""
    bits, grey = 8, opened.mode == "L"
    if opened.format == "PNG":
        bits, colour = data[24], data[25] != 0
        if bits == 16 and colour:
            raise ValueError("it is a colour picture of 16 bits a channel; save class indices as grey or palette")
    elif opened.format == "TIFF":
        tags = getattr(opened, "tag_v2", {})
        bits = max(tags.get(258, (1,)))
        if bits > 8 and opened.mode not in ("I", "F") and not opened.mode.startswith("I;16"):
            raise ValueError(f"it is a colour picture of {bits} bits a channel; save class indices as grey or palette")
        if grey and tags.get(262) == 0:
            raise ValueError("it says that 0 is white, which leaves open what its values are; save it as PNG")
    elif opened.format == "PPM":
        args = getattr(opened, "tile", [])[0][3]
        largest = args[1] if isinstance(args, tuple) and len(args) == 2 else 0
        if largest and largest > 255:
            raise ValueError(f"its values go up to {largest}; save class indices as PNG")
        return (largest or 255, 255) if grey else (255, 255)
    if grey and bits in (2, 4):
        return 2**bits - 1, 255
    return (65535, 65535) if opened.mode.startswith("I;16") else (255, 255)


def _values(opened: Image.Image, classes: int, name: str, largest: int) -> Mask:
    """Take the values out of a decoded picture, (H, W) uint8; beyond 255 only the largest one, as 255."""
    if opened.mode in ("1", "L"):
        return np.asarray(opened).astype(np.uint8)
    if opened.mode == "P":
        values = np.asarray(opened)
        _check_palette(opened, values, classes)
        return values
    if opened.mode in ("LA", "RGB", "RGBA", "RGBX"):
        return _equal_channels(opened)
    if opened.mode in ("I", "F") or opened.mode.startswith("I;16"):
        return _whole_numbers(opened, classes, name, largest)
    raise ValueError(f"its mode is {opened.mode}; a mask is a grey or palette picture of class indices")


def _equal_channels(opened: Image.Image) -> Mask:
    """Take the one value a pixel has in all channels."""
    if opened.mode in ("LA", "RGBA") and opened.getchannel("A").getextrema() != (255, 255):
        raise ValueError("parts of it are transparent, which leaves open what they mean; save it without transparency")
    first = opened.getchannel(0)
    for channel in range(1, 3 if opened.mode.startswith("RGB") else 1):
        if ImageChops.difference(first, opened.getchannel(channel)).getbbox():
            raise ValueError(
                f"its mode is {opened.mode}, and it is coloured; save class indices as a grey or palette picture"
            )
    return np.asarray(first)


def _whole_numbers(opened: Image.Image, classes: int, name: str, largest: int) -> Mask:
    """Take 16 or 32-bit values, or floats that are whole numbers."""
    values = np.empty(opened.size[::-1], np.uint8)
    beyond = 0
    for top in range(0, opened.height, BAND):
        wide = np.asarray(opened.crop((0, top, opened.width, min(top + BAND, opened.height))))
        if not np.array_equal(wide, np.rint(wide)):  # NaN is not equal to itself
            raise ValueError("it holds numbers with fractions; a mask holds class indices")
        low, high = int(wide.min()), int(wide.max())
        if low < 0 or (high > IGNORED and high != largest):
            _refuse_class(low if low < 0 else high, classes, name)
        white = wide == largest
        if ((wide > IGNORED) & ~white).any():
            _refuse_class(int(wide[~white].max()), classes, name)
        beyond = max(beyond, high)
        values[top : top + BAND] = np.where(white, IGNORED, wide)
    if beyond > IGNORED and (classes != 2 or not set(np.unique(values).tolist()) <= {0, IGNORED}):
        _refuse_class(beyond, classes, name)
    return values


def _check_palette(opened: Image.Image, values: Mask, classes: int) -> None:
    """Refuse a palette of greys that are other classes than its indices: either could be meant."""
    palette = np.array(opened.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    used = np.flatnonzero(counts(values))
    used = used[used < len(palette)]
    colours = palette[used]
    greys = colours[:, 0]
    if not (colours == greys[:, None]).all():
        return
    meant = np.where(greys == 255, 1, greys) if classes == 2 else greys
    if (meant < classes).all() and (used < classes).all() and (meant != used).any():
        at = int(np.flatnonzero(meant != used)[0])
        raise ValueError(
            f"its palette paints index {used[at]} in grey {greys[at]}, so that either could be the class; save class "
            "indices as a grey picture"
        )


def _white(values: Mask, classes: int, largest: int) -> Mask:
    """Take black and white of few levels, or 255 of 16 bits, for what they are with 8 bits: 0 and 255."""
    if largest < IGNORED and classes == 2 and largest >= classes and not ((values != 0) & (values != largest)).any():
        return np.where(values == largest, IGNORED, 0).astype(np.uint8)
    return values


def _check_classes(values: Mask, classes: int, name: str) -> None:
    """Refuse a mask with an index that is no class."""
    found = np.flatnonzero(counts(values))
    beyond = found[(found >= classes) & (found != IGNORED)]
    if beyond.size:
        _refuse_class(int(beyond.max()), classes, name)


def _refuse_class(index: int, classes: int, name: str) -> None:
    raise InputError(
        "archive_class_unknown",
        "{mask} holds class {index}, but the classes are 0 to {last}, and 255 for pixels not to be scored. "
        "Correct the mask (classes count from 0, and outlines are not smoothed), or give a map with the archive's own "
        "classes.",
        mask=name,
        index=index,
        last=classes - 1,
    )
