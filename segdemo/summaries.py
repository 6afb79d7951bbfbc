"""What is kept of an activation when the activation itself is too large to keep: figures and small pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BINS = 64
COUNTED = 1 << 17  # values a histogram is made of at most; of larger activations every n-th value is counted
THUMBNAIL_SIDE = 96  # pixels; maps up to this size are kept at native size
GLIMPSE_SIDE = 48  # pixels
CHUNK = 1 << 21  # values worked on at a time: 8 MB
LEVELS = 252  # a thumbnail's finite values are 0 … LEVELS
MINUS_INFINITY, PLUS_INFINITY, NOT_A_NUMBER = 253, 254, 255


@dataclass(frozen=True)
class Channels:
    """Figures of each channel of an activation, each float32 (C,), over the channel's finite values.

    A channel without a finite value has NaN for its figures.
    """

    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    mean_abs: np.ndarray
    zero_share: np.ndarray
    nans: np.ndarray
    infinities: np.ndarray

    def ranked(self, by: str) -> np.ndarray:
        """Return the channels' numbers, (C,) int64, best first.

        Args:
            by: ``"mean_abs"`` or ``"variance"``, greatest first; ``"sparsity"``, most zeros first; ``"index"``.
        """
        scores = {
            "mean_abs": -self.mean_abs,
            "variance": -self.std,
            "sparsity": -self.zero_share,
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
        counted_step: 1 if every value was looked at for the histogram, n if every n-th.
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

    @property
    def nbytes(self) -> int:
        """Memory it takes, in bytes, near enough for a cache."""
        return self.thumbnails.nbytes + 8 * self.channels.mean.nbytes + 4096


@dataclass(frozen=True)
class Glimpse:
    """One channel of an activation, thinned out: what a small box can show.

    Args:
        shape: of the activation without the batch dimension.
        channel: the channel shown, the one that varies most along its middle row.
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


def summarise(tensor: Tensor) -> Summary:
    """Reduce an activation to figures, a histogram and a thumbnail of each channel.

    Works in pieces of a few channels, so that it needs a few megabytes beside the activation, whatever its size.

    Args:
        tensor: what a layer put out, batch first; the first item of the batch is summarised.
    """
    maps = as_maps(tensor.detach())
    count, height, width = maps.shape
    size = height * width
    step = step_for(height, width, THUMBNAIL_SIDE)
    pieces = list(torch.split(maps, max(1, CHUNK // max(size, 1))))
    figures = [_figures(piece.reshape(len(piece), size).float()) for piece in pieces]
    columns = (torch.cat(column) for column in zip(*figures, strict=True))
    low, high, mean, std, mean_abs, zeros, nans, infinities = columns
    thumbnails = [_thumbnails(piece.float(), step) for piece in pieces]
    finite = size - nans - infinities  # (C,)
    total = max(int(finite.sum()), 1)
    alive = finite > 0
    minimum = float(low[alive].min()) if alive.any() else 0.0
    maximum = float(high[alive].max()) if alive.any() else 0.0
    whole = float((mean.double() * finite)[alive].sum() / total)
    variance = ((std.double() ** 2 + (mean.double() - whole) ** 2) * finite)[alive].sum() / total
    counted_step = _counting_step(maps)
    edges, counts = _histogram(maps, counted_step, minimum, maximum)
    return Summary(
        shape=tuple(tensor.shape[1:]) if tensor.dim() > 1 else tuple(tensor.shape),
        minimum=minimum,
        maximum=maximum,
        mean=whole,
        std=float(variance.sqrt()),
        zero_share=float(zeros.sum()) / max(count * size, 1),
        nans=int(nans.sum()),
        infinities=int(infinities.sum()),
        edges=edges,
        counts=counts,
        counted_step=counted_step,
        channels=Channels(
            low.numpy(),
            high.numpy(),
            mean.numpy(),
            std.numpy(),
            mean_abs.numpy(),
            (zeros / max(size, 1)).float().numpy(),
            nans.float().numpy(),
            infinities.float().numpy(),
        ),
        dead=tuple(torch.nonzero(zeros == size).flatten().tolist()),
        thumbnails=_quantise(torch.cat(thumbnails), low, high, all_finite=int(finite.min()) == size),
        thumbnail_step=step,
    )


def glimpse(tensor: Tensor) -> Glimpse:
    """Keep one thinned-out channel of an activation, the one that varies most along its middle row.

    Args:
        tensor: what a layer put out, batch first.
    """
    maps = as_maps(tensor.detach())
    step = step_for(maps.shape[1], maps.shape[2], GLIMPSE_SIDE)
    apart = max(1, maps.shape[2] // 16)
    few = (
        maps[:, maps.shape[1] // 2, ::apart].float().numpy()
    )  # one row of each: cheap, since its values lie side by side
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values have no variance
        spread = few.var(axis=1)
    channel = int(np.nan_to_num(spread, nan=-1, posinf=-1).argmax())
    shown = maps[channel : channel + 1, ::step, ::step].float()
    finite = shown[shown.isfinite()]
    low, high = (finite.min(), finite.max()) if len(finite) else (torch.zeros(()), torch.zeros(()))
    codes = _quantise(shown, low.view(1), high.view(1), all_finite=len(finite) == shown.numel())[0]
    return Glimpse(tuple(tensor.shape[1:]), channel, codes, step, float(low), float(high))


def step_for(height: int, width: int, side: int) -> int:
    """Return the smallest power of two that brings both sides down to at most ``side`` pixels."""
    step = 1
    while -(-max(height, width) // step) > side:
        step *= 2
    return step


def _figures(rows: Tensor) -> tuple[Tensor, ...]:
    """Return minimum, maximum, mean, std, mean of |x|, zeros, NaNs, infinities of each row, (k,) each.

    Args:
        rows: (k, n) float32.
    """
    low, high = rows.amin(1), rows.amax(1)
    if not bool((low.isfinite() & high.isfinite()).all()):
        return _figures_of_broken(rows)
    # Reductions of a scratch copy: several times faster than PyTorch's own L1 norm and count of non-zeros.
    mean, scratch = rows.mean(1), torch.empty_like(rows)
    std = torch.linalg.vector_norm(torch.sub(rows, mean[:, None], out=scratch), dim=1) / rows.shape[1] ** 0.5
    mean_abs = mean if bool((low >= 0).all()) else torch.abs(rows, out=scratch).mean(1)
    zeros = torch.eq(rows, 0, out=scratch).sum(1).long()  # exact up to 2^24 values a channel
    none = torch.zeros_like(zeros)
    return low, high, mean, std, mean_abs, zeros, none, none


def _figures_of_broken(rows: Tensor) -> tuple[Tensor, ...]:
    """Do as :func:`_figures` for rows with NaN or infinite values, over the finite ones; NaN where there are none."""
    columns: list[list[Tensor]] = [[] for _ in range(8)]
    for row in rows:
        finite = row[row.isfinite()]
        figures = _figures(finite[None])[:5] if len(finite) else (torch.full((1,), torch.nan),) * 5
        counts = ((row == 0).sum()[None], row.isnan().sum()[None], row.isinf().sum()[None])
        for column, figure in zip(columns, (*figures, *counts), strict=True):
            column.append(figure)
    return tuple(torch.cat(column) for column in columns)


def _thumbnails(maps: Tensor, step: int) -> Tensor:
    """Return the means over squares of step × step values; at the far borders over what is there."""
    if step == 1:
        return maps
    whole = maps.shape[1] // step * step
    rows = maps[:, :whole].unflatten(1, (-1, step)).mean(2)  # first down the columns, which is the fast direction
    if whole < maps.shape[1]:
        rows = torch.cat((rows, maps[:, whole:].mean(1, keepdim=True)), dim=1)
    return F.avg_pool2d(rows[None], (1, step), ceil_mode=True, count_include_pad=False)[0]


def _quantise(maps: Tensor, low: Tensor, high: Tensor, *, all_finite: bool) -> np.ndarray:
    """Code maps (C, h, w) as uint8, each between its channel's low and high, (C,)."""
    span = high - low
    per_value = torch.where(span > 0, LEVELS / span, 0)  # a constant channel is all 0
    levels = maps - low[:, None, None]
    torch.addcmul(torch.tensor(0.5), levels, per_value[:, None, None], out=levels)  # cutting off then rounds
    if all_finite:
        return levels.to(torch.uint8).numpy()
    codes = levels.nan_to_num(0, 0, 0).to(torch.uint8)
    codes[maps == -torch.inf] = MINUS_INFINITY
    codes[maps == torch.inf] = PLUS_INFINITY
    codes[maps.isnan()] = NOT_A_NUMBER
    return codes.numpy()


def _counting_step(maps: Tensor) -> int:
    """Return the step that leaves at most COUNTED values, and that does not fall on the same columns in every row."""
    step = -(-maps.numel() // COUNTED)
    while step > 1 and math.gcd(step, maps.shape[-1]) > 1:
        step += 1
    return step


def _histogram(maps: Tensor, step: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Count every step-th value, if finite, in BINS equal bins from low to high."""
    values = maps.reshape(-1)[::step].float()
    if low == high:
        counts = np.zeros(BINS, dtype=np.int64)
        counts[BINS // 2] = int(values.isfinite().sum())
        return np.linspace(low - 0.5, high + 0.5, BINS + 1), counts
    return np.linspace(low, high, BINS + 1), torch.histc(values, BINS, low, high).long().numpy()
