"""A grid of 64 channels as a PNG: ours, and the usual matplotlib subplots."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods import Case
from segdemo.rendering import channel_grid, colour_thumbnails, encode_png, scale_for
from segdemo.summaries import Summary, summarise

CHANNELS = 64


def activation(case: Case) -> Tensor:
    """Return what the first stage of at least 64 channels put out: (1, 64, h, w)."""
    for stage in case.segmenter.spec.stages:
        values = case.segmenter.activation(case.picture, stage.label, size=case.side)
        if values.ndim == 3 and len(values) >= CHANNELS and values.shape[-1] > 1:
            return torch.from_numpy(values[None, :CHANNELS].copy())
    raise RuntimeError(f"{case.segmenter.spec.name} has no stage of {CHANNELS} channels")


def from_summary(summary: Summary) -> bytes:
    """Colour each channel on its own scale, lay 64 out and write the PNG, as the page does."""
    lows, highs = summary.channels.minimum, summary.channels.maximum
    scales = [scale_for(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
    return png(colour_thumbnails(summary.thumbnails, lows, highs, scales))


def from_activation(values: Tensor) -> bytes:
    """Do the same from the activation, statistics and histogram included."""
    return from_summary(summarise(values))


def png(tiles: np.ndarray) -> bytes:
    """Lay tiles out and write them."""
    return encode_png(channel_grid(tiles))


def subplots(values: Tensor) -> bytes:
    """Draw 8 by 8 axes without ticks, one channel each, and save the figure: what tutorials do."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(8, 8, figsize=(8, 8))
    for axis, channel in zip(axes.flat, values[0].numpy(), strict=True):
        axis.imshow(channel, cmap="viridis")
        axis.axis("off")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    pyplot.close(figure)
    return file.getvalue()
