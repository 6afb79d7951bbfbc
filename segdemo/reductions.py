"""Maps reduced to figures and thumbnails of their channels: piece by piece, each read while the cache holds it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SAMPLED = 256  # pixels of a thumbnail that a channel's spread is taken of, about
OUTLIERS = 0.01  # share of them, at both ends, that does not count for the spread
FEW = 16  # pixels or less: none of them is an outlier
WITHIN_BYTE = 255  # rows whose zeros are counted in one byte
CHUNK = 1 << 19  # values worked on at a time: 2 MB, which the processor's cache holds between readings
LEVELS = 252  # a thumbnail's finite values are 0 … LEVELS
MINUS_INFINITY, PLUS_INFINITY, NOT_A_NUMBER = 253, 254, 255
_OWN = threading.local()
Figures = dict[str, np.ndarray]


@dataclass(frozen=True)
class Pieces:
    """Maps (C, h, w), cut into pieces as memory has them.

    Args:
        arrays: (g, r, w, c) float32 each: groups of channels one after the other with one channel side by side, all
            of their rows; or one group with all channels side by side, and some of the rows.
        shape: of all of it, (groups, h, w, channels side by side).
        step: values on a side of a square that is one pixel of a thumbnail; a piece has whole squares.
    """

    arrays: list[np.ndarray]
    shape: tuple[int, int, int, int]
    step: int

    @property
    def starts(self) -> list[tuple[int, int]]:
        """(group, row of the thumbnail) at which each piece starts."""
        starts, group, row = [], 0, 0
        for array in self.arrays:
            starts.append((group, row))
            if self.shape[0] > 1:
                group += len(array)
            else:
                row += -(-array.shape[1] // self.step)
        return starts


def cut(grid: Tensor, step: int) -> Pieces:
    """Cut a grid into pieces of about CHUNK values: groups, or if there is one only, multiples of ``step`` rows.

    Args:
        grid: (groups, h, w, channels side by side) on the CPU.
        step: as for :class:`Pieces`.
    """
    groups, height = grid.shape[:2]
    if groups > 1:
        parts = grid.split(max(1, CHUNK * groups // grid.numel()))
    else:
        parts = grid.split(max(1, CHUNK * height // grid.numel() // step) * step, 1)
    return Pieces([part.float().numpy() for part in parts], (groups, height, grid.shape[2], grid.shape[3]), step)


def figures_of(pieces: Pieces) -> tuple[Figures, list[np.ndarray]]:
    """Reduce pieces to figures of each channel, (C,): what must be exact exactly, the sums in float64 at the end.

    Returns:
        The figures, and for each piece the sums over its squares, (g, rows, w / step, c) float32.
    """
    groups, height, width, _ = pieces.shape
    # Of one group the pieces are parts of the same channels, of several each has channels of its own.
    runs = [pieces.arrays] if groups == 1 else [[array] for array in pieces.arrays]
    parts = [_reduced(run, pieces.step) for run in runs]
    found = {name: np.concatenate([figures[name] for figures, _ in parts]).reshape(-1) for name in parts[0][0]}
    size = height * width
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is repaired later
        mean = found["total"] / size
        variance = found["squares"] / size - mean**2
        figures = {
            "low": found["low"],
            "high": found["high"],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0)),
            "mean_abs": found["absolute"] / size,
            "zeros": found["zeros"],
            "nans": np.zeros(len(mean), dtype=np.int64),
            "infinities": np.zeros(len(mean), dtype=np.int64),
        }
    return figures, [array for _, sums in parts for array in sums]


def repair(figures: Figures, maps: Tensor) -> None:
    """Take anew, in float64, the figures of channels for which sums of float32 squares do not serve, in place.

    Those are channels with values that are not finite, too large or too small to be squared, or that lie far from 0
    and close together. Of channels without any finite value the figures are NaN.
    """
    low, high, mean, std = (figures[name] for name in ("low", "high", "mean", "std"))
    std[low == high] = 0
    with np.errstate(invalid="ignore", over="ignore"):
        good = (low == high) & np.isfinite(low)
        good |= np.isfinite(low) & np.isfinite(high) & np.isfinite(std) & (std > 1e-15) & (np.abs(mean) < 10 * std)
        usable = np.isfinite(low) & np.isfinite(high)
    bad, many = np.flatnonzero(~good & usable), max(1, CHUNK * len(maps) // maps.numel())
    for first in range(0, len(bad), many):
        some = bad[first : first + many]
        values = maps[torch.from_numpy(some)].double().flatten(1).numpy()
        mean[some], std[some], figures["mean_abs"][some] = values.mean(1), values.std(1), np.abs(values).mean(1)
    for channel in np.flatnonzero(~usable):
        values = maps[channel].double().numpy()
        finite = values[np.isfinite(values)]
        low[channel], high[channel] = (finite.min(), finite.max()) if len(finite) else (np.nan, np.nan)
        mean[channel], std[channel] = (finite.mean(), finite.std()) if len(finite) else (np.nan, np.nan)
        figures["mean_abs"][channel] = np.abs(finite).mean() if len(finite) else np.nan
        figures["nans"][channel] = np.isnan(values).sum()
        figures["infinities"][channel] = np.isinf(values).sum()


def thumbnails_of(
    pieces: Pieces, sums: list[np.ndarray], figures: Figures, part: tuple[int, int]
) -> tuple[np.ndarray, Figures]:
    """Code the means over squares of step × step values; at the far borders over what is there.

    Args:
        pieces: of the maps.
        sums: over their squares, as :func:`figures_of` returns them; they are written over where step is above 1.
        figures: of each channel.
        part: (columns, rows) of the map, from the top left, that the picture takes.

    Returns:
        The codes, (C, th, tw) uint8, and the figures "mean_abs", "spread" and "zeros" of each channel, (C,), over the
        squares that lie in the picture as a whole, at least one in both directions.
    """
    (groups, height, width, channels), step = pieces.shape, pieces.step
    rows, columns = (-(-side // step) for side in (height, width))
    counted = [np.minimum(step, side - np.arange(0, side, step)).astype(np.float32) for side in (height, width)]
    low, high = (figures[name].astype(np.float32).reshape(groups, 1, 1, channels) for name in ("low", "high"))
    finite = not (figures["nans"].any() or figures["infinities"].any())
    codes = np.empty((groups, rows, columns, channels), dtype=np.uint8)
    inside_columns, inside_rows = (max(1, side // step) for side in part)
    thin = max(1, math.isqrt(inside_rows * inside_columns // SAMPLED))

    seen = []
    for means, (group, row) in zip(sums, pieces.starts, strict=True):
        here, below = slice(group, group + len(means)), row + means.shape[1]
        if step > 1:
            means /= np.multiply.outer(counted[0][row:below], counted[1])[None, ..., None]
            if finite:
                np.clip(means, low[here], high[here], out=means)  # sums are rounded
        quantise(means, low[here], high[here], out=codes[here, row:below], finite=finite)
        if row < inside_rows:
            seen.append(_seen(means[:, : inside_rows - row, :inside_columns], -row % thin, thin))
    maps = codes[0].transpose(2, 0, 1) if groups == 1 else codes[..., 0]
    return maps, _inside(seen, groups, inside_rows * inside_columns)


def quantise(values: np.ndarray, low: np.ndarray, high: np.ndarray, *, out: np.ndarray, finite: bool) -> None:
    """Code values as uint8 between low and high, float32, which spread over them.

    Args:
        values: of any shape.
        low: what each is coded from.
        high: what each is coded up to.
        out: of the values' shape.
        finite: whether all values are.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        per_value = np.where(high > low, LEVELS / (high - low), 0).astype(np.float32)  # a constant channel is all 0
        levels = np.subtract(values, low, out=_memory("scratch", values.shape))
        levels *= per_value
        levels += np.float32(0.5)  # cutting off then rounds
        if finite and math.isfinite(float(per_value.max(initial=0))):
            np.copyto(out, levels, casting="unsafe")
            return
    out[...] = np.nan_to_num(levels, nan=0, posinf=0, neginf=0).clip(0, LEVELS + 0.5).astype(np.uint8)
    out[values == -np.inf] = MINUS_INFINITY
    out[values == np.inf] = PLUS_INFINITY
    out[np.isnan(values)] = NOT_A_NUMBER


def _memory(name: str, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Return memory for passing results, this thread's own; fresh memory would cost more than a reading."""
    count = math.prod(shape)
    arrays: dict[str, np.ndarray] = _OWN.__dict__
    if name not in arrays or len(arrays[name]) < count:
        arrays[name] = np.empty(count, dtype)
    return arrays[name][:count].reshape(shape)


def _reduced(arrays: list[np.ndarray], step: int) -> tuple[Figures, list[np.ndarray]]:
    """Reduce pieces of the same channels, (g, r, w, c), to figures (g, c), and each to the sums over its squares."""
    groups, _, width, channels = arrays[0].shape
    shape = (groups, width * channels)
    merged = {name: _memory(name, shape) for name in ("low", "high", "total", "squares", "absolute")}
    merged["zeros"] = _memory("zeros", shape, np.int32)
    for name, start in (("low", np.inf), ("high", -np.inf)):
        merged[name].fill(start)
    for name in ("total", "squares", "absolute", "zeros"):
        merged[name].fill(0)
    squares = []
    with np.errstate(invalid="ignore", over="ignore"):
        for array in arrays:
            rows = array.reshape(groups, -1, width * channels)
            sums = _sums_of(rows, step, "sums")
            squares.append(_sums_of(sums.reshape(-1, width, channels), step).reshape(*sums.shape[:2], -1, channels))
            _add_up(merged, rows, sums)
        return {
            name: (np.minimum if name == "low" else np.maximum).reduce(column.reshape(groups, width, channels), axis=1)
            if name in ("low", "high")
            else _across(column.reshape(groups, width, channels))
            for name, column in merged.items()
        }, squares


def _add_up(merged: Figures, rows: np.ndarray, sums: np.ndarray) -> None:
    """Take the figures of rows (g, r, i) into those merged so far, (g, i).

    Args:
        merged: "low", "high", "total", "squares", "absolute" and "zeros".
        rows: float32.
        sums: of every step of them.
    """
    column = _memory("column", (len(rows), rows.shape[2]))
    low = np.minimum.reduce(rows, axis=1, out=column)
    signed = not bool((low >= 0).all())
    np.minimum(merged["low"], low, out=merged["low"])
    np.maximum(merged["high"], np.maximum.reduce(rows, axis=1, out=column), out=merged["high"])
    merged["squares"] += np.einsum("gri,gri->gi", rows, rows, out=column)
    merged["zeros"] += _zeros(rows)
    total = np.add.reduce(sums, axis=1, out=column)
    merged["total"] += total
    if signed:
        total = np.add.reduce(np.abs(rows, out=_memory("scratch", rows.shape)), axis=1, out=column)
    merged["absolute"] += total


def _across(columns: np.ndarray) -> np.ndarray:
    """Add up (g, w, c) over w: counts in int64, sums in float64."""
    kind = np.int64 if columns.dtype.kind == "i" else np.float64
    return np.add.reduce(columns, axis=1, dtype=kind)


def _zeros(rows: np.ndarray) -> np.ndarray:
    """Count the zeros of (g, r, i) over its rows; bytes are compared and added many times faster than numbers."""
    marks = np.equal(rows, 0, out=_memory("marks", rows.shape, bool)).view(np.uint8)
    counts = _memory("counts", (len(rows), rows.shape[2]), np.int32)
    within = _memory("within", counts.shape, np.uint8)
    counts.fill(0)
    for top in range(0, rows.shape[1], WITHIN_BYTE):
        counts += np.add.reduce(marks[:, top : top + WITHIN_BYTE], axis=1, dtype=np.uint8, out=within)
    return counts


def _sums_of(values: np.ndarray, step: int, memory: str | None = None) -> np.ndarray:
    """Add up every ``step`` values along the second dimension, (g, r, i); at its end what is left of it.

    Args:
        values: float32.
        step: 1 returns the values themselves.
        memory: name of passing memory for the outcome; None makes fresh memory.
    """
    if step == 1:
        return values
    groups, height, inner = values.shape
    shape = (groups, -(-height // step), inner)
    sums = np.empty(shape, np.float32) if memory is None else _memory(memory, shape)
    whole = height // step
    np.add.reduce(values[:, : whole * step].reshape(groups, whole, step, inner), axis=2, out=sums[:, :whole])
    if whole < shape[1]:
        np.add.reduce(values[:, whole * step :], axis=1, out=sums[:, whole])
    return sums


def _seen(means: np.ndarray, first: int, thin: int) -> Figures:
    """Reduce the part of a thumbnail's piece that the picture takes, (g, r, w, c), to sums (g, c) and a sample.

    Args:
        means: at least one row.
        first: row that the sample starts with.
        thin: every thin-th row and column is in the sample.
    """
    groups, height, width, channels = means.shape
    rows = means.reshape(groups, height, width * channels)
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.add.reduce(np.abs(rows, out=_memory("scratch", rows.shape)), axis=1)
    columns = (groups, width, channels)
    sample = means[:, first::thin, ::thin].reshape(groups, -1, channels).transpose(0, 2, 1)
    return {
        "absolute": _across(absolute.reshape(columns)),
        "zeros": _across(_zeros(rows).reshape(columns)),
        "sample": np.ascontiguousarray(sample),  # (g, c, n)
    }


def _inside(seen: list[Figures], groups: int, pixels: int) -> Figures:
    """Take mean absolute value, robust spread and share of zeros of the thumbnails inside the picture, (C,) each."""

    def of_channels(name: str) -> np.ndarray:
        columns = [part[name] for part in seen]
        with np.errstate(invalid="ignore", over="ignore"):
            merged: np.ndarray = np.concatenate(columns) if groups > 1 else np.add.reduce(columns, axis=0)
        return merged.reshape(-1)

    sample = np.concatenate([part["sample"] for part in seen], axis=0 if groups > 1 else 2)
    sample = sample.reshape(-1, sample.shape[2])  # (C, n)
    count = sample.shape[1]
    outliers = math.ceil(OUTLIERS * count) if count > FEW else 0
    if outliers:
        last = count - outliers - 1
        sample.sort(axis=1)  # partitioning, whose work is less, takes ten times as long
        sample[:, :outliers], sample[:, last + 1 :] = sample[:, outliers, None], sample[:, last, None]
    with np.errstate(invalid="ignore", over="ignore"):
        spread = sample.std(1)
    return {"mean_abs": of_channels("absolute") / pixels, "spread": spread, "zeros": of_channels("zeros") / pixels}
