"""What a network's trace says of it, computing nothing where that is possible: on the meta device, without weights."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from segdemo import ambient
from segdemo.figure import Figure, figure_of, with_named_inside
from segdemo.images import place
from segdemo.networks import Network
from segdemo.opened import hollow_copy
from segdemo.outputs import forwarding
from segdemo.trace import Trace, trace_network

TELLING = (256, 320)  # height, width: proportions that tell maps, tokens and channels apart


def trace_of(spec: Network, shape: tuple[int, int, int, int] | None = None) -> Trace:
    """Trace a network that is built for it without weights. Traces are remembered: several ask for the same.

    Args:
        spec: what is known of the network, which is none that was given.
        shape: of the batch, (1, C, H, W); None is that of a square picture in the network's own size.
    """
    rule = spec.preprocessing
    width, height = place((rule.size, rule.size), rule, rule.size).padded
    return _built(spec, shape or (1, rule.channels, height, width))


@lru_cache(maxsize=32)
def _built(spec: Network, shape: tuple[int, int, int, int]) -> Trace:
    with ambient.plain(), torch.device("meta"):
        return trace_network(spec.build(len(spec.classes)).eval(), torch.empty(shape))


def trace_module(module: nn.Module, batch: Tensor, title: str, *, telling: bool = True) -> Trace:
    """Trace a network that is there on a copy without values; one that computes on values is run as it is.

    Args:
        module: the network.
        batch: what it takes.
        title: of the network, for sentences.
        telling: trace batches of another size than that of ``batch`` first, from which more can be told.
    """
    hollow = hollow_copy(module)
    if hollow is not None:
        size: tuple[int, int] = batch.shape[2], batch.shape[3]
        for height, width in (TELLING, size) if telling else (size,):
            with ambient.passing_hollow():
                try:
                    return trace_network(hollow, torch.empty(1, batch.shape[1], height, width, device="meta"))
                except (Exception, SystemExit):  # code of a stranger, which may ask for values
                    continue
    with ambient.passing(module), forwarding(module, batch, title):
        return trace_network(module, batch)


def drawn(spec: Network, trace: Trace, opened: tuple[str, ...] = ()) -> Figure:
    """Draw a network, with the labels that its author chose if there are any.

    Args:
        spec: what is known of it; of a network that was given, nobody but the trace has named anything.
        trace: one pass of it.
        opened: labels of the boxes to open one level deeper, one after the other.

    Returns:
        The figure, with what the author named in its stages inside them.

    Raises:
        InputError: ``unknown_box`` or ``box_closed``, something of ``opened`` cannot be opened.
    """
    if spec.foreign:
        return figure_of(trace, None, opened)
    inner = {one.layer: one.label for stage in spec.stages for one in stage.inside}
    labels = {stage.layer: stage.label for stage in spec.stages}
    figure = with_named_inside(trace, figure_of(trace, labels, opened, inner))
    moved = {label: (row, column) for label, row, column in spec.places}
    at = [moved.get(stage.label, (stage.row, stage.column)) for stage in figure.stages]
    stages = tuple(
        replace(stage, row=row, column=column) for stage, (row, column) in zip(figure.stages, at, strict=True)
    )
    are_apart = len({(stage.row, stage.column) for stage in stages}) == len(stages)
    return replace(figure, stages=stages) if are_apart else figure
