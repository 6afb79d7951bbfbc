"""What is kept of an activation when the activation itself is too large to keep: figures and small pictures."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BINS = 64
COUNTED = 1 << 15  # values a histogram is made of at most; of larger activations every n-th value is counted
THUMBNAIL_SIDE = 96  # pixels; maps up to this size are kept at native size
GLIMPSE_SIDE = 48  # pixels
SAMPLED = 256  # pixels of a thumbnail that a channel's spread is taken of, about
OUTLIERS = 0.01  # share of them, at both ends, that does not count for the spread
FEW = 16  # pixels or less: none of them is an outlier
WITHIN_BYTE = 255  # rows whose zeros are counted in one byte
CHUNK = 1 << 19  # values worked on at a time: 2 MB, which the processor's cache holds between readings
LEVELS = 252  # a thumbnail's finite values are 0 … LEVELS
MINUS_INFINITY, PLUS_INFINITY, NOT_A_NUMBER = 253, 254, 255
_OWN = threading.local()


def _restored(self: object, state: dict[str, object]) -> None:
    """Take in what was pickled; arrays stay read-only, as they are wherever answers are shared."""
    self.__dict__.update(state)
    for value in state.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)


@dataclass(frozen=True)
class Channels:
    """Figures of each channel of an activation, each float32 (C,), over the channel's finite values.

    A channel without a finite value has NaN for its figures.

    Rankings look at the picture alone, by three more figures of each channel's thumbnail inside the picture, each
    float32 (C,). They are those of the whole channel where the thumbnail holds values that are not finite.

    Args:
        inside_abs: mean absolute pixel.
        inside_spread: standard deviation once the OUTLIERS share of pixels at each end is brought in line with the
            next: a single value, however great, makes no channel one that varies.
        inside_zeros: share of pixels that are exactly 0, in [0, 1].
    """

    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    mean_abs: np.ndarray
    zero_share: np.ndarray
    nans: np.ndarray
    infinities: np.ndarray
    inside_abs: np.ndarray
    inside_spread: np.ndarray
    inside_zeros: np.ndarray

    __setstate__ = _restored

    def ranked(self, by: str) -> np.ndarray:
        """Return the channels' numbers, (C,) int64, best first, by what they are inside the picture.

        Args:
            by: ``"mean_abs"`` or ``"variance"``, greatest first; ``"sparsity"``, most zeros first; ``"index"``.
        """
        scores = {
            "mean_abs": -self.inside_abs,
            "variance": -self.inside_spread,
            "sparsity": -self.inside_zeros,
            "index": np.arange(len(self.mean)),
        }
        return np.argsort(scores[by], kind="stable")


@dataclass(frozen=True)
class Summary:
    """An activation in figures and thumbnails; the figures are over its finite values.

    Args:
        shape: of the activation without the batch dimension: (C, h, w), (N, C) or (C,).
        minimum: smallest value.
        maximum: greatest value.
        mean: over all values.
        std: population standard deviation over all values.
        zero_share: share of values that are exactly 0, in [0, 1].
        nans: how many values are NaN.
        infinities: how many values are infinite.
        edges: bin edges of the histogram, float64 (65,).
        counts: finite values in each bin, int64 (64,), of those looked at.
        counted_step: 1 if every value was looked at for the histogram, n if every n-th of each channel.
        channels: figures of each channel.
        dead: channels that are 0 everywhere.
        thumbnails: (C, th, tw) uint8; 0 … 252 stand for the channel's minimum … maximum, 253 for -inf, 254 for inf,
            255 for NaN.
        thumbnail_step: 1 if thumbnails have native pixels; n if each of their pixels is the mean of n × n values.
    """

    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    std: float
    zero_share: float
    nans: int
    infinities: int
    edges: np.ndarray
    counts: np.ndarray
    counted_step: int
    channels: Channels
    dead: tuple[int, ...]
    thumbnails: np.ndarray
    thumbnail_step: int

    __setstate__ = _restored

    @property
    def nbytes(self) -> int:
        """Memory it takes, in bytes, near enough for a cache."""
        return self.thumbnails.nbytes + 11 * self.channels.mean.nbytes + 4096


@dataclass(frozen=True)
class Preview:
    """One channel of an activation, thinned out: what a small box can show.

    Args:
        shape: of the activation without the batch dimension.
        channel: the channel shown, the one that varies most along the middle row of the picture.
        thumbnail: (th, tw) uint8, coded as in :class:`Summary`.
        step: every step-th value in both directions is shown.
        low: the value that 0 stands for.
        high: the value that 252 stands for.
    """

    shape: tuple[int, ...]
    channel: int
    thumbnail: np.ndarray
    step: int
    low: float
    high: float

    __setstate__ = _restored


def as_maps(tensor: Tensor) -> Tensor:
    """See the first item of a batch as maps (C, h, w): a vector as C single values, a table (N, C) as one map.

    Args:
        tensor: (B, C, h, w), (B, C), (B, N, C), or anything else, whose extra dimensions are joined into the height.
    """
    item = tensor[0] if tensor.dim() > 1 else tensor
    if item.dim() <= 1:
        return item.reshape(-1, 1, 1)
    if item.dim() == 2:
        return item.unsqueeze(0)
    return item if item.dim() == 3 else item.reshape(item.shape[0], -1, item.shape[-1])


def summarise(tensor: Tensor, part: tuple[int, int] | None = None) -> Summary:
    """Reduce an activation to figures, a histogram and a thumbnail of each channel.

    Works in the memory layout that is there, and in pieces that stay in the processor's cache while each figure is
    taken: it costs little more than one reading, and a few megabytes beside the activation, whatever its size.

    Args:
        tensor: what a layer put out, batch first; the first item of the batch is summarised.
        part: (columns, rows) of the map, from the top left, that the picture takes: what rankings look at. None is all.
    """
    maps = as_maps(tensor.detach())
    count, size = len(maps), maps[0].numel()
    grid, step = _grid(maps), step_for(maps.shape[1], maps.shape[2], THUMBNAIL_SIDE)
    cut = _pieces(grid, step)
    scratch = _scratch(max(piece.numel() for piece in cut))
    pieces = [_reduce(piece.reshape(*piece.shape[:2], -1).float(), step, scratch) for piece in cut]
    figures = _repaired(_merged(pieces, grid, size), maps)
    finite = size - figures["nans"] - figures["infinities"]  # (C,)
    alive, total = finite > 0, max(int(finite.sum()), 1)
    minimum = float(figures["low"][alive].min()) if alive.any() else 0.0
    maximum = float(figures["high"][alive].max()) if alive.any() else 0.0
    mean = float((figures["mean"] * finite)[alive].sum() / total)
    squares = (figures["std"] ** 2 + (figures["mean"] - mean) ** 2) * finite
    counted_step = _counting_step(grid)
    blocks = [piece["blocks"].numpy() for piece in pieces]
    thumbnails, seen = _thumbnails(blocks, grid, step, figures, part or (maps.shape[2], maps.shape[1]))
    edges, counts = _histogram(grid, counted_step, minimum, maximum)
    return Summary(
        shape=tuple(tensor.shape[1:]) if tensor.dim() > 1 else tuple(tensor.shape),
        minimum=minimum,
        maximum=maximum,
        mean=mean,
        std=math.sqrt(float(squares[alive].sum()) / total),
        zero_share=float(figures["zeros"].sum()) / max(count * size, 1),
        nans=int(figures["nans"].sum()),
        infinities=int(figures["infinities"].sum()),
        edges=edges,
        counts=counts,
        counted_step=counted_step,
        channels=_channels(figures, size, _inside(seen)),
        dead=tuple(np.flatnonzero(figures["zeros"] == size).tolist()),
        thumbnails=thumbnails,
        thumbnail_step=step,
    )


def preview(tensor: Tensor, part: tuple[int, int] | None = None) -> Preview:
    """Keep one thinned-out channel of an activation, the one that varies most along the middle row of the picture.

    Args:
        tensor: what a layer put out, batch first.
        part: as for :func:`summarise`.
    """
    maps = as_maps(tensor.detach())
    _, height, width = maps.shape
    step = step_for(height, width, GLIMPSE_SIDE)
    columns, rows = part or (width, height)
    row = maps[:, rows // 2, : columns : max(1, columns // 16)].float().numpy()
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values have no variance
        apart = row - (np.add.reduce(row, axis=1) / row.shape[1])[:, None]
        spread = np.einsum("cx,cx->c", apart, apart)
    channel = int(np.where(np.isfinite(spread), spread, -1).argmax())
    shown = maps[channel, ::step, ::step].float().numpy()
    low, high = shown.min(), shown.max()
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = shown[np.isfinite(shown)]
        low, high = (finite.min(), finite.max()) if len(finite) else (np.float32(0), np.float32(0))
    codes = np.empty(shown.shape, dtype=np.uint8)
    _quantise(shown, low, high, out=codes, finite=bool(np.isfinite(shown).all()))
    return Preview(tuple(tensor.shape[1:]), channel, codes, step, float(low), float(high))


def step_for(height: int, width: int, side: int) -> int:
    """Return the smallest power of two that brings both sides down to at most ``side`` pixels."""
    step = 1
    while -(-max(height, width) // step) > side:
        step *= 2
    return step


def _scratch(count: int) -> Tensor:
    """Return memory for passing results, float32, this thread's own; fresh memory would cost as much as a reading."""
    if not hasattr(_OWN, "scratch") or len(_OWN.scratch) < count:
        _OWN.scratch = np.empty(max(count, CHUNK), dtype=np.float32)
    return torch.from_numpy(_OWN.scratch)  # a new tensor, since one made in inference mode serves only there


def _grid(maps: Tensor) -> Tensor:
    """See maps (C, h, w) as (groups, h, w, channels side by side): (1, h, w, C) or (C, h, w, 1), as memory has them."""
    channels_last = maps.stride(0) == 1 and maps.stride(2) != 1
    return maps.permute(1, 2, 0)[None] if channels_last else maps[..., None]


def _pieces(grid: Tensor, step: int) -> tuple[Tensor, ...]:
    """Cut a grid into pieces of about CHUNK values: groups, or if there is one only, multiples of ``step`` rows."""
    groups = len(grid)
    if groups > 1:
        return grid.split(max(1, CHUNK * groups // grid.numel()))
    return grid.split(max(1, CHUNK * grid.shape[1] // grid.numel() // step) * step, 1)


def _reduce(piece: Tensor, step: int, scratch: Tensor) -> dict[str, Tensor]:
    """Reduce (g, r, i) over its rows to figures (g, i), and to the sums of every ``step`` rows, (g, r / step, i).

    Args:
        piece: float32.
        step: rows to add up.
        scratch: float32, at least as many values as the piece; its contents are lost.
    """
    blocks, scratch = torch.from_numpy(_sums_of(piece.numpy(), step)), scratch[: piece.numel()].view_as(piece)
    total, low = blocks.sum(1), piece.amin(1)
    return {
        "blocks": blocks,
        "low": low,
        "high": piece.amax(1),
        "total": total,
        "squares": torch.mul(piece, piece, out=scratch).sum(1),
        "absolute": total if bool((low >= 0).all()) else torch.abs(piece, out=scratch).sum(1),
        "zeros": _zeros(piece.numpy(), scratch.numpy()),
    }


def _zeros(piece: np.ndarray, scratch: np.ndarray) -> Tensor:
    """Count the zeros of (g, r, i) over its rows; bytes are compared and added many times faster than numbers."""
    marks = scratch.reshape(-1).view(bool)[: piece.size].reshape(piece.shape)
    np.equal(piece, 0, out=marks)
    counts = np.zeros((len(piece), piece.shape[2]), dtype=np.int32)
    for top in range(0, piece.shape[1], WITHIN_BYTE):
        counts += np.add.reduce(marks[:, top : top + WITHIN_BYTE].view(np.uint8), axis=1, dtype=np.uint8)
    return torch.from_numpy(counts)


def _merged(pieces: list[dict[str, Tensor]], grid: Tensor, size: int) -> dict[str, np.ndarray]:
    """Reduce pieces to figures of each channel, (C,): what must be exact exactly, the sums in float64."""
    groups, _, width, channels = grid.shape

    def of_channels(name: str, reduction: np.ufunc, kind: type) -> np.ndarray:
        parts: np.ndarray = np.concatenate([piece[name].numpy() for piece in pieces], dtype=kind)
        if groups == 1:  # the pieces are parts of the same channels
            parts = reduction.reduce(parts, axis=0)
        return reduction.reduce(parts.reshape(groups, width, channels), axis=1).reshape(-1)

    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is repaired later
        mean = of_channels("total", np.add, np.float64) / size
        variance = of_channels("squares", np.add, np.float64) / size - mean**2
        return {
            "low": of_channels("low", np.minimum, np.float32),
            "high": of_channels("high", np.maximum, np.float32),
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0)),
            "mean_abs": of_channels("absolute", np.add, np.float64) / size,
            "zeros": of_channels("zeros", np.add, np.int64),
            "nans": np.zeros(len(mean), dtype=np.int64),
            "infinities": np.zeros(len(mean), dtype=np.int64),
        }


def _repaired(figures: dict[str, np.ndarray], maps: Tensor) -> dict[str, np.ndarray]:
    """Take anew, in float64, the figures of channels for which sums of float32 squares do not serve, in place.

    Those are channels with values that are not finite, too large or too small to be squared, or that lie far from 0
    and close together. Of channels without any finite value the figures are NaN.
    """
    low, high, mean, std = (figures[name] for name in ("low", "high", "mean", "std"))
    std[low == high] = 0
    with np.errstate(invalid="ignore", over="ignore"):
        good = (low == high) & np.isfinite(low)
        good |= np.isfinite(low) & np.isfinite(high) & np.isfinite(std) & (std > 1e-15) & (np.abs(mean) < 10 * std)
    for channel in np.flatnonzero(~good):
        values = maps[channel].double().numpy()
        finite = values[np.isfinite(values)]
        low[channel], high[channel] = (finite.min(), finite.max()) if len(finite) else (np.nan, np.nan)
        mean[channel], std[channel] = (finite.mean(), finite.std()) if len(finite) else (np.nan, np.nan)
        figures["mean_abs"][channel] = np.abs(finite).mean() if len(finite) else np.nan
        figures["nans"][channel] = np.isnan(values).sum()
        figures["infinities"][channel] = np.isinf(values).sum()
    return figures


def _channels(figures: dict[str, np.ndarray], size: int, inside: tuple[np.ndarray, ...]) -> Channels:
    """Hand out the figures of each channel as float32."""
    names = ("low", "high", "mean", "std", "mean_abs")
    zeros = figures["zeros"] / max(size, 1)
    shares = (zeros, figures["nans"], figures["infinities"])
    whole = (figures["mean_abs"], figures["std"], zeros)
    seen = (np.where(np.isfinite(inside[1]), part, all_) for part, all_ in zip(inside, whole, strict=True))
    return Channels(*(column.astype(np.float32) for column in (*(figures[name] for name in names), *shares, *seen)))


def _inside(seen: np.ndarray) -> tuple[np.ndarray, ...]:
    """Take mean absolute value, robust spread and share of zeros of thumbnails inside the picture, (C,) each.

    Args:
        seen: (groups, rows, columns, channels) float32, as :func:`_thumbnails` returns it.
    """
    groups, rows, columns, channels = seen.shape
    thin = max(1, math.isqrt(rows * columns // SAMPLED))
    sample = seen[:, ::thin, ::thin].reshape(groups, -1, channels)
    count = sample.shape[1]
    cut = math.ceil(OUTLIERS * count) if count > FEW else 0
    with np.errstate(invalid="ignore", over="ignore"):
        sample = np.sort(sample, axis=1)
        sample[:, :cut], sample[:, count - cut :] = sample[:, cut, None], sample[:, count - cut - 1, None]
        figures = (np.abs(seen).mean((1, 2)), sample.std(1), (seen == 0).mean((1, 2)))
    return tuple(figure.reshape(-1) for figure in figures)


def _sums_of(values: np.ndarray, step: int) -> np.ndarray:
    """Add up every ``step`` values along the second dimension; at its end what is left of it."""
    if step == 1:
        return values
    sums = values[:, ::step].copy()
    for first in range(1, step):
        part = values[:, first::step]
        sums[:, : part.shape[1]] += part
    return sums


def _thumbnails(
    pieces: list[np.ndarray], grid: Tensor, step: int, figures: dict[str, np.ndarray], part: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Code the means over squares of step × step values, (C, th, tw) uint8; at the far borders over what is there.

    Args:
        pieces: (g, r, i) each, the sums of every ``step`` rows.
        grid: what they are of.
        step: values on a side of a square.
        figures: of each channel.
        part: as for :func:`summarise`.

    Returns:
        The codes, and the means of the squares that lie in the picture as a whole, at least one in both directions,
        (groups, rows, columns, channels) float32.
    """
    groups, height, width, channels = grid.shape
    rows, columns = (-(-side // step) for side in (height, width))
    counted = (np.minimum(step, side - np.arange(0, side, step)) for side in (height, width))
    shares = np.repeat(np.multiply.outer(*counted).astype(np.float32), channels, axis=1)
    low, high = (np.tile(figures[name].reshape(groups, 1, channels), (1, 1, columns)) for name in ("low", "high"))
    finite = not (figures["nans"].any() or figures["infinities"].any())
    codes = np.empty((groups, rows, columns * channels), dtype=np.uint8)
    inside = tuple(max(1, side // step) for side in part)  # columns, rows
    seen = np.empty((groups, inside[1], inside[0] * channels), dtype=np.float32)
    group = row = 0
    for piece in pieces:
        here = (slice(group, group + len(piece)), slice(row, row + piece.shape[1]))
        means = piece
        if step > 1:
            means = _sums_of(piece.reshape(-1, width, channels), step).reshape(*piece.shape[:2], -1)
            means /= shares[here[1]]
            if finite:
                np.clip(means, low[here[0]], high[here[0]], out=means)  # sums are rounded
        if row < inside[1]:
            seen[here[0], row : row + means.shape[1]] = means[:, : inside[1] - row, : seen.shape[2]]
        _quantise(means, low[here[0]], high[here[0]], out=codes[here], finite=finite)
        group, row = (group, row + piece.shape[1]) if groups == 1 else (group + len(piece), 0)
    within = seen.reshape(groups, inside[1], inside[0], channels)
    maps = codes.reshape(groups, rows, columns, channels)
    return maps[0].transpose(2, 0, 1) if groups == 1 else maps[..., 0], within


def _quantise(values: np.ndarray, low: np.ndarray, high: np.ndarray, *, out: np.ndarray, finite: bool) -> None:
    """Code values as uint8 between low and high, float32, which spread over them.

    Args:
        values: (…, i).
        low: what each is coded from, (…, i) or 1.
        high: what each is coded up to.
        out: of the values' shape.
        finite: whether all values are.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        per_value = np.where(high > low, LEVELS / (high - low), 0).astype(np.float32)  # a constant channel is all 0
        levels = np.subtract(values, low, out=_scratch(values.size).numpy()[: values.size].reshape(values.shape))
        levels *= per_value
        levels += np.float32(0.5)  # cutting off then rounds
        if finite and math.isfinite(float(per_value.max(initial=0))):
            np.copyto(out, levels, casting="unsafe")
            return
    out[...] = np.nan_to_num(levels, nan=0, posinf=0, neginf=0).clip(0, LEVELS + 0.5).astype(np.uint8)
    out[values == -np.inf] = MINUS_INFINITY
    out[values == np.inf] = PLUS_INFINITY
    out[np.isnan(values)] = NOT_A_NUMBER


def _counting_step(grid: Tensor) -> int:
    """Return the step that leaves about COUNTED values, and that does not fall on the same columns in every row."""
    step = -(-grid.numel() // COUNTED)
    while step > 1 and math.gcd(step, grid.shape[2]) > 1:
        step += 1
    return step


def _histogram(grid: Tensor, step: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Count every step-th value of each channel, if finite, in BINS equal bins from low to high."""
    values = grid.flatten(1, 2)[:, ::step].reshape(-1).float()
    if low == high:
        counts = np.zeros(BINS, dtype=np.int64)
        counts[BINS // 2] = int(values.isfinite().sum())
        return np.linspace(low - 0.5, high + 0.5, BINS + 1), counts
    return np.linspace(low, high, BINS + 1), torch.histc(values, BINS, low, high).long().numpy()
