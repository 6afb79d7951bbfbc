"""The viewing points of a network that nobody has described: its parts, in the order in which they run."""

from __future__ import annotations

import math

from torch import Tensor, nn

from segdemo import ambient
from segdemo.activations import capture, short_key
from segdemo.errors import InputError
from segdemo.networks.network import Stage
from segdemo.outputs import forwarding

FEWEST, MOST = 4, 30  # boxes of a figure


def stages_of(module: nn.Module, batch: Tensor, title: str) -> tuple[Stage, ...]:
    """Return the parts of a network that run, as a chain.

    Args:
        module: the network.
        batch: what it is given.
        title: of the network, for sentences.

    Raises:
        InputError: ``network_empty``: there is nothing to look at in it.
    """
    names = _parts(module)
    with (
        ambient.passing(module),
        capture(module, names, reduce=lambda tensor: tuple(tensor.shape)) as seen,
        forwarding(module, batch, title),
    ):
        module(batch)
    every = [name for name, _ in module.named_modules() if name]
    shapes = {short_key(key, every): shape for key, shape in seen.items() if len(shape) in (2, 3, 4)}
    if not shapes:
        raise InputError(
            "network_empty",
            "{network} has no parts that run as modules: there is nothing to look at inside it. Build it of "
            "torch.nn.Module parts.",
            network=title,
        )
    side = max(batch.shape[2:])
    stages: list[Stage] = []
    for layer, shape in list(shapes.items())[:MOST]:
        reduction = max(1, side / max(shape[2:])) if len(shape) == 4 else 2 ** (stages[-1].row if stages else 0)
        inputs = (stages[-1].label,) if stages else ()
        stages.append(Stage(layer, layer, round(math.log2(reduction)), len(stages), inputs))
    return tuple(stages)


def _parts(module: nn.Module) -> list[str]:
    """Return the names of a network's parts, opened from the top until there are enough of them."""
    names = [name for name, _ in module.named_children()]
    while 0 < len(names) < FEWEST:
        opened = [
            part
            for name in names
            for part in [f"{name}.{inner}" for inner, _ in module.get_submodule(name).named_children()] or [name]
        ]
        if opened == names or len(opened) > MOST:
            break
        names = opened
    return names[:MOST]
