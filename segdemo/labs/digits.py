"""Drawn digits: ten of ours to begin with, and how a drawing becomes what LeNet learned from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import torch
from PIL import Image, ImageDraw
from torch import Tensor

SIDE = 32  # points of a drawing in a row and in a column
PEN = 5  # points
Line = list[tuple[float, float]]


def counts(drawing: str) -> Tensor:
    """Return a drawing of 32 × 32 points, in hexadecimal digits, as 8 × 8 shares of ink, (1, 1, 8, 8) from 0 to 1.

    The digits that LeNet learned from were cut out, made as high as the picture and no wider than three quarters of it,
    set in its middle, and the ink in each square of 4 × 4 points was counted.
    """
    ink = Image.frombytes("1", (32, 32), bytes.fromhex(drawing)).convert("L")
    if ink.getbbox():
        digit = ink.crop(ink.getbbox())
        scale = min(32 / digit.height, 24 / digit.width)
        size = (max(round(digit.width * scale), 1), max(round(digit.height * scale), 1))
        ink = Image.new("L", (32, 32))
        ink.paste(digit.resize(size, Image.Resampling.NEAREST), ((32 - size[0]) // 2, (32 - size[1]) // 2))
    pixels = torch.frombuffer(bytearray(ink.tobytes()), dtype=torch.uint8).view(1, 8, 4, 8, 4)
    return (pixels / 255).mean((2, 4))[None]


def drawing_of(lines: Iterable[Line]) -> str:
    """Draw lines, in shares of the side, with a round pen; return the points row by row, eight in two digits."""
    ink = Image.new("1", (SIDE, SIDE))
    pen = ImageDraw.Draw(ink)
    for line in lines:
        points = [(SIDE * x, SIDE * y) for x, y in line]
        pen.line(points, fill=1, width=PEN, joint="curve")
        for x, y in points:
            pen.ellipse((x - PEN / 2 + 0.5, y - PEN / 2 + 0.5, x + PEN / 2 - 0.5, y + PEN / 2 - 0.5), fill=1)
    return ink.tobytes().hex()


def _arc(x: float, y: float, width: float, height: float, first: int, last: int) -> Line:
    """Return points of an ellipse around a place, from one angle to another, degrees clockwise from the right."""
    angles = [math.radians(first + (last - first) * step / 14) for step in range(15)]
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


@cache
def examples() -> tuple[str, ...]:
    """Return ten drawings, 0 to 9."""
    digits: tuple[list[Line], ...] = (
        [_arc(0.5, 0.5, 0.26, 0.4, 0, 360)],
        [[(0.36, 0.28), (0.54, 0.1), (0.54, 0.9)]],
        [[*_arc(0.5, 0.32, 0.24, 0.22, 180, 370), (0.26, 0.9), (0.76, 0.9)]],
        [_arc(0.48, 0.3, 0.22, 0.2, 200, 450) + _arc(0.48, 0.7, 0.25, 0.2, 270, 520)],
        [[(0.62, 0.9), (0.62, 0.1), (0.22, 0.62), (0.8, 0.62)]],
        [[(0.74, 0.1), (0.34, 0.1), (0.3, 0.45), *_arc(0.48, 0.65, 0.25, 0.24, 230, 500)]],
        [[(0.64, 0.1), (0.4, 0.36), *_arc(0.5, 0.67, 0.22, 0.22, 200, 560)]],
        [[(0.24, 0.1), (0.76, 0.1), (0.44, 0.9)], [(0.36, 0.5), (0.74, 0.5)]],  # learned with a bar
        [_arc(0.5, 0.3, 0.19, 0.19, 90, 450) + _arc(0.5, 0.7, 0.23, 0.21, -90, 270)],
        [[*_arc(0.5, 0.32, 0.22, 0.22, 0, 360), (0.72, 0.32), (0.66, 0.9)]],
    )
    return tuple(drawing_of(lines) for lines in digits)
