"""What each block of the lab's U-Net costs and sees, from its trace and from arithmetic alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from segdemo.trace import Trace


def counted(
    net: nn.Module, trace: Trace, blocks: Sequence[str], *, depth: int, bilinear: bool
) -> tuple[tuple[Any, ...], ...]:
    """Return of each block its name, shape, parameters, multiply-adds, rows that it sees, and values that it puts out.

    Args:
        net: the network, on any device.
        trace: one pass of it.
        blocks: their names, in order.
        depth: how often the size is halved.
        bilinear: how it is doubled.
    """
    fields = receptive_fields(depth, max(trace.batch[2:]), bilinear=bilinear)
    shapes = {call.layer: call.shape for call in trace.calls}
    rows = []
    for name in blocks:
        block, shape = net.get_submodule(name), shapes[name]
        inside = {f"{name}.{inner}": module for inner, module in block.named_modules()}
        cost = sum(_cost(module, shapes[inner]) for inner, module in inside.items() if inner in shapes)
        parameters = sum(parameter.numel() for parameter in block.parameters())
        values = shape[1] * shape[2] * shape[3]
        rows.append((name, str(shape), parameters, cost, fields[name], values))
    return tuple(rows)


def _cost(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Return the multiply-adds of a convolution that put out a shape; 0 of what is none."""
    if isinstance(module, nn.Conv2d):
        return module.weight.numel() * shape[2] * shape[3]
    if isinstance(module, nn.ConvTranspose2d):  # each value that comes in is multiplied with the whole kernel
        return module.weight.numel() * (shape[2] // module.stride[0]) * (shape[3] // module.stride[1])
    return 0


def receptive_fields(depth: int, side: int, *, bilinear: bool) -> dict[str, int]:
    """Return how many rows of the picture, and of the padding around it, a value of each block sees at most.

    From a value back to the picture: a 3 × 3 kernel adds a row on both sides, a pool reads two rows for each, a
    transposed convolution one for every two, and bilinear upsampling the two nearest.

    Args:
        depth: how often the size is halved.
        side: rows of the picture.
        bilinear: how it is doubled.
    """
    sizes = [side >> level for level in range(depth + 1)]
    blocks = [("inc", "stay", sizes[0])]
    blocks += [(f"downs.{level}", "pool", sizes[level + 1]) for level in range(depth)]
    blocks += [(f"ups.{place}", "up", sizes[depth - 1 - place]) for place in range(depth)]
    fields = {}
    for index, (name, _, size) in enumerate(blocks):
        seen = [_seen(blocks[: index + 1], row, bilinear) for row in range(size)]
        fields[name] = max(last - first + 1 for first, last in seen)
    return fields | {"outc": fields[blocks[-1][0]]}


def _seen(blocks: list[tuple[str, str, int]], row: int, bilinear: bool) -> tuple[int, int]:
    """Return the first and the last row of the picture that a row of the last block depends on."""
    first = last = row
    for index in reversed(range(len(blocks))):
        kind = blocks[index][1]
        first, last = first - 2, last + 2  # two kernels of 3 rows
        if kind == "pool":
            first, last = 2 * first, 2 * last + 1
        elif kind == "up" and bilinear:
            below = blocks[index - 1][2]
            share = (below - 1, max(2 * below - 1, 1))  # the corners of both lie on each other
            first, last = first * share[0] // share[1], -(-last * share[0] // share[1])
        elif kind == "up":
            first, last = first // 2, last // 2
    return first, last
