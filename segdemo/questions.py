"""What can be asked of every network: a run, what a layer put out, which layers and which networks there are."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from segdemo import ambient, needs
from segdemo.activations import capture, run_until
from segdemo.boxes import operations_between
from segdemo.calls import operation_of
from segdemo.checkpoints import Report as Report
from segdemo.checkpoints import card_of, measured_of, shipped
from segdemo.engine import Bench, Engine, Question
from segdemo.errors import InputError
from segdemo.figure import Figure as Figure
from segdemo.images import Placement, place, whole
from segdemo.leaves import parse
from segdemo.networks import DEFAULT as DEFAULT
from segdemo.networks import Network, Preprocessing, find
from segdemo.outputs import forwarding, laid_out, laid_out_shape
from segdemo.pictures import read_picture
from segdemo.predictions import predict, reading_of
from segdemo.private import is_private
from segdemo.randomness import Randomness as Randomness
from segdemo.randomness import randomness
from segdemo.results import LayerInfo, Measured, NetworkFacts, Result, maps_of
from segdemo.sources import OFFERED as OFFERED
from segdemo.summaries import Preview, Summary, preview, summarise
from segdemo.trace import Trace
from segdemo.traced import drawn, trace_module, trace_of


@dataclass(frozen=True)
class Run(Question):
    """Segment a picture, and summarise what every stage put out, in one forward pass.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Result:
        """Run the network; maps of the result are in the picture's own size."""
        if self.size is None:
            return bench.answer(replace(self, size=bench.size))
        spec, picture = bench.spec, bench.picture
        placement = place(picture.size, spec.preprocessing, self.size)
        if spec.foreign:
            width, height = placement.padded
            needs.check(bench.module, (1, spec.preprocessing.channels, height, width), spec.title)
        outer = {stage.layer: stage.label for stage in spec.stages}
        inner = {stage.layer: stage.label for stage in spec.every_stage() if stage.layer not in outer}
        total, done = sum(1 for _ in bench.module.modules()), 0

        def before() -> None:
            nonlocal done
            bench.check()
            done += 1
            bench.report(min(done, total), total)

        with (
            capture(
                bench.module, _points(bench, outer), reduce=partial(_summarised, placement, spec), before=before
            ) as layers,
            capture(bench.module, _points(bench, inner), reduce=partial(_previewed, placement, spec)) as previews,
        ):
            prediction = predict(bench.module, spec.preprocessing, picture, self.size, reading=reading_of(spec))
        return prediction.result(
            spec,
            trained=bench.opened.trained,
            step=self.step,
            layers=_by_label(layers, outer),
            previews=_by_label(previews, inner),
        )


@dataclass(frozen=True)
class Frame(Question):
    """Segment one frame of a film, and summarise what one stage put out. It is not kept, and neither is the answer.

    Args:
        network: its name.
        jpeg: the frame, as a file of a picture.
        size: input size in pixels; None takes the network's own.
        stage: label of the stage; None summarises none.
        step: of the training, for networks with snapshots; None is its end.
    """

    memory = "nothing"

    network: str
    jpeg: bytes = field(repr=False)
    size: int | None = None
    stage: str | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Result:
        """Run the network; maps of the result are in the frame's own size.

        Raises:
            InputError: the frame is no picture; no stage is called so.
        """
        spec = bench.spec
        picture = read_picture(io.BytesIO(self.jpeg)).picture
        placement = place(picture.size, spec.preprocessing, bench.size)
        stages = {bench.opened.layer_of(self.stage): self.stage} if self.stage else {}
        reduce = partial(_summarised, placement, spec)
        with capture(bench.module, _points(bench, stages), reduce=reduce, before=bench.check) as seen:
            prediction = predict(bench.module, spec.preprocessing, picture, bench.size, reading=reading_of(spec))
        return prediction.result(spec, trained=bench.opened.trained, step=self.step, layers=_by_label(seen, stages))


@dataclass(frozen=True)
class Activation(Question):
    """Ask for exactly what a layer put out, running the network no further than that.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layer: label of a stage, or dotted name of a module, ``"name:2"`` for its second call.
        channel: one channel, or None for all.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
        maps: of a network that was given, see tokens (N, C), and maps with channels last, as (C, h, w), without tokens
            that have no place in the picture.
    """

    network: str
    picture: str
    layer: str
    channel: int | None = None
    size: int | None = None
    step: int | None = None
    maps: bool = False

    def answer(self, bench: Bench) -> np.ndarray:
        """Return float32, (h, w) for one channel, else the activation without the batch dimension."""
        asked = replace(self, layer=bench.opened.layer_of(self.layer), size=bench.size, channel=None, maps=False)
        if self.channel is not None or self.maps:
            values = bench.answer(asked)
            if self.maps and bench.spec.foreign:
                values = laid_out(torch.from_numpy(values.copy())[None], _sides(bench.placement))[0].numpy()
            return values if self.channel is None else channel_of(values, self.channel, self.layer)
        if asked != self:
            return bench.answer(asked)
        with forwarding(bench.module, bench.batch, bench.spec.title):
            values = run_until(bench.module, bench.batch, self.layer, bench.check)
        return values[0].float().contiguous().cpu().numpy()


@dataclass(frozen=True)
class LayerSummary(Question):
    """Ask for the summary of any layer, as a run has it for the stages of the figure.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layer: as for :class:`Activation`.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    layer: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Summary:
        """Summarise the layer's activation."""
        values = bench.answer(Activation(self.network, self.picture, self.layer, None, self.size, self.step))
        return _summarised(bench.placement, bench.spec, torch.from_numpy(values.copy())[None])


@dataclass(frozen=True)
class Summaries(Question):
    """Ask for the summaries of several layers, in one pass.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layers: dotted names of modules and names of operations, as figures name them.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    layers: tuple[str, ...]
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Mapping[str, Summary]:
        """Summarise what each layer puts out, by its name; those that do not run are left out."""
        reduce = partial(_summarised, bench.placement, bench.spec)
        points = _points(bench, self.layers)
        with (
            forwarding(bench.module, bench.batch, bench.spec.title),
            capture(bench.module, points, reduce=reduce, before=bench.check) as seen,
        ):
            bench.module(bench.batch)
        return _by_label(seen, {layer: layer for layer in self.layers})


@dataclass(frozen=True)
class ChannelScores(Question):
    """Ask how much each channel of a layer has to do with a point of the picture.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layer: as for :class:`Activation`.
        by: ``"point"``: the value there, in absolute terms. ``"class"``: the mean over the class that the mask has at
            the point, less the mean over all other classes, in standard deviations of the channel; the means and the
            deviation are over the map's values whose middles lie in the picture, each of the class that the mask has
            under its middle. 0 where a channel does not vary.
        point: (x, y) of a pixel of the picture.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    layer: str
    by: Literal["point", "class"]
    point: tuple[int, int]
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> np.ndarray:
        """Return one score for each channel, (C,) float64; NaN where values are not finite.

        Raises:
            InputError: ``point_outside``; ``class_everywhere`` where there is nothing to compare a class with.
        """
        asked = Activation(self.network, self.picture, self.layer, None, self.size, self.step, maps=True)
        maps = maps_of(bench.answer(asked))
        result = bench.answer(Run(self.network, self.picture, bench.size, self.step))
        size = maps.shape[2], maps.shape[1]
        index = result.class_at(self.point)
        if self.by == "point":
            column, row = result.placement.cell_at(self.point, size)
            return np.abs(maps[:, row, column].astype(np.float64))
        x, y = result.placement.pixels_under(size)
        inside = result.mask[np.ix_(y, x)] == index
        if inside.all() or not inside.any():
            raise InputError(
                "class_everywhere",
                "“{name}” takes every value of these maps, or none: there is nothing to compare it with. Pin a point "
                "in another class, or rank the channels by something else.",
                name=result.names[index],
            )
        values = maps[:, : len(y), : len(x)].astype(np.float64)
        with np.errstate(invalid="ignore"):
            apart, spread = values[:, inside].mean(1) - values[:, ~inside].mean(1), values.std((1, 2))
            return np.where(spread == 0, 0, apart / np.where(spread == 0, 1, spread))


@dataclass(frozen=True)
class Layers(Question):
    """Ask for every module call of a network, and the operations between modules, in the order in which they finish.

    Nothing is computed for it.

    Args:
        network: its name.
        size: input size in pixels; None takes the network's own.
        picture_size: (width, height) in pixels of a picture, which decides the shapes; None stands for a square one.
        step: has no influence; every question about a network has one.
    """

    hollow = True

    network: str
    size: int | None = None
    picture_size: tuple[int, int] | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> tuple[LayerInfo, ...]:
        """Trace the network on PyTorch's meta device."""
        spec = bench.spec
        width, height = place(self.picture_size or (bench.size, bench.size), spec.preprocessing, bench.size).padded
        shape = 1, spec.preprocessing.channels, height, width
        given = spec.foreign
        trace = traced_at(bench, shape) if given else trace_of(spec, shape)

        def seen(shape: tuple[int, ...]) -> tuple[int, ...]:
            return laid_out_shape(shape, (height, width)) if given else shape[1:]

        modules = (
            (call.last, LayerInfo(key, call.kind, seen(shape)))
            for call in trace.modules()
            for key, shape in call.shapes
        )
        nodes = ((place + 1, trace.nodes[place]) for place in operations_between(trace))
        operations = ((end, LayerInfo(node.layer, node.function, seen(node.shape), "operation")) for end, node in nodes)
        return tuple(info for _, info in sorted((*operations, *modules), key=lambda ended: ended[0]))


@dataclass(frozen=True)
class Traced(Question):
    """Ask what feeds what in a network: one pass in which nothing is computed, unless that needs values.

    Args:
        network: its name.
        step: of the training, for networks with snapshots; None is its end.
    """

    hollow = True

    network: str
    step: int | None = None

    def answer(self, bench: Bench) -> Trace:
        """Trace the network."""
        spec, rule = bench.spec, bench.spec.preprocessing
        if not spec.foreign and not bench.is_changed:
            return trace_of(spec)
        side = min(rule.sizes)
        try:
            return trace_module(bench.module, _grey(bench.module, rule, (side, side * 4 // 5)), spec.title)
        except (Exception, SystemExit):  # of a stranger's network, which may take squares alone
            return trace_module(bench.module, _grey(bench.module, rule, (side, side)), spec.title)


@dataclass(frozen=True)
class Drawing(Question):
    """Ask for a network as a figure: its stages, where they stand, and what feeds them.

    Args:
        network: its name.
        opened: labels of the boxes to open one level deeper, one after the other.
        step: of the training, for networks with snapshots; None is its end.
    """

    hollow = True

    network: str
    opened: tuple[str, ...] = ()
    step: int | None = None

    def answer(self, bench: Bench) -> Figure:
        """Draw the network from its trace, with the labels that its author chose if there are any.

        Raises:
            InputError: ``unknown_box`` or ``box_closed``, something of ``opened`` cannot be opened.
        """
        return drawn(bench.spec, bench.answer(Traced(self.network, self.step)), self.opened)


@dataclass(frozen=True)
class Catalogue(Question):
    """Ask which networks there are."""

    hollow = True

    def answer(self, bench: Bench) -> tuple[NetworkFacts, ...]:
        """Describe every network of the engine, in the order of its table."""
        return tuple(_facts(spec) for spec in bench.networks.values())


@dataclass(frozen=True)
class Facts(Question):
    """Ask what is known of a network that no menu lists: one of a library, or one that a visitor brought.

    Args:
        network: its name.
        step: has no influence; every question about a network has one.
    """

    network: str
    step: int | None = None

    def answer(self, bench: Bench) -> NetworkFacts:
        """Describe it, under the name by which questions name it."""
        if not is_private(self.network):
            return _facts(bench.spec)
        brought, spec = bench.brought, bench.spec
        title = f"{spec.title} ({brought.file})"
        trained = brought.opened.trained
        return replace(_facts(spec), name=self.network, title=title, trained=trained, random=spec.untrained)


@dataclass(frozen=True)
class WeightsReport(Question):
    """Ask what became of each tensor of a checkpoint that a visitor brought.

    Args:
        network: name of the network that it was loaded into.
        step: has no influence; every question about a network has one.
    """

    network: str
    step: int | None = None

    def answer(self, bench: Bench) -> Checkpoint:
        """Return the report, with what else is known of the file."""
        brought = bench.brought
        return Checkpoint(bench.spec.title, brought.file, brought.others, brought.report)


@dataclass(frozen=True)
class Checkpoint:
    """What became of a checkpoint.

    Args:
        title: of the network that it was loaded into.
        file: what its owner calls it.
        others: titles of other networks that it fits as well.
        report: what became of each tensor.
    """

    title: str
    file: str
    others: tuple[str, ...]
    report: Report


@dataclass(frozen=True)
class RandomLayers(Question):
    """Ask which layers of a network that is trained in part depend on weights that stayed random.

    Args:
        network: its name.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    step: int | None = None

    def answer(self, bench: Bench) -> Randomness:
        """Follow the random weights through the network's trace."""
        if bench.opened.trained:
            return Randomness()
        return randomness(bench.answer(Traced(self.network, self.step)), bench.spec.untrained)


def _points(bench: Bench, layers: Iterable[str]) -> list[str]:
    """Return the modules and operations that stages are of, of which a stage may be one call or one tensor."""
    modules = dict(bench.module.named_modules())
    keys = (parse(layer, modules) or operation_of(layer, modules) for layer in layers)
    return [key.name for key in keys if key is not None]


def _by_label(seen: Mapping[str, Any], stages: Mapping[str, str]) -> dict[str, Any]:
    """Return what was recorded of stages, layer → label; a layer without a number is its first call."""
    found = {label: layer if layer in seen else f"{layer}:1" for layer, label in stages.items()}
    return {label: seen[key] for label, key in found.items() if key in seen}  # not every stage runs in every pass


def traced_at(bench: Bench, shape: tuple[int, int, int, int]) -> Trace:
    """Trace a network with a batch of a shape, computing nothing where it can be copied without values.

    Raises:
        InputError: it cannot be run, or is TorchScript.
    """
    batch = torch.zeros(shape, device=ambient.device_of(bench.module))
    return trace_module(bench.module, batch, bench.spec.title, telling=False)


def facts_of(engine: Engine, network: str) -> NetworkFacts:
    """Return what is known of a network.

    Args:
        engine: whom to ask.
        network: its name.

    Raises:
        InputError: ``unknown_network``; the text names the nearest.
    """
    if is_private(network):
        return engine.answer(Facts(network))
    facts = {one.name: one for one in engine.answer(Catalogue())}
    if isinstance(network, str) and network not in facts and (":" in network or "?" in network):
        facts[network] = engine.answer(Facts(network))
    return find(network, facts)


def is_trained(engine: Engine, facts: NetworkFacts, layer: str, step: int | None) -> bool:
    """Say whether what a layer puts out comes from trained weights alone, at a step of the training.

    Args:
        engine: whom to ask.
        facts: of the network.
        layer: dotted name.
        step: None is the end of the training.
    """
    if facts.trained_at(step) or not facts.random:
        return facts.trained_at(step)
    found: Randomness = engine.answer(RandomLayers(facts.name, step))
    return not found.of(layer)


def _facts(spec: Network) -> NetworkFacts:
    there = shipped(spec)
    measured = measured_of(spec)
    return NetworkFacts(
        name=spec.name,
        title=spec.title,
        task=spec.task,
        classes=spec.classes,
        size=spec.preprocessing.size,
        sizes=spec.preprocessing.sizes,
        steps=tuple(there.snapshots),
        stages=spec.stages,
        trained=spec.weights in ("given", "official") or (bool(there.sha256) and not spec.untrained),
        source=spec.source,
        card=card_of(spec),
        measured=Measured(**measured) if measured else None,
        guesses=spec.guesses,
        random=spec.untrained if there.sha256 else (),
    )


def channel_of(values: np.ndarray, channel: int, layer: str) -> np.ndarray:
    """Take one channel of an activation, (h, w).

    Args:
        values: the activation without the batch dimension.
        channel: which.
        layer: what to call it in a refusal.

    Raises:
        InputError: it has no such channel.
    """
    maps = maps_of(values)
    number = whole(channel)
    if number is None or not 0 <= number < len(maps):
        raise InputError(
            "unknown_channel",
            "{layer} has no channel {channel}; its channels are 0 to {last}.",
            layer=layer,
            channel=repr(channel) if number is None else number,
            last=len(maps) - 1,
        )
    return maps[number].copy()


def _grey(module: nn.Module, rule: Preprocessing, size: tuple[int, int]) -> Tensor:
    """Return a grey batch of the size that a picture of a size, (width, height), would have."""
    width, height = place(size, rule, min(rule.sizes)).padded
    return torch.full((1, rule.channels, height, width), 0.5, device=ambient.device_of(module))


def _summarised(placement: Placement, spec: Network, tensor: Tensor) -> Summary:
    """Summarise what a layer put out, on whatever device."""
    tensor = laid_out(tensor, _sides(placement)) if spec.foreign else tensor
    return summarise(tensor.float().cpu(), _part(placement, tensor))


def _previewed(placement: Placement, spec: Network, tensor: Tensor) -> Preview:
    tensor = laid_out(tensor, _sides(placement)) if spec.foreign else tensor
    return preview(tensor.float().cpu(), _part(placement, tensor))


def _sides(placement: Placement) -> tuple[int, int]:
    """Return (height, width) of the batch, pixels."""
    return placement.padded[1], placement.padded[0]


def _part(placement: Placement, tensor: Tensor) -> tuple[int, int] | None:
    """Return (columns, rows) of what a layer put out that the picture takes, None where it is no maps."""
    return placement.part_of((tensor.shape[3], tensor.shape[2])) if tensor.dim() == 4 else None
