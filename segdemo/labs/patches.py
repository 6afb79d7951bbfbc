"""One value of a layer's output, written out: the input values it was made of, their weights, the products, the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from segdemo.errors import InputError
from segdemo.labs.layers import Computed, weighted


@dataclass(frozen=True)
class Term:
    """One input value and what became of it.

    Args:
        channel: of the input.
        row: of the input; negative or beyond it, in the padding.
        column: of the input.
        value: there.
        weight: by which it is multiplied.
        product: of both.
    """

    channel: int
    row: int
    column: int
    value: float
    weight: float
    product: float


@dataclass(frozen=True)
class Patch:
    """One value of the output.

    Args:
        kind: ``"sum"``: of the products and the bias; ``"most"``: the greatest of the values.
        terms: its input values.
        bias: added to the products.
        value: what comes out.
    """

    kind: str
    terms: tuple[Term, ...]
    bias: float
    value: float


def patch(done: Computed, settings: Mapping[str, Any], channel: int, row: int, column: int) -> Patch:
    """Write one value of the output out.

    Args:
        done: what the layer took and gave.
        settings: of the lab of layers.
        channel: of the output.
        row: of the output.
        column: of the output.

    Raises:
        InputError: the output has no such place.
    """
    shape = tuple(done.output.shape[1:])
    if not all(0 <= place < size for place, size in zip((channel, row, column), shape, strict=True)):
        raise InputError(
            "no_such_value",
            "The output has {shape} values (channels × rows × columns), and none at {place}. Point at one of them.",
            shape=" × ".join(map(str, shape)),
            place=f"{channel}, {row}, {column}",
        )
    value = done.output[0, channel, row, column].item()
    layer = weighted(done.layer)
    kind = settings["layer"]
    if kind in ("conv", "max_pool", "avg_pool"):
        terms = _window(done, settings, channel, row, column)
    elif kind == "transposed":
        terms = _stamped(done, settings, channel, row, column)
    elif kind in ("upsample", "resize_conv"):
        terms = _by_gradient(done, channel, row, column)
    else:
        terms = [_own(done, kind, channel, row, column)]
    bias = getattr(layer, "bias", None)
    added = 0.0 if bias is None else bias[channel].item()
    if kind == "batch_norm":
        added = value - terms[0].product
    return Patch("most" if kind == "max_pool" else "sum", tuple(terms), added, value)


def _term(channel: int, row: int, column: int, value: float, weight: float) -> Term:
    return Term(channel, row, column, value, weight, value * weight)


def _window(done: Computed, settings: Mapping[str, Any], channel: int, row: int, column: int) -> list[Term]:
    """Return the values under a kernel that slides."""
    kind, size, stride, padding = (settings[key] for key in ("layer", "kernel_size", "stride", "padding"))
    dilation = 1 if kind == "avg_pool" else settings["dilation"]
    batch, layer = done.batch, cast(Any, done.layer)
    mode = settings["padding_mode"] if kind == "conv" else "zeros"
    padded = functional.pad(batch, (padding,) * 4, mode="constant" if mode == "zeros" else mode) if padding else batch
    groups = settings["groups"] if kind == "conv" else 1
    share = batch.shape[1] // groups
    first = channel // (done.output.shape[1] // groups) * share
    channels = range(first, first + share) if kind == "conv" else [channel]
    terms = []
    for place, source in enumerate(channels):
        for down in range(size):
            for right in range(size):
                y, x = row * stride + down * dilation, column * stride + right * dilation
                weight = layer.weight[channel, place, down, right].item() if kind == "conv" else 1.0
                weight = 1 / size**2 if kind == "avg_pool" else weight
                inside = 0 <= y - padding < batch.shape[2] and 0 <= x - padding < batch.shape[3]
                if kind == "max_pool" and not inside:
                    continue  # the border of a maximum counts as minus infinity
                terms.append(_term(source, y - padding, x - padding, padded[0, source, y, x].item(), weight))
    return terms


def _stamped(done: Computed, settings: Mapping[str, Any], channel: int, row: int, column: int) -> list[Term]:
    """Return the values whose kernels, stamped on the output, touch one place."""
    size, stride, padding, dilation = (settings[key] for key in ("kernel_size", "stride", "padding", "dilation"))
    batch = done.batch
    share, outs = batch.shape[1] // settings["groups"], settings["out_channels"] // settings["groups"]
    first = channel // outs * share
    weights: Tensor = done.layer.weight  # type: ignore[assignment]
    terms = []
    for source in range(first, first + share):
        for down in range(size):
            for right in range(size):
                y, rest_y = divmod(row + padding - down * dilation, stride)
                x, rest_x = divmod(column + padding - right * dilation, stride)
                if rest_y or rest_x or not (0 <= y < batch.shape[2] and 0 <= x < batch.shape[3]):
                    continue
                weight = weights[source, channel % outs, down, right].item()
                terms.append(_term(source, y, x, batch[0, source, y, x].item(), weight))
    return terms


def _by_gradient(done: Computed, channel: int, row: int, column: int) -> list[Term]:
    """Return the values that a place depends on; in a sum of products, the weights are the derivatives."""
    batch = done.batch.clone().requires_grad_()
    with torch.enable_grad():
        (weights,) = torch.autograd.grad(done.layer(batch)[0, channel, row, column], batch)
    return [
        _term(source, y, x, done.batch[0, source, y, x].item(), weights[0, source, y, x].item())
        for source, y, x in weights[0].nonzero().tolist()
    ]


def _own(done: Computed, kind: str, channel: int, row: int, column: int) -> Term:
    """Return the one value at the same place."""
    value = done.batch[0, channel, row, column].item()
    layer: Any = done.layer
    weight = 1.0
    if kind == "relu":
        weight = float(value > 0)
    elif kind == "leaky_relu":
        weight = 1.0 if value > 0 else layer.negative_slope
    elif kind == "batch_norm":
        values = done.batch[:, channel]
        variance = values.var(correction=0) if layer.training else torch.tensor(1.0)
        weight = (1 / torch.sqrt(variance + layer.eps)).item()
    return _term(channel, row, column, value, weight)
