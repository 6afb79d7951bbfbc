"""Kernels of any side: what each does at 3 × 3, it does at every other."""

from __future__ import annotations

NAMES = ("edge", "blur", "sharpen", "emboss", "identity")
DIGITS = 6  # kept of each number of a blur


def kernel(name: str, side: int) -> list[list[float]]:
    """Return the kernel of a name, row by row.

    Args:
        name: one of ``NAMES``.
        side: numbers in a row.
    """
    middle = side // 2
    return [[_cell(name, side, row - middle, column - middle) for column in range(side)] for row in range(side)]


def _cell(name: str, side: int, down: int, right: int) -> float:
    centre = down == right == 0
    if name == "edge":  # each pixel against all around it: the sum is 0, so that an even surface gives 0
        return float(side**2 - 1 if centre else -1)
    if name == "sharpen":  # the picture and its edges: the sum is 1
        return float(side**2 if centre else -1)
    if name == "blur":
        return round(1 / side**2, DIGITS)
    if name == "emboss":  # light from the top left
        return 1.0 if centre or down + right > 0 else -1.0 if down + right < 0 else 0.0
    return float(centre)
