"""What is kept of an activation when the activation itself is too large to keep: figures and small pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segdemo.reductions import cut, figures_of, quantise, repair, thumbnails_of

BINS = 64
COUNTED = 1 << 15  # values a histogram is made of at most; of larger activations every n-th value is counted
THUMBNAIL_SIDE = 96  # pixels; maps up to this size are kept at native size
GLIMPSE_SIDE = 48  # pixels


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
    grid = _grid(maps)
    pieces = cut(grid, step_for(maps.shape[1], maps.shape[2], THUMBNAIL_SIDE))
    figures, sums = figures_of(pieces)
    repair(figures, maps)
    finite = size - figures["nans"] - figures["infinities"]  # (C,)
    alive, total = finite > 0, max(int(finite.sum()), 1)
    minimum = float(figures["low"][alive].min()) if alive.any() else 0.0
    maximum = float(figures["high"][alive].max()) if alive.any() else 0.0
    mean = float((figures["mean"] * finite)[alive].sum() / total)
    squares = (figures["std"] ** 2 + (figures["mean"] - mean) ** 2) * finite
    counted_step = _counting_step(grid)
    thumbnails, inside = thumbnails_of(pieces, sums, figures, part or (maps.shape[2], maps.shape[1]))
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
        channels=_channels(figures, size, inside),
        dead=tuple(np.flatnonzero(figures["zeros"] == size).tolist()),
        thumbnails=thumbnails,
        thumbnail_step=pieces.step,
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
    quantise(shown, low, high, out=codes, finite=bool(np.isfinite(shown).all()))
    return Preview(tuple(tensor.shape[1:]), channel, codes, step, float(low), float(high))


def are_finite(tensor: Tensor) -> bool:
    """Say whether all values of a tensor are finite, most often in one reading."""
    values = tensor.detach().float().cpu().numpy()
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())  # sums of huge ones may not be


def step_for(height: int, width: int, side: int) -> int:
    """Return the smallest power of two that brings both sides down to at most ``side`` pixels."""
    step = 1
    while -(-max(height, width) // step) > side:
        step *= 2
    return step


def _grid(maps: Tensor) -> Tensor:
    """See maps (C, h, w) as (groups, h, w, channels side by side): (1, h, w, C) or (C, h, w, 1), as memory has them."""
    channels_last = maps.stride(0) == 1 and maps.stride(2) != 1
    return maps.permute(1, 2, 0)[None] if channels_last else maps[..., None]


def _channels(figures: dict[str, np.ndarray], size: int, inside: dict[str, np.ndarray]) -> Channels:
    """Hand out the figures of each channel as float32."""
    names = ("low", "high", "mean", "std", "mean_abs")
    zeros = figures["zeros"] / max(size, 1)
    shares = (zeros, figures["nans"], figures["infinities"])
    whole = (figures["mean_abs"], figures["std"], zeros)
    seen = (inside["mean_abs"], inside["spread"], inside["zeros"])
    ranking = (np.where(np.isfinite(inside["spread"]), here, all_) for here, all_ in zip(seen, whole, strict=True))
    return Channels(*(column.astype(np.float32) for column in (*(figures[name] for name in names), *shares, *ranking)))


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
