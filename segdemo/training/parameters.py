"""Which parameters learn, and how fast."""

from __future__ import annotations

from typing import Any

from torch import nn

from segdemo.errors import InputError
from segdemo.training.settings import Settings


def freeze(network: nn.Module, names: tuple[str, ...]) -> None:
    """Let nothing in the named modules learn.

    Raises:
        InputError: the network has no such module.
    """
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            raise InputError(
                "freeze_unknown",
                "The network has no module {name}. Modules to keep as they are, are named as in `segdemo layers`. "
                "Its outermost ones are {modules}.",
                name=name,
                modules=", ".join(child for child, _ in network.named_children()),
            )
        modules[name].requires_grad_(False)


def sort_parameters(network: nn.Module, settings: Settings, started: frozenset[str]) -> list[dict[str, Any]]:
    """Sort the parameters by how fast they learn, and by whether they are kernels, which alone decay.

    Args:
        network: frozen parameters are left out.
        settings: say by how much they decay, and how fast those learn that have learned before.
        started: names of the tensors that have learned before.

    Returns:
        Groups as an optimiser of PyTorch takes them; ``share`` is the group's share of the learning rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            share = settings.started_rate if name in started else 1.0
            decay = settings.decay if parameter.ndim > 1 else 0.0
            groups.setdefault((share, decay), []).append(parameter)
    return [{"params": found, "share": share, "weight_decay": decay} for (share, decay), found in groups.items()]
