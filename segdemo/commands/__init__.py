"""What the commands of the command line do, each given the arguments that ``__main__`` read."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from segdemo.commands.evaluate import score
from segdemo.commands.layers import layers
from segdemo.commands.networks import networks
from segdemo.commands.segment import segment


def train(arguments: Namespace) -> int:
    """Train a network; returns when its budget is used, or when it is interrupted."""
    from segdemo.training.command import train as run

    return run(arguments)


def app(arguments: Namespace) -> int:
    """Start the page; returns when it is stopped."""
    from segdemo.ui import launch

    launch()
    return 0


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "segment": segment,
    "layers": layers,
    "networks": networks,
    "evaluate": score,
    "train": train,
    "app": app,
}
