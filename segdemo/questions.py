"""What can be asked of every network: a run, what a layer put out, which layers and which networks there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from segdemo import ambient
from segdemo.activations import capture, run_until, short_key, trace
from segdemo.checkpoints import card_of, measured_of, shipped
from segdemo.engine import Bench, Engine, Question
from segdemo.errors import InputError
from segdemo.images import Placement, place, whole
from segdemo.networks import DEFAULT as DEFAULT
from segdemo.networks import Network, find
from segdemo.predictions import predict
from segdemo.results import LayerInfo, Measured, NetworkFacts, Result, maps_of
from segdemo.summaries import Preview, Summary, preview, summarise


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
        outer = {stage.layer: stage.label for stage in spec.stages}
        inner = {stage.layer: stage.label for stage in spec.every_stage() if stage.layer not in outer}
        total, done = sum(1 for _ in bench.module.modules()), 0

        def before() -> None:
            nonlocal done
            bench.check()
            done += 1
            bench.report(min(done, total), total)

        with (
            capture(bench.module, outer, reduce=partial(_summarised, placement), before=before) as layers,
            capture(bench.module, inner, reduce=partial(_previewed, placement)) as previews,
        ):
            prediction = predict(bench.module, spec.preprocessing, picture, self.size)
        return prediction.result(
            spec,
            trained=bench.opened.trained,
            step=self.step,
            layers={label: layers[layer] for layer, label in outer.items()},
            previews={label: previews[layer] for layer, label in inner.items()},
        )


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
    """

    network: str
    picture: str
    layer: str
    channel: int | None = None
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> np.ndarray:
        """Return float32, (h, w) for one channel, else the activation without the batch dimension."""
        asked = replace(self, layer=bench.opened.layer_of(self.layer), size=bench.size, channel=None)
        if self.channel is not None:
            return channel_of(bench.answer(asked), self.channel, self.layer)
        if asked != self:
            return bench.answer(asked)
        return run_until(bench.module, bench.batch, self.layer, bench.check)[0].float().contiguous().cpu().numpy()


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
        return _summarised(bench.placement, torch.from_numpy(values.copy())[None])


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
        maps = maps_of(bench.answer(Activation(self.network, self.picture, self.layer, None, self.size, self.step)))
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
    """Ask for every module call of a network in the order in which they finish; nothing is computed for it.

    Args:
        network: its name.
        size: input size in pixels; None takes the network's own.
        picture_size: (width, height) in pixels of a picture, which decides the shapes; None stands for a square one.
        step: has no influence; every question about a network has one.
    """

    network: str
    size: int | None = None
    picture_size: tuple[int, int] | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> tuple[LayerInfo, ...]:
        """Trace the network on PyTorch's meta device."""
        spec = bench.spec
        width, height = place(self.picture_size or (bench.size, bench.size), spec.preprocessing, bench.size).padded
        with ambient.plain(), torch.device("meta"):
            hollow = spec.build(len(spec.classes)).eval()
            calls = trace(hollow, torch.empty(1, spec.preprocessing.channels, height, width))
        names = [name for name, _ in hollow.named_modules() if name]
        return tuple(LayerInfo(short_key(key, names), kind, shape[1:]) for key, kind, shape in calls)


@dataclass(frozen=True)
class Catalogue(Question):
    """Ask which networks there are."""

    def answer(self, bench: Bench) -> tuple[NetworkFacts, ...]:
        """Describe every network of the engine, in the order of its table."""
        return tuple(_facts(spec) for spec in bench.networks.values())


def facts_of(engine: Engine, network: str) -> NetworkFacts:
    """Return what is known of a network.

    Args:
        engine: whom to ask.
        network: its name.

    Raises:
        InputError: ``unknown_network``; the text names the nearest.
    """
    facts = {one.name: one for one in engine.answer(Catalogue())}
    return find(network, facts)


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
        trained=bool(there.sha256) and not spec.untrained,
        source=spec.source,
        card=card_of(spec),
        measured=Measured(**measured) if measured else None,
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


def _summarised(placement: Placement, tensor: Tensor) -> Summary:
    """Summarise what a layer put out, on whatever device."""
    return summarise(tensor.float().cpu(), _part(placement, tensor))


def _previewed(placement: Placement, tensor: Tensor) -> Preview:
    return preview(tensor.float().cpu(), _part(placement, tensor))


def _part(placement: Placement, tensor: Tensor) -> tuple[int, int] | None:
    """Return (columns, rows) of what a layer put out that the picture takes, None where it is no maps."""
    return placement.part_of((tensor.shape[3], tensor.shape[2])) if tensor.dim() == 4 else None
