"""What a careless hook records, beside what the layer really put out.

A hook that keeps ``output.detach()`` keeps a view: the next layer that works in place overwrites it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.follow import following
from segdemo.images import place

NAIVE = "layer.register_forward_hook(lambda module, inputs, output: kept.append(output.detach()))"
HONEST = "layer.register_forward_hook(lambda module, inputs, output: kept.append(output.detach().clone()))"


@dataclass(frozen=True)
class Overwritten:
    """A layer whose output a later layer overwrites.

    Args:
        layer: dotted name.
        kind: the module's class, for example ``"BatchNorm2d"``.
    """

    layer: str
    kind: str


@dataclass(frozen=True)
class HookCount:
    """How many layers of a network a careless hook gets wrong.

    Args:
        layers: how many layers put out a tensor of their own; parts that only hand on what their last part put out
            count as well, as a hook can be hung on each.
        overwritten: those whose output a later layer overwrites in place, in order of finishing.
    """

    layers: int
    overwritten: tuple[Overwritten, ...]


@dataclass(frozen=True)
class HookFacts:
    """What a careless hook records of one layer, and the truth.

    Args:
        layer: dotted name.
        kind: the module's class.
        truth: float32, what the layer put out, without the batch dimension.
        naive: float32, what is left of it after the pass in what a careless hook kept.
        wrong: share of the values that differ, in [0, 1].
        by: the layer that overwrote it, by dotted name; None where nothing did, or no module.
    """

    layer: str
    kind: str
    truth: np.ndarray
    naive: np.ndarray
    wrong: float
    by: str | None

    @property
    def lies(self) -> bool:
        """Whether the careless hook shows anything else than the truth."""
        return self.wrong > 0


@dataclass(frozen=True)
class NaiveHooks(Question):
    """Count the layers of a network that a careless hook gets wrong; no value is computed for it.

    Args:
        network: its name.
        size: input size in pixels; None takes the network's own.
        step: has no influence; every question about a network has one.
    """

    network: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> HookCount:
        """Run the network without values, and see which outputs were written to afterwards."""
        rule = bench.spec.preprocessing
        width, height = place((bench.size, bench.size), rule, bench.size).padded
        return count_of(bench.module, height, width, rule.channels)


@dataclass(frozen=True)
class HonestHook(Question):
    """Record one layer with a careless hook and with an honest one, in the same pass.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layer: label of a stage, or dotted name of a module; its first call counts.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    layer: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> HookFacts:
        """Run the network once."""
        asked = replace(self, layer=bench.opened.layer_of(self.layer), size=bench.size)
        if asked != self:
            return bench.answer(asked)
        return facts_of_hook(bench.module, bench.batch, self.layer.partition(":")[0].partition("[")[0])


def count_of(network: nn.Module, height: int, width: int, channels: int = 3) -> HookCount:
    """Count the layers whose output is overwritten before the pass is over.

    Args:
        network: in evaluation mode; it is left as it is.
        height: of the batch, pixels.
        width: of the batch, pixels.
        channels: of the batch.
    """
    modules = dict(network.named_modules())
    kept: dict[str, tuple[Tensor, int]] = {}

    def keep(tensor: Tensor) -> tuple[Tensor, int]:
        return tensor, tensor._version

    names = [name for name, module in modules.items() if name and not isinstance(module, torch.jit.ScriptModule)]
    with following(height, width, channels) as (_, batch), capture(network, names, reduce=keep) as seen:
        try:
            network(batch)
        except Exception as error:  # code of a stranger, run without values
            raise InputError(
                "hooks_not_counted",
                "The layers of this network cannot be counted: it does not run without values ({reason}). Ask about "
                "one layer at a time.",
                reason=f"{type(error).__name__}: {error}"[:200],
            ) from error
        for key, value in seen.items():
            kept.setdefault(seen._spoken[key].name, value)
    wrong = [name for name, (tensor, version) in kept.items() if tensor._version != version]
    return HookCount(len(kept), tuple(Overwritten(name, type(modules[name]).__name__) for name in wrong))


def facts_of_hook(network: nn.Module, batch: Tensor, layer: str) -> HookFacts:
    """Record a layer both ways in one pass.

    Args:
        network: in evaluation mode.
        batch: (1, C, H, W) float32.
        layer: dotted name.

    Raises:
        InputError: ``layer_silent``: it put out no tensor in this pass; ``hook_operation``: it is no module.
    """
    modules = dict(network.named_modules())
    if layer not in modules:
        raise InputError(
            "hook_operation",
            "{layer!r} is an operation between modules, on which no hook can be hung. Choose a module.",
            layer=layer,
        )
    naive: list[Tensor] = []
    truths: list[Tensor] = []
    by: list[str] = []

    def keep(tensor: Tensor) -> None:
        if not naive:
            naive.append(tensor.detach())
            truths.append(tensor.detach().clone())

    def look(key: str) -> None:
        name = seen._spoken[key].name
        related = name == layer or name.startswith(f"{layer}.") or layer.startswith(f"{name}.")
        if naive and not by and not related and not torch.equal(naive[0].nan_to_num(), truths[0].nan_to_num()):
            by.append(name)

    scripted = torch.jit.ScriptModule  # takes no hooks
    leaves = [
        n for n, module in modules.items() if n and not isinstance(module, scripted) and not any(module.children())
    ]
    with capture(network, [layer], reduce=keep), capture(network, leaves, reduce=lambda _: None, after=look) as seen:
        network(batch)
    if not naive:
        raise InputError(
            "layer_silent",
            "The layer {layer!r} put out no tensor in this pass, which recorded {recorded}. Choose one that runs.",
            layer=layer,
            recorded="nothing of it",
        )
    truth, left = truths[0], naive[0]
    differ = ~((truth == left) | (truth.isnan() & left.isnan()))
    return HookFacts(
        layer=layer,
        kind=type(modules[layer]).__name__,
        truth=_array(truth),
        naive=_array(left),
        wrong=float(differ.double().mean()),
        by=by[0] if by else None,
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor[0].float().contiguous().cpu().clone().numpy()
