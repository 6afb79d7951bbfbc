"""Small maps for a panel, coloured here and carried in its answer."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from PIL import Image

from segdemo import rendering
from segdemo.rendering import Scale, scale_for

LARGEST = 160  # values along the longest side of a map that is shown; of larger ones every n-th is


def heat(values: np.ndarray, scale: Scale | None = None) -> dict[str, Any]:
    """Colour a map.

    Args:
        values: (h, w).
        scale: what its colours stand for; None takes the map's own range.

    Returns:
        ``src``, a picture for an ``<img>``, and ``scale``: low, high, diverging.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (float("nan"), float("nan"))
    scale = scale or scale_for(low, high)
    thinned = -(-max(values.shape) // LARGEST)
    picture = rendering.heat_map(values[::thinned, ::thinned].astype(np.float64), scale)
    return {"src": inline(picture), "scale": (scale.low, scale.high, scale.diverging)}


def inline(picture: Image.Image) -> str:
    """Return a picture, RGB or L, as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(rendering.encode_png(picture)).decode()


def photograph(picture: Image.Image, side: int = 720) -> str:
    """Return a photograph, reduced, as an address that holds it.

    Args:
        picture: RGB.
        side: of the longest side at most, pixels.
    """
    small = picture.copy()
    small.thumbnail((side, side))
    return "data:image/jpeg;base64," + base64.b64encode(rendering.encode_jpeg(small)).decode()
