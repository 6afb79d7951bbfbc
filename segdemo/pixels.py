"""Pixels of any mode, depth and colour space → RGB, 8 bits: in bands of rows, so that little memory is needed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from segdemo.notes import Note

_BAND = 1 << 20  # pixels worked on at a time
_MAX_PROFILE = 4 << 20  # bytes; those of printing presses have 2 MB
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Rows = Callable[[int, int], NDArray[Any]]  # from a row up to another → values (rows, W) or (rows, W, C)


def to_rgb(picture: Image.Image, name: str) -> tuple[Image.Image, list[Note]]:
    """Turn a decoded picture into RGB as a viewer shows it: sRGB, transparent pixels over white.

    Args:
        picture: of any mode; it is not changed.
        name: what notes call it.

    Returns:
        A new PIL picture, RGB, 8 bits, and what should be known about it.
    """
    notes: list[Note] = []
    info = picture.info
    if picture.mode.startswith("I") or picture.mode == "F":
        clear = info.get("transparency")
        picture, notes = from_values(
            lambda top, bottom: np.asarray(picture.crop((0, top, picture.width, bottom))),
            picture.size,
            name,
            deep=picture.mode.startswith("I;16"),
            clear=clear if isinstance(clear, int) else None,
        )
        info = {key: value for key, value in info.items() if key == "icc_profile"}
    transform, mode = None, "RGB"
    if info.get("icc_profile"):
        try:
            transform, mode = _to_srgb(info["icc_profile"], picture.mode)
        except Exception:  # whatever is wrong with a profile, the picture is there
            notes.append(
                Note(
                    "profile_ignored",
                    "The colour profile of {name} cannot be used; its colours are shown as they are stored.",
                    {"name": name},
                )
            )
    seen_through = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in info
    rgb = Image.new("RGB", picture.size)
    for top, bottom in _bands(picture.size):
        band = picture.crop((0, top, picture.width, bottom))
        alpha = None
        if seen_through:
            band = band.convert("LA").convert("RGBA") if band.mode == "La" else band.convert("RGBA")
            alpha = band.getchannel("A")
        band = band.convert(mode)
        if transform is not None:
            band = ImageCms.applyTransform(band, transform) or band
        if alpha is not None:
            band = Image.composite(band.convert("RGB"), Image.new("RGB", band.size, "white"), alpha)
        rgb.paste(band, (0, top))
    return rgb, notes


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture so that what was up when it was taken is up.

    Args:
        picture: PIL.
        orientation: as in EXIF, 1 to 8.
    """
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def _bands(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Divide the rows of a picture: first row, row after the last."""
    width, height = size
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def _to_srgb(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """Make what turns the colours of a profile into sRGB, and the mode it starts from; None if they are the same.

    Raises:
        Exception: the profile is broken, or not for such a picture.
    """
    if len(profile) > _MAX_PROFILE:
        raise ValueError("too large")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    start = _PROFILE_MODES[source.profile.xcolor_space.strip()]
    wanted = {"1": "L", "L": "L", "LA": "L", "La": "L", "CMYK": "CMYK"}.get(mode, "RGB")
    if start != wanted:
        raise ValueError("for another kind of picture")
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        start,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if start != "CMYK":
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(64, 64, 3)
        sample = Image.fromarray(colours if start == "RGB" else colours[..., 0])
        turned = ImageCms.applyTransform(sample, transform)
        if turned is None or np.abs(np.asarray(turned, int) - np.asarray(sample.convert("RGB"), int)).max() <= 1:
            return None, "RGB"
    return transform, start


def from_values(
    rows: Rows, size: tuple[int, int], name: str, *, deep: bool, clear: int | None = None
) -> tuple[Image.Image, list[Note]]:
    """Turn numbers of any range into 8 bits: by their usual range where they keep to one, else by their own.

    Usual are 0 to 1 and 0 to 255 for floats, 0 to 255 and 0 to 65535 for integers. Values that reach no higher than a
    quarter of a range, as those of a camera of 12 bits in a file of 16, do not keep to it.

    Args:
        rows: gives the values of some rows, (rows, W) or (rows, W, C) with C 1, 3 or 4.
        size: (width, height) in pixels.
        name: what notes call the picture.
        deep: they are unsigned integers of 16 bits, whose only usual range is 0 to 65535.
        clear: the value that stands for transparent pixels, which become white.

    Returns:
        A PIL picture, L, RGB or RGBA, and what should be known about it.
    """
    low, high, strange, whole, top_alpha = _range(rows, size)
    usual = (65535,) if deep else (255, 65535) if whole else (1, 255)
    notes: list[Note] = []
    bounds = next(((0.0, float(most)) for most in usual if low >= 0 and most / 4 < high <= most), None)
    if bounds is None and low == high >= 0:  # one value alone says nothing of its range
        bounds = next(((0.0, float(most)) for most in usual if high <= most), None)
    if bounds is None:
        bounds = low, high
        notes.append(
            Note(
                "scaled",
                "The values of {name} run from {low} to {high}, which is none of the usual ranges: {low} is shown "
                "black and {high} white.",
                {"name": name, "low": f"{low:.6g}", "high": f"{high:.6g}"},
            )
        )
    if strange:
        notes.append(
            Note(
                "not_finite",
                "{count} values of {name} are not finite: infinity is shown white, NaN and minus infinity black.",
                {"name": name, "count": strange},
            )
        )
    most_alpha = next((most for most in usual if top_alpha <= most), top_alpha)
    shape = rows(0, 1).shape[2:]
    mode = "L" if shape in ((), (1,)) else "RGBA" if shape == (4,) else "RGB"
    picture = Image.new(mode, size)
    for top, bottom in _bands(size):
        values = rows(top, bottom)
        eighth = _to_8_bits(values[..., :3] if mode == "RGBA" else values, *bounds)
        if clear is not None:
            eighth[values == clear] = 255
        if mode == "RGBA":
            eighth = np.concatenate([eighth, _to_8_bits(values[..., 3:], 0, most_alpha)], -1)
        picture.paste(Image.fromarray(eighth[..., 0] if shape == (1,) else eighth), (0, top))
    return picture, notes


def _to_8_bits(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map a range of values to 0 … 255; NaN becomes 0."""
    with np.errstate(all="ignore"):
        scaled = (values.astype(np.float64) / 2 - low / 2) / ((high / 2 - low / 2) or 1) * 255  # halves: no overflow
    scaled = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _range(rows: Rows, size: tuple[int, int]) -> tuple[float, float, int, bool, float]:
    """Find what the values reach.

    Returns:
        Smallest and largest finite value of the colours (0 and 0 if there is none), the number of values that are not
        finite, whether they are integers by type, and the largest finite value of the alpha channel.
    """
    low, high, strange, top_alpha, whole = np.inf, -np.inf, 0, 0.0, True
    for top, bottom in _bands(size):
        values = rows(top, bottom)
        whole = values.dtype.kind in "iu"
        if values.shape[2:] == (4,):
            alpha = values[..., 3]
            top_alpha = max(top_alpha, float(np.max(alpha, initial=0, where=np.isfinite(alpha))))
            values = values[..., :3]
        finite = np.isfinite(values)
        strange += finite.size - int(np.count_nonzero(finite))
        if finite.any():
            low = min(low, float(np.min(values, initial=values[finite][0], where=finite)))
            high = max(high, float(np.max(values, initial=values[finite][0], where=finite)))
    return (0.0, 0.0, strange, whole, top_alpha) if low > high else (low, high, strange, whole, top_alpha)
