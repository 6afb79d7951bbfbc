"""Maps and pictures of a lab as addresses that hold them whole, for the page and for a page to hand out."""

from __future__ import annotations

import base64

import numpy as np
from PIL import Image

from segdemo.rendering import colour_values, encode_png, scale_for


def address_of(picture: Image.Image) -> str:
    """Return a picture as a ``data:`` address."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(picture)).decode()}"


def picture_address(values: np.ndarray) -> str:
    """Draw the colours of a picture, (3, h, w) from 0 to 1."""
    return address_of(Image.fromarray((values.transpose(1, 2, 0).clip(0, 1) * 255).round().astype(np.uint8)))


def map_address(values: np.ndarray) -> tuple[str, float, float]:
    """Draw one map, (h, w), on the scale of its own values, which are given with it: the least and the greatest."""
    low, high = ends(values)
    return address_of(Image.fromarray(colour_values(values, scale_for(low, high)))), low, high


def ends(values: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest of what is finite, 0 and 0 where nothing is."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
