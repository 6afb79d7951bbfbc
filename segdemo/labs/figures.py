"""The figure of a lab's network: drawn from a traced pass, with what each block put out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segdemo import ambient
from segdemo.figure import BATCH, figure_of
from segdemo.labs.drawn import ends
from segdemo.labs.lab import Box, Boxes, array
from segdemo.opened import hollow_copy
from segdemo.rendering import colour_values, scale_for
from segdemo.trace import Trace, trace_network

SHOWN = 4  # channels of a block that are drawn, in two rows


def traced(net: nn.Module, shape: Sequence[int]) -> Trace:
    """Trace a network without computing anything.

    Args:
        net: any device; only its shapes count.
        shape: of the batch.
    """
    hollow = hollow_copy(net)
    assert hollow is not None  # ours can be copied
    with ambient.passing_hollow():
        return trace_network(hollow, torch.empty(*shape, device="meta"))


def drawn(name: str, trace: Trace, layers: Sequence[str]) -> Boxes:
    """Draw a traced network.

    Args:
        name: of the block.
        trace: one pass of it.
        layers: names of the modules that get a box, none within another.
    """
    return Boxes(
        name,
        tuple(
            Box(
                stage.label,
                stage.row,
                stage.column,
                tuple(one for one in stage.inputs if one != BATCH),
                tuple(one for one in stage.skips if one != BATCH),
                stage.shape,
            )
            for stage in figure_of(trace, {one: one for one in layers}).stages
        ),
    )


def seen_by(net: nn.Module, batch: Tensor, layers: Sequence[str]) -> tuple[dict[str, np.ndarray], Tensor]:
    """Run a network, and return a picture of what each layer puts out, (h, w, 3) uint8, and the output.

    Args:
        net: in the mode it shall run in.
        batch: of one picture.
        layers: names of modules that are called once.
    """
    found: dict[str, np.ndarray] = {}

    def note(layer: str, _: nn.Module, __: Any, output: Tensor) -> None:
        if output.dim() == 4:  # a vector has no picture
            found[layer] = mosaic(array(output[0, :SHOWN]))

    handles = [net.get_submodule(one).register_forward_hook(partial(note, one)) for one in layers]
    try:
        return found, net(batch)
    finally:
        for handle in handles:
            handle.remove()


def with_pictures(boxes: Boxes, pictures: Mapping[str, np.ndarray]) -> Boxes:
    """Put pictures, (h, w, 3) uint8, into the boxes of their names."""
    return replace(boxes, boxes=tuple(replace(box, picture=pictures.get(box.label)) for box in boxes.boxes))


def mosaic(maps: np.ndarray) -> np.ndarray:
    """Draw up to four maps, (C, h, w), each on a scale of its own, two beside each other."""
    tiles = [colour_values(one, scale_for(*ends(one))) for one in maps]
    if len(tiles) < 3:
        return np.concatenate(tiles, axis=1)
    tiles += [np.zeros_like(tiles[0])] * (SHOWN - len(tiles))
    return np.concatenate([np.concatenate(tiles[:2], axis=1), np.concatenate(tiles[2:], axis=1)])
