"""A network with its weights, as an engine holds it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import torch
from torch import nn

from segdemo import ambient, checkpoints, official
from segdemo.activations import names_of, short_key
from segdemo.calls import operation_of
from segdemo.errors import InputError
from segdemo.hooks import foreign_hooks, is_changed
from segdemo.leaves import parse
from segdemo.networks import Network


@dataclass(frozen=True, eq=False)
class Opened:
    """A network with its weights.

    Args:
        spec: what is known of it.
        step: of the training that the weights are from, None at its end.
        module: in evaluation mode, unless somebody changed it.
        trained: False when the weights are random.
        fingerprint: of the module as it was made; see :meth:`changed`.
        hooks: those that its author had hung on it before.
        twins: copies with the same weights, by the place that has each.
    """

    spec: Network
    step: int | None
    module: nn.Module
    trained: bool
    fingerprint: tuple[object, ...] = ()
    hooks: frozenset[int] = frozenset()
    twins: dict[int, Opened] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory the weights take, in bytes."""
        return sum(tensor.nbytes for tensor in (*self.module.parameters(), *self.module.buffers()))

    @property
    def changed(self) -> bool:
        """Whether somebody changed modules or weights, or hung something on it that changes what it puts out."""
        return self.fingerprint != fingerprint_of(self.module) or is_changed(bare(self.module), self.hooks)

    def twin(self, place: int) -> Opened:
        """Return the network with modules of its own, on which others hang nothing, and the same weights.

        Args:
            place: of who has this twin alone.
        """
        if place not in self.twins:
            weights = (*self.module.parameters(), *self.module.buffers())
            module = copy.deepcopy(self.module, {id(tensor): tensor for tensor in weights})
            self.twins[place] = replace(self, module=module, fingerprint=fingerprint_of(module), twins={})
        return replace(self.twins[place], spec=self.spec)

    def layer_of(self, layer: str | nn.Module) -> str:
        """Return the dotted name for a stage's label, or for itself if it is one, as questions name layers.

        Args:
            layer: label, dotted name, name of an operation such as ``"up1.cat"``, or the module itself.

        Raises:
            InputError: none of them in this network; the text names the nearest.
        """
        stages = {stage.label: stage.layer for stage in self.spec.every_stage()}
        if isinstance(layer, str) and layer in stages:
            return stages[layer]
        network = bare(self.module)
        modules = [name for name, _ in network.named_modules() if name]
        if isinstance(layer, nn.Module):
            (layer,) = names_of(dict(network.named_modules()), layer)
        operation = operation_of(layer, dict(network.named_modules())) if isinstance(layer, str) else None
        if isinstance(layer, str) and operation is not None and parse(layer, modules) is None:
            return short_key(layer, [*modules, operation.name])
        if not isinstance(layer, str) or parse(layer, modules) is None:
            nearest = get_close_matches(str(layer), [*stages, *modules], n=4, cutoff=0.3)
            raise InputError(
                "unknown_stage",
                "{network} has no stage or layer called {layer!r}; the nearest are {nearest}.",
                network=self.spec.title,
                layer=layer,
                nearest=", ".join(nearest or [*stages][:4]),
            )
        return short_key(layer, modules)


def open_network(spec: Network, step: int | None = None, device: torch.device | None = None) -> Opened:
    """Build a network and load its weights.

    Args:
        spec: what is known of it.
        step: take the weights as they were at this step of the training, for networks with snapshots.
        device: where it computes; None is the CPU. A network that was given stays where it is.

    Raises:
        InputError: no such step, or its checkpoint is missing or altered.
    """
    if spec.weights == "given":  # somebody else's: it is left as it is
        checkpoints.sha256_of(spec, step)
        module = spec.build(len(spec.classes))
        return Opened(spec, step, module, True, fingerprint_of(module), foreign_hooks(bare(module)))
    with ambient.making():
        with ambient.drawing(seed=0):  # an untrained network, too, shows everybody the same
            module = spec.build(len(spec.classes)).eval()
        module.to(memory_format=torch.channels_last)  # a third faster
        if spec.weights == "official":
            official.load(module, spec)
            trained = True
        else:
            trained = checkpoints.load(module, spec, step) and step != 0  # at step 0 the weights are random
        if device is not None:
            module.to(device)
    return Opened(spec, step, module, trained, fingerprint_of(module))


def bare(network: nn.Module) -> nn.Module:
    """Return the network that was compiled, if one was: to look inside, it has to run as it was."""
    inner = getattr(network, "_orig_mod", network)
    return inner if isinstance(inner, nn.Module) else network


def hollow_copy(network: nn.Module) -> nn.Module | None:
    """Return a copy whose weights have no values and take no memory, None of a network that cannot be copied."""
    network = bare(network)
    with torch.inference_mode(False), torch.no_grad():
        hollow: dict[int, object] = {
            id(tensor): nn.Parameter(torch.empty_like(tensor, device="meta"), tensor.requires_grad)
            for tensor in network.parameters()
        }
        hollow |= {id(tensor): torch.empty_like(tensor, device="meta") for tensor in network.buffers()}
        try:
            copied: nn.Module = copy.deepcopy(network, hollow)
        except Exception:  # code of a stranger
            return None
    return copied.eval()


def fingerprint_of(network: nn.Module) -> tuple[object, ...]:
    """Return what changes when somebody changes a network's modules or weights, in place or not."""
    network = bare(network)
    tensors = (*network.parameters(), *network.buffers())
    versions = ((tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version) for tensor in tensors)
    return (*map(id, network.modules()), *versions)
