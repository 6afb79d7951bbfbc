"""What of a batch reaches each place of a map, as two runs of rows and columns; and windows that hand it on.

A value of a map depends on a rectangle of the batch. Rows and columns are followed apart: for every row of a map the
first and the last row of the batch that reaches it, and the same for columns. Where paths join, the rectangle around
both counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEVER = 1 << 40  # first row of what depends on nothing; its last is the negative
Taps = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Reach:
    """What of one side of the batch reaches each place along one side of a map.

    Args:
        first: (n,) int64, the first row, or column, of the batch; ``NEVER`` where nothing reaches the place.
        last: (n,) int64, the last one.
    """

    first: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        """Count the places."""
        return len(self.first)

    def all(self, places: int = 1) -> Reach:
        """Return what reaches any of the places, for so many places."""
        return Reach(np.full(places, self.first.min()), np.full(places, self.last.max()))

    def joined(self, other: Reach) -> Reach:
        """Return what reaches a place on either of two ways; a single place stands for all."""
        return Reach(np.minimum(self.first, other.first), np.maximum(self.last, other.last))

    def through(self, places: int, taps: Taps) -> Reach:
        """Return what reaches the places behind a window.

        Args:
            places: how many there are behind it.
            taps: for each tap of the window, which place before it each place behind it looks at, and whether it does.
        """
        found = Reach(np.full(places, NEVER), np.full(places, -NEVER))
        for index, there in taps:
            there = there & (index >= 0) & (index < len(self))
            safe = np.where(there, index, 0)
            tap = Reach(np.where(there, self.first[safe], NEVER), np.where(there, self.last[safe], -NEVER))
            found = found.joined(tap)
        return found


@dataclass(frozen=True)
class Field:
    """What of the batch reaches the values of a tensor.

    Args:
        rows: of the batch, along the tensor's dimension ``dims[0]``.
        columns: of the batch, along ``dims[1]``.
        dims: which dimensions of the tensor are its height and width, counted from the end; None where it has lost
            them, as a flattened one has: then rows and columns have one place, which stands for all of it.
        exact: False where an operation is not known, and everything is taken to depend on everything.
    """

    rows: Reach
    columns: Reach
    dims: tuple[int, int] | None = (-2, -1)
    exact: bool = True

    def blurred(self, *, exact: bool | None = None) -> Field:
        """Return the rectangle around all of it, for a tensor without height and width."""
        return Field(self.rows.all(), self.columns.all(), None, self.exact if exact is None else exact)

    def box(self, cell: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the rectangle that one value sees.

        Args:
            cell: (column, row) in the map.

        Returns:
            (left, top, right, bottom) in pixels of the batch, right and bottom behind it; all 0 where it sees nothing.
        """
        column, row = (0, 0) if self.dims is None else cell
        top, left = int(self.rows.first[row]), int(self.columns.first[column])
        bottom, right = int(self.rows.last[row]) + 1, int(self.columns.last[column]) + 1
        return (left, top, right, bottom) if left < right and top < bottom else (0, 0, 0, 0)


def whole_of(height: int, width: int) -> Field:
    """Return the field of a batch: each pixel sees itself.

    Args:
        height: of the batch, pixels.
        width: of the batch, pixels.
    """
    rows, columns = np.arange(height), np.arange(width)
    return Field(Reach(rows, rows), Reach(columns, columns))


# ---- windows: which places before an operation the places behind it look at


def window(places: int, kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """Yield the taps of a convolution, or of pooling."""
    start = np.arange(places) * stride - padding
    for tap in range(kernel):
        yield start + tap * dilation, np.ones(places, bool)


def transposed(places: int, kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """Yield the taps of a transposed convolution: place o gets tap k of place i where o = i stride + k dilation - p."""
    at = np.arange(places) + padding
    for tap in range(kernel):
        index, rest = np.divmod(at - tap * dilation, stride)
        yield index, rest == 0


def adaptive(places: int, before: int) -> Taps:
    """Yield the taps of pooling to a fixed size: place i takes from floor(i n / m) to ceil((i + 1) n / m)."""
    at = np.arange(places)
    first, end = at * before // places, -(-(at + 1) * before // places)
    for tap in range(int((end - first).max())):
        yield first + tap, first + tap < end


def enlarged(places: int, before: int, kind: str, *, align_corners: bool) -> Taps:
    """Yield the taps of interpolation; those of weight 0 do not count."""
    at = np.arange(places)
    if kind == "nearest":
        yield at * before // places, np.ones(places, bool)
        return
    # as a fraction, numerator over denominator, so that "exactly on a place" is exact
    top, bottom = (at * (before - 1), places - 1) if align_corners else ((2 * at + 1) * before - places, 2 * places)
    if bottom == 0:
        top, bottom = np.zeros_like(at), 1
    if kind == "bilinear":
        top = np.maximum(top, 0)
    base, rest = np.divmod(top, bottom)
    for tap in (0, 1) if kind == "bilinear" else (-1, 0, 1, 2):
        yield np.clip(base + tap, 0, before - 1), (rest != 0) | (tap == 0)
