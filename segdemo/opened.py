"""A network with its weights, as an engine holds it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import nn

from segdemo import checkpoints
from segdemo.activations import KEY, short_key
from segdemo.errors import InputError
from segdemo.networks import NetworkSpec


@dataclass(frozen=True, eq=False)
class Opened:
    """A network with its weights.

    Args:
        spec: what is known of it.
        step: of the training that the weights are from, None at its end.
        module: in evaluation mode.
        trained: False when the weights are random.
    """

    spec: NetworkSpec
    step: int | None
    module: nn.Module
    trained: bool

    @property
    def nbytes(self) -> int:
        """Memory the weights take, in bytes."""
        return sum(tensor.nbytes for tensor in (*self.module.parameters(), *self.module.buffers()))

    def layer_of(self, layer: str) -> str:
        """Return the dotted name for a stage's label, or for itself if it is one, as questions name layers.

        Raises:
            InputError: neither a stage nor a module of this network; the text names the nearest.
        """
        stages = {stage.label: stage.layer for stage in self.spec.every_stage()}
        if layer in stages:
            return stages[layer]
        match = KEY.fullmatch(layer)
        modules = [name for name, _ in self.module.named_modules() if name]
        if match is None or match["name"] not in modules:
            raise InputError(
                "unknown_stage",
                "{network} has no stage or layer called {layer!r}; the nearest are {nearest}.",
                network=self.spec.title,
                layer=layer,
                nearest=", ".join(get_close_matches(layer, [*stages, *modules], n=4, cutoff=0.3) or [*stages][:4]),
            )
        return short_key(layer)


def open_network(spec: NetworkSpec, step: int | None = None) -> Opened:
    """Build a network and load its weights.

    Args:
        spec: what is known of it.
        step: take the weights as they were at this step of the training, for networks with snapshots.

    Raises:
        InputError: no such step, or its checkpoint is missing or altered.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # an untrained network, too, shows everybody the same
        module = spec.build(len(spec.classes)).eval()
    trained = checkpoints.load(module, spec, step) and step != 0  # at step 0 the weights are random
    return Opened(spec, step, module, trained)
