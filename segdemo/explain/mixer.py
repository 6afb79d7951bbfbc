"""What if a layer, or a skip connection, were louder, silent, noise? The mask that follows, and what changed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from segdemo import activations
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.evidence import cells_of
from segdemo.hooks import hooked
from segdemo.leaves import leaves
from segdemo.networks import Network
from segdemo.predictions import maps_on_picture, predict, reading_of
from segdemo.questions import Run
from segdemo.results import Result
from segdemo.traced import drawn, trace_of

LOUDEST = 2.0  # the greatest factor
Kind = Literal["factor", "mean", "noise"]


@dataclass(frozen=True)
class Change:
    """What one layer, or one skip connection, shall put out instead.

    Args:
        layer: label of a stage, or dotted name of a module.
        into: label of the stage that the layer reaches over a skip connection: then what arrives there changes alone.
            None changes what the layer puts out, wherever it goes.
        factor: what it is multiplied with, in [0, 2].
        channels: those that change; empty for all.
        instead: ``"factor"``; ``"mean"``: each channel's own mean, times the factor; ``"noise"``: normal noise with the
            mean and the standard deviation of each channel, times the factor.
        seed: of the noise.
    """

    layer: str
    into: str | None = None
    factor: float = 1.0
    channels: tuple[int, ...] = ()
    instead: Kind = "factor"
    seed: int = 0


@dataclass(frozen=True)
class Mixed:
    """A run in which something was changed.

    Args:
        result: as of any run, without summaries of layers.
        before: the same of the unchanged network.
        changed: (H, W) bool, the pixels that have another class than before.
    """

    result: Result
    before: Result
    changed: np.ndarray

    @property
    def percent(self) -> float:
        """Share of the pixels that have another class than before, in [0, 100]."""
        return 100 * float(self.changed.mean())

    @property
    def shares(self) -> tuple[tuple[str, float, float], ...]:
        """Name of each class with its share before and after, in percent."""
        pairs = zip(self.before.classes, self.result.classes, strict=True)
        return tuple((one.name, one.percent, other.percent) for one, other in pairs)


@dataclass(frozen=True)
class Mix(Question):
    """Run a network with some layers or skip connections changed.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        changes: what is changed; of a layer that several name, one after the other.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    changes: tuple[Change, ...]
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Mixed:
        """Run the changed network.

        Raises:
            InputError: no such layer, channel or skip connection, or a factor out of range.
        """
        if self.size is None:
            return bench.answer(replace(self, size=bench.size))
        before: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        with mixing(bench, self.changes), activations.capture(bench.module, [], before=bench.check):
            prediction = predict(
                bench.module, bench.spec.preprocessing, bench.picture, self.size, reading=reading_of(bench.spec)
            )
        after = prediction.result(bench.spec, trained=bench.opened.trained, step=self.step)
        return Mixed(after, before, after.mask != before.mask)


@dataclass(frozen=True)
class Skip:
    """A skip connection.

    Args:
        source: label of the stage that it comes from.
        into: label of the stage that it goes to.
        layer: dotted name of the source.
        joins: dotted names of the modules that take it in.
    """

    source: str
    into: str
    layer: str
    joins: tuple[str, ...]


def skips_of(spec: Network) -> tuple[Skip, ...]:
    """Return the skip connections of a network's figure."""
    stages = spec.stages if spec.weights == "given" else drawn(spec, trace_of(spec)).stages
    layers = {stage.label: stage.layer for stage in stages}
    return tuple(
        Skip(source, stage.label, layers[source], (stage.layer, *(inner.layer for inner in stage.inside)))
        for stage in stages
        for source in stage.skips
        if source in layers
    )


@contextmanager
def mixing(bench: Bench, changes: tuple[Change, ...]) -> Iterator[None]:
    """Change what layers put out as long as the block lasts.

    Args:
        bench: has the network.
        changes: as in :class:`Mix`.

    Raises:
        InputError: as :class:`Mix` says; a skip connection that nobody took in is refused when the block ends.
    """
    outputs: dict[str, list[Change]] = {}
    with ExitStack() as stack:
        for change in changes:
            _check(change)
            layer = bench.opened.layer_of(change.layer)
            if change.into is None:
                outputs.setdefault(layer, []).append(change)
            else:
                stack.enter_context(_skipping(bench, layer, change))
        wanted: dict[str | nn.Module, activations.Replacement] = {
            layer: partial(_one_after_the_other, of_one) for layer, of_one in outputs.items()
        }
        stack.enter_context(activations.replace(bench.module, wanted))
        yield


def _check(change: Change) -> None:
    if not 0 <= change.factor <= LOUDEST:  # also refuses what is no number
        raise InputError(
            "factor_range",
            "A layer can be turned down to 0 or up to {loudest}, and {came} came. Give a factor between.",
            loudest=LOUDEST,
            came=change.factor,
        )
    if change.instead not in ("factor", "mean", "noise"):
        raise InputError(
            "change_kind",
            "A layer can be changed by “factor”, “mean” or “noise”, and {came} came. Give one of these.",
            came=repr(change.instead),
        )


def _one_after_the_other(changes: list[Change], output: Any) -> Any:
    for change in changes:
        output = changed(output, change)
    return output


def changed(output: Any, change: Change) -> Tensor:
    """Return what is put out instead of one tensor.

    Args:
        output: what the layer put out, (B, C, …).
        change: what becomes of it.

    Raises:
        InputError: it is no tensor with channels, or has no such channel.
    """
    if not isinstance(output, Tensor) or output.dim() < 2:
        raise InputError(
            "change_no_channels",
            "The layer {layer!r} puts out no maps with channels, so it cannot be mixed. Choose another layer.",
            layer=change.layer,
        )
    wrong = [channel for channel in change.channels if not 0 <= channel < output.shape[1]]
    if wrong:
        raise InputError(
            "unknown_channel",
            "{layer} has no channel {channel}; its channels are 0 to {last}.",
            layer=change.layer,
            channel=wrong[0],
            last=output.shape[1] - 1,
        )
    if change.factor == 1 and change.instead == "factor":
        return output
    made = _made(output, change) * change.factor
    if not change.channels:
        return made
    chosen = torch.zeros(output.shape[1], dtype=torch.bool, device=output.device)
    chosen[list(change.channels)] = True
    return torch.where(chosen.view(1, -1, *[1] * (output.dim() - 2)), made, output)


def _made(output: Tensor, change: Change) -> Tensor:
    """Return what the factor multiplies."""
    if change.instead == "factor":
        return output
    over = tuple(range(2, output.dim()))
    mean = output.mean(over, keepdim=True) if over else output.mean(1, keepdim=True)
    if change.instead == "mean":
        return mean.expand_as(output)
    spread = output.std(over, keepdim=True, correction=0) if over else output.std(1, keepdim=True, correction=0)
    generator = torch.Generator().manual_seed(change.seed)
    noise = torch.randn(output.shape, generator=generator).to(output.device)
    return (mean + spread * noise).to(output.dtype)


@contextmanager
def _skipping(bench: Bench, layer: str, change: Change) -> Iterator[None]:
    """Change what arrives over one skip connection, and only that."""
    known = skips_of(bench.spec)
    skip = next((skip for skip in known if skip.layer == layer and skip.into == change.into), None)
    if skip is None:
        raise InputError(
            "unknown_skip",
            "{network} has no skip connection from {source!r} to {into!r}; it has {skips}.",
            network=bench.spec.title,
            source=change.layer,
            into=change.into,
            skips=", ".join(f"{one.source} → {one.into}" for one in known) or "none",
        )
    source: list[Tensor] = []
    done: list[str] = []

    def put_out(module: nn.Module, inputs: Any, output: Any) -> None:
        source[:] = [tensor for _, tensor in leaves(output)]

    def taken_in(name: str, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if not any(value is tensor for value in (*inputs, *keywords.values()) for tensor in source):
            return None
        done.append(name)

        def new(value: Any) -> Any:
            return changed(value, change) if any(value is tensor for tensor in source) else value

        return tuple(map(new, inputs)), {key: new(value) for key, value in keywords.items()}

    modules = dict(bench.module.named_modules())
    with ExitStack() as stack:
        stack.enter_context(hooked(modules[layer], modules[layer].register_forward_hook, put_out))
        for name in skip.joins:
            register: Callable[..., Any] = partial(modules[name].register_forward_pre_hook, with_kwargs=True)
            stack.enter_context(hooked(modules[name], register, partial(taken_in, name), changes=True))
        yield
    if not done:
        raise InputError(
            "skip_not_found",
            "What goes from {source} to {into} is not handed over as it was put out, so it cannot be turned up or "
            "down alone. Change the stage itself.",
            source=skip.source,
            into=skip.into,
        )


@dataclass(frozen=True)
class ChannelRank:
    """How much a class lost when one channel was silent.

    Args:
        channel: its number.
        loss: mean logit of the class before less that after, over the places asked about; above 0 the channel speaks
            for the class.
        changed: share of the picture's pixels with another class than before, in [0, 100].
    """

    channel: int
    loss: float
    changed: float


@dataclass(frozen=True)
class Ablation(Question):
    """Silence each channel of a layer in turn, and see how much a class loses: one pass for each channel.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layer: label of a stage, or dotted name of a module.
        name: of the class; the places asked about are those where the unchanged mask has it.
        channels: those to silence; empty for all.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    layer: str
    name: str
    channels: tuple[int, ...] = ()
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> tuple[ChannelRank, ...]:
        """Return the channels, the one that matters most for the class first.

        Raises:
            InputError: no such layer or class, or the class is nowhere in the mask.
        """
        asked = replace(self, layer=bench.opened.layer_of(self.layer), size=bench.size)
        if asked != self:
            return bench.answer(asked)
        before: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        index, cells = _places(before, self.name)
        put_out = activations.run_until(bench.module, bench.batch, self.layer, bench.check)
        asked_for = self.channels or tuple(range(put_out.shape[1]))
        first = torch.from_numpy(before.logits.copy())
        classes, mean = first.argmax(0), float(first[index][cells].mean())
        ranks = []
        for done, channel in enumerate(asked_for):
            bench.report(done, len(asked_for))
            with mixing(bench, (Change(self.layer, factor=0.0, channels=(channel,)),)), _checked(bench):
                returned = bench.module(bench.batch)
            logits = maps_on_picture(returned, bench.batch, bench.placement, bench.spec)[0].float().cpu()
            other = float((logits.argmax(0) != classes).float().mean())
            ranks.append(ChannelRank(channel, mean - float(logits[index][cells].mean()), 100 * other))
        return tuple(sorted(ranks, key=lambda rank: -rank.loss))


@contextmanager
def _checked(bench: Bench) -> Iterator[None]:
    """Stop before the next layer if nobody waits any more."""
    with activations.capture(bench.module, [], before=bench.check):
        yield


def _places(before: Result, name: str) -> tuple[int, Tensor]:
    """Return the index of a class, and where the logits' maps have it, (h, w) bool."""
    if name not in before.names:
        before.probability(name)  # refuses it, and names those that there are
    index = before.names.index(name)
    there = before.mask == index
    if before.task != "classification" and not there.any():
        raise InputError(
            "class_nowhere",
            "“{name}” is nowhere in this mask, so there is nothing to explain. Choose a class that is in the picture, "
            "or ask about a pixel or a region.",
            name=name,
        )
    if before.task == "classification":
        return index, torch.ones(1, 1, dtype=torch.bool)
    return index, torch.from_numpy(cells_of(there, (before.logits.shape[2], before.logits.shape[1])))
