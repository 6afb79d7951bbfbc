"""What if a layer, or a skip connection, were louder, silent, noise? The mask that follows, and what changed in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segdemo import activations
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.changes import Change as Change
from segdemo.explain.changes import Kind as Kind
from segdemo.explain.changes import changed as changed
from segdemo.explain.changes import mixing as mixing
from segdemo.explain.changes import skips_of as skips_of
from segdemo.explain.changes import touched_by
from segdemo.explain.evidence import cells_of
from segdemo.explain.replay import Placed, Replay, Resumed, exact_copy, replayed, resumed, trace_of
from segdemo.images import Placement
from segdemo.predictions import Prediction, maps_on_picture, predict, reading_of
from segdemo.questions import Run
from segdemo.rendering import within
from segdemo.results import Result


@dataclass(frozen=True)
class Mixed:
    """A run in which something was changed.

    Args:
        result: as of any run, without summaries of layers.
        before: the same of the unchanged network.
        changed: (H, W) bool, the pixels that have another class than before.
        layers: how many calls of layers without parts were computed again, of how many; (0, 0) where nobody knows.
        whole: why all of them were, None where what comes before the change was not.
    """

    result: Result
    before: Result
    changed: np.ndarray
    layers: tuple[int, int] = (0, 0)
    whole: InputError | None = None

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
        longest: side of the maps that is worked out, pixels; None, and what is more, is the picture's own size. Shares
            and changed pixels are counted in these maps.
    """

    memory = "nothing"  # a slider seldom comes back to where it was, and a few such answers would push out all others

    network: str
    picture: str
    changes: tuple[Change, ...]
    size: int | None = None
    step: int | None = None
    longest: int | None = None

    def answer(self, bench: Bench) -> Mixed:
        """Run the changed network.

        Raises:
            InputError: no such layer, channel or skip connection, or a factor out of range.
        """
        if self.size is None:
            return bench.answer(replace(self, size=bench.size))
        before: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        plan = _plan(bench, self.picture, self.changes)
        # Asked for before anything is changed: of a changed network nothing is remembered.
        batch, placement = bench.answer(Placed(self.network, self.picture, self.size, self.step))
        prediction: Prediction | None = None
        if plan.cut is not None:
            with mixing(bench, self.changes, plan), _left_out(bench, plan) as replay, _checked(bench):
                prediction = self._predict(bench, batch, placement)
            if not replay.as_traced:  # a change made the network take another way
                plan, prediction = plan.whole(), None
        if prediction is None:
            with mixing(bench, self.changes), _checked(bench):
                prediction = self._predict(bench, batch, placement)
        after = prediction.result(bench.spec, trained=bench.opened.trained, step=self.step)
        if self.longest is not None:
            size = within(before.size, self.longest)
            before, after = before.at(size), after.at(size)
        return Mixed(after, before, after.mask != before.mask, plan.layers, plan.why)

    def _predict(self, bench: Bench, batch: Tensor, placement: Placement) -> Prediction:
        rule, placed = bench.spec.preprocessing, (exact_copy(batch), placement)
        return predict(bench.module, rule, bench.picture, self.size, reading=reading_of(bench.spec), placed=placed)


@dataclass(frozen=True)
class Reduced(Question):
    """Ask for a picture no larger than it is shown, to draw many masks over it.

    Args:
        picture: fingerprint of a picture that the engine keeps.
        longest: side, pixels.
    """

    hollow = True

    picture: str
    longest: int

    def answer(self, bench: Bench) -> Image.Image:
        """Return it, PIL, RGB; not to be changed."""
        return bench.picture.resize(within(bench.picture.size, self.longest))


@dataclass(frozen=True)
class Prepared(Question):
    """Ask for what every first move of a slider takes, before anybody moves one.

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

    def answer(self, bench: Bench) -> bool:
        """Follow what feeds what; say whether it could be followed."""
        return trace_of(bench) is not None


def _plan(bench: Bench, picture: str, changes: tuple[Change, ...]) -> Resumed:
    """Find out what need not be computed again, and keep what is put out there."""
    trace = trace_of(bench)
    touched = None if trace is None else touched_by(bench, changes, trace)
    return resumed(bench, picture, touched, trace)


def _left_out(bench: Bench, plan: Resumed) -> AbstractContextManager[Replay]:
    assert plan.trace is not None and plan.cut is not None and plan.kept is not None
    return replayed(bench.module, plan.trace, plan.cut, plan.kept)


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
        plan = _plan(bench, self.picture, (Change(self.layer, factor=0.0),))
        for done, channel in enumerate(asked_for):
            bench.report(done, len(asked_for))
            returned = _silenced(bench, plan, Change(self.layer, factor=0.0, channels=(channel,)))
            logits = maps_on_picture(returned, bench.batch, bench.placement, bench.spec)[0].float().cpu()
            other = float((logits.argmax(0) != classes).float().mean())
            ranks.append(ChannelRank(channel, mean - float(logits[index][cells].mean()), 100 * other))
        return tuple(sorted(ranks, key=lambda rank: -rank.loss))


def _silenced(bench: Bench, plan: Resumed, change: Change) -> object:
    """Return what the network returns with one change."""
    if plan.cut is not None:
        with mixing(bench, (change,), plan), _left_out(bench, plan) as replay, _checked(bench):
            returned: object = bench.module(bench.batch)
        if replay.as_traced:
            return returned
    with mixing(bench, (change,)), _checked(bench):
        return bench.module(bench.batch)


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
