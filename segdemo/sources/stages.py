"""The figure of a network that nobody has described: a traced pass of it, on the meta device if that works."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from segdemo import ambient
from segdemo.errors import InputError
from segdemo.figure import BATCH, Figure, figure_of
from segdemo.networks.network import Stage
from segdemo.opened import hollow_copy
from segdemo.outputs import forwarding
from segdemo.trace import Trace, trace_network

TELLING = (256, 320)  # height, width: proportions that tell maps, tokens and channels apart


def figure_for(module: nn.Module, batch: Tensor, title: str) -> tuple[Figure, tuple[Stage, ...]]:
    """Draw a network, and find what is to be looked at in it.

    Args:
        module: the network.
        batch: what it takes.
        title: of the network, for sentences.

    Returns:
        The figure; and its stages, as the page draws and captures them.

    Raises:
        InputError: ``network_empty``: there is nothing to look at in it.
    """
    trace = _trace(module, batch, title)
    if len(trace.calls) < 2 or not trace.nodes:
        raise InputError(
            "network_empty",
            "{network} has no parts that run as modules: there is nothing to look at inside it. Build it of "
            "torch.nn.Module parts.",
            network=title,
        )
    figure = figure_of(trace)
    seen = _without_scripted(module, [_to_look_at(stage, trace) for stage in figure.stages])
    return figure, tuple(seen)


def _without_scripted(module: nn.Module, stages: list[Stage]) -> list[Stage]:
    """Leave out stages in parts that are TorchScript, which nothing can look into; arrows go past them."""
    scripted = [name for name, part in module.named_modules() if isinstance(part, torch.jit.ScriptModule)]
    hidden = {
        stage.label: stage.inputs
        for stage in stages
        if any(stage.layer.partition(":")[0] == name or stage.layer.startswith(f"{name}.") for name in scripted)
    }

    def past(labels: tuple[str, ...]) -> tuple[str, ...]:
        found = (past(hidden[label]) if label in hidden else (label,) for label in labels)
        return tuple(dict.fromkeys(label for some in found for label in some))

    return [
        replace(stage, inputs=past(stage.inputs), skips=past(stage.skips))
        for stage in stages
        if stage.label not in hidden
    ]


def _trace(module: nn.Module, batch: Tensor, title: str) -> Trace:
    """Trace on a copy without values, which costs nothing; a network that computes on values is run as it is."""
    hollow = hollow_copy(module)
    if hollow is not None:
        for size in (TELLING, tuple(batch.shape[2:])):
            with ambient.passing_hollow():
                try:
                    return trace_network(hollow, torch.empty(1, batch.shape[1], *size, device="meta"))
                except (Exception, SystemExit):  # code of a stranger, which may ask for values
                    continue
    with ambient.passing(module), forwarding(module, batch, title):
        return trace_network(module, batch)


def _to_look_at(stage: Stage, trace: Trace) -> Stage:
    """Name the one tensor to look at where a module puts out several, and leave out the arrow from the batch."""
    inputs = tuple(name for name in stage.inputs if name != BATCH)
    skips = tuple(name for name in stage.skips if name != BATCH)
    layer = stage.layer
    shapes = next((call.shapes for call in trace.calls[1:] if call.layer == layer), ())
    if shapes:
        layer = max(shapes, key=lambda one: torch.Size(one[1]).numel())[0]
    return replace(stage, layer=layer, inputs=inputs, skips=skips)
