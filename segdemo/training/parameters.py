"""Which parameters learn, and how fast."""

from __future__ import annotations

from typing import Any

import torch
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


def learning_mode(learner: nn.Module, network: nn.Module, frozen: tuple[str, ...]) -> None:
    """Let batch normalisation learn, but not in modules that are frozen.

    Args:
        learner: the network, or what wraps it.
        network: itself.
        frozen: names of its modules that do not learn.
    """
    learner.train()
    for name in frozen:
        network.get_submodule(name).eval()


def check_batch(network: nn.Module, settings: Settings, pictures: int) -> None:
    """Refuse steps in which batch normalisation would see a single value, whose spread is nothing.

    Args:
        network: frozen already; left as it was.
        settings: have the sizes of the pictures.
        pictures: in a step of one process.

    Raises:
        InputError: one picture of a size is too little.
    """
    if pictures > 1:
        return
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    device = next(network.parameters()).device
    learning_mode(network, network, settings.freeze)
    try:
        for side in sorted(set(settings.sides)):
            with torch.no_grad():
                network(torch.zeros(1, 3, side, side, device=device))
    except ValueError as error:  # "Expected more than 1 value per channel when training"
        raise InputError(
            "train_batch_one",
            "A step of one picture of {side} pixels leaves batch normalisation a single value to normalise. Every "
            "process needs at least two pictures in a step. Raise --batch, give more pictures, or freeze the module.",
            side=side,
        ) from error
    finally:
        network.load_state_dict(own)


def optimiser_for(network: nn.Module, settings: Settings, started: frozenset[str]) -> torch.optim.Optimizer:
    """Freeze what is not to learn, and make the optimiser of the rest.

    Raises:
        InputError: the network has no such module, or nothing is left that learns.
    """
    freeze(network, settings.freeze)
    groups = sort_parameters(network, settings, started)
    if not groups:
        raise InputError(
            "freeze_all",
            "With {modules} frozen nothing in the network is left that learns. Name fewer modules with --freeze.",
            modules=", ".join(settings.freeze),
        )
    return torch.optim.AdamW(groups, lr=settings.lr)


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
            share = settings.started_lr if name in started else 1.0
            decay = settings.decay if parameter.ndim > 1 else 0.0
            groups.setdefault((share, decay), []).append(parameter)
    return [{"params": found, "share": share, "weight_decay": decay} for (share, decay), found in groups.items()]
