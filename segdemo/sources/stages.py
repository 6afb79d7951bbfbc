"""The figure of a network that nobody has described: a traced pass of it, on the meta device if that works."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from segdemo.errors import InputError
from segdemo.figure import BATCH, Figure, figure_of
from segdemo.networks.network import Stage
from segdemo.traced import trace_module


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
    trace = trace_module(module, batch, title)
    if len(trace.calls) < 2 or not trace.nodes:
        raise InputError(
            "network_empty",
            "{network} has no parts that run as modules: there is nothing to look at inside it. Build it of "
            "torch.nn.Module parts.",
            network=title,
        )
    figure = figure_of(trace)
    seen = _without_scripted(module, [_without_batch(stage) for stage in figure.stages])
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


def _without_batch(stage: Stage) -> Stage:
    """Leave out the arrow from the batch: the page draws the picture there."""
    inputs = tuple(name for name in stage.inputs if name != BATCH)
    skips = tuple(name for name in stage.skips if name != BATCH)
    return replace(stage, inputs=inputs, skips=skips)
