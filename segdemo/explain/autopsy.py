"""A pixel taken apart: what the network says there, how close it was, what it saw, and which channels decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import Cancelled, InputError
from segdemo.explain.follow import keys_of
from segdemo.explain.receptive import ReceptiveFields, StageReach
from segdemo.images import Placement
from segdemo.outputs import laid_out
from segdemo.predictions import maps_on_picture
from segdemo.summaries import as_maps

TOP = 5  # channels named of each stage, for the winner and against it
BULK = 0.95  # share of the gradient that the effective receptive field holds
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Candidate:
    """What the network says of one class at the pixel.

    Args:
        index: of the class.
        name: of the class.
        colour: ``"#rrggbb"``.
        logit: at the pixel.
        probability: softmax over all classes, in [0, 1].
    """

    index: int
    name: str
    colour: str
    logit: float
    probability: float


@dataclass(frozen=True)
class Push:
    """How much one channel pushed the winner above the runner-up.

    Args:
        channel: its number.
        push: sum of activation × gradient of the margin over all places; below 0 it speaks for the runner-up.
        map: the same at each place, (h, w) float32.
    """

    channel: int
    push: float
    map: np.ndarray


@dataclass(frozen=True)
class StageAutopsy:
    """What one stage had to do with the decision.

    Args:
        label: of the stage.
        layer: its dotted name.
        shape: that it puts out, without the batch dimension.
        cell: (column, row) of the value over the pixel; None where the stage puts out no maps.
        box: (left, top, right, bottom) of what that value sees, in pixels of the picture, right and bottom behind it,
            cut at its borders; None where that could not be worked out.
        largest: as in :class:`StageReach`.
        reaches_border: whether what it sees is cut at a border of the batch, or goes into its padding.
        exact: False where the rectangle may be larger than what is really seen.
        total: sum of activation × gradient of the margin over all channels and places.
        channels: those that pushed most for the winner, strongest first.
        against: those that pushed most for the runner-up, strongest first.
        places: (h, w) float32: where in the stage's maps the push came from, all channels together.
    """

    label: str
    layer: str
    shape: tuple[int, ...]
    cell: tuple[int, int] | None
    box: Box | None
    largest: tuple[int | None, int | None] | None
    reaches_border: bool
    exact: bool
    total: float
    channels: tuple[Push, ...]
    against: tuple[Push, ...]
    places: np.ndarray


@dataclass(frozen=True)
class Autopsy:
    """A pixel taken apart.

    Args:
        network: its name.
        trained: False where the weights are random.
        point: (x, y) in the picture.
        picture_size: (width, height), pixels.
        candidates: all classes, the most probable first.
        margin: logit of the winner less that of the runner-up.
        whole: True of a classifier: the same holds for every pixel.
        stages: in figure order; one that the decision does not pass through has total 0.
        effective: (H, W) float32, the gradient of the margin by the batch, in absolute terms, summed over its
            channels, in the picture's part of the batch.
        effective_box: in pixels of the picture: of the gradient, 2.5 % lie left of it, right, above and below each.
        trouble: why there are no receptive fields, None where there are.
    """

    network: str
    trained: bool
    point: tuple[int, int]
    picture_size: tuple[int, int]
    candidates: tuple[Candidate, ...]
    margin: float
    whole: bool
    stages: tuple[StageAutopsy, ...]
    effective: np.ndarray
    effective_box: Box
    trouble: InputError | None = None

    @property
    def winner(self) -> Candidate:
        """The class that the pixel was given."""
        return self.candidates[0]

    @property
    def runner_up(self) -> Candidate:
        """The class that came second."""
        return self.candidates[1]


@dataclass(frozen=True)
class PixelAutopsy(Question):
    """Take one pixel of a picture apart, with one pass forward and one back.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        point: (x, y) of the pixel in the picture.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    grad = True

    network: str
    picture: str
    point: tuple[int, int]
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Autopsy:
        """Run forward and back.

        Raises:
            InputError: ``point_outside``; ``no_gradient`` where the network hands none back; ``one_class``.
        """
        check_point(self.point, bench.picture.size)
        if len(bench.spec.classes) < 2:
            raise InputError(
                "one_class",
                "{network} tells one class only, so none wins over another. Choose a network with two classes or more.",
                network=bench.spec.title,
            )
        module, layers = bench.module, [stage.layer for stage in bench.spec.stages]
        batch = bench.batch.clone().requires_grad_()
        with recorded(module, layers, bench) as record:
            returned = with_gradient(module, batch, bench.spec.title)
            maps, extent = maps_on_picture(returned, batch, bench.placement, bench.spec)
            logits = logits_at(maps, extent, bench.placement, self.point)
            order = torch.argsort(logits.detach(), descending=True, stable=True).tolist()
            margin = logits[order[0]] - logits[order[1]]
            (gradient,) = gradients(margin, [batch], bench.spec.title)
        if gradient is None:
            raise unreached(bench.spec.title, "the picture")
        width, height = bench.placement.resized
        effective = gradient[0].abs().sum(0)[:height, :width].cpu().numpy()
        reaches, trouble = _reaches(self, bench)
        return Autopsy(
            network=self.network,
            trained=bench.opened.trained,
            point=self.point,
            picture_size=bench.picture.size,
            candidates=_candidates(bench, logits.detach(), order),
            margin=float(margin.detach()),
            whole=bench.spec.task == "classification",
            stages=tuple(_stage(self, bench, record, reach) for reach in reaches if reach.layer in record.values),
            effective=effective,
            effective_box=in_picture(bulk_of(effective), bench.placement),
            trouble=trouble,
        )


def check_point(point: tuple[int, int], size: tuple[int, int]) -> None:
    """Refuse a point that is no pixel of the picture.

    Args:
        point: (x, y).
        size: (width, height) of the picture.

    Raises:
        InputError: ``point_outside``.
    """
    if not (0 <= point[0] < size[0] and 0 <= point[1] < size[1]):
        raise InputError(
            "point_outside",
            "There is no pixel ({x}, {y}) in this picture of {width} × {height}. Point at another place.",
            x=point[0],
            y=point[1],
            width=size[0],
            height=size[1],
        )


class Record:
    """What layers put out in a pass, and the gradient by it once there was one on the way back."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}

    def value(self, layer: str) -> Tensor:
        """Return what a layer put out.

        Raises:
            InputError: ``layer_silent``.
        """
        if layer not in self.values:
            raise InputError(
                "layer_silent",
                "The layer {layer!r} put out no tensor in this pass, which recorded {recorded}. Choose one that runs.",
                layer=layer,
                recorded="nothing of it",
            )
        return self.values[layer]


class Checks(Protocol):
    """What stops a pass that nobody waits for any more; a :class:`Bench` does."""

    def check(self) -> None:
        """Stop here if nobody waits."""


class Enough(Exception):
    """The gradients that were wanted are there."""


@contextmanager
def recorded(module: torch.nn.Module, layers: list[str], bench: Checks, *, enough: bool = False) -> Iterator[Record]:
    """Record copies of what layers put out, and the gradients by what they put out, in-place layers or not.

    Args:
        module: the network.
        layers: names as of stages: ``"relu:2"`` is the second call, ``"up1.cat"`` an operation, ``"head:1[0]"`` one
            tensor of several; without a number the first call counts.
        bench: asked before each module whether to go on.
        enough: end the way back with :class:`Enough` as soon as it has come to all of them.
    """
    record = Record()
    latest: list[Tensor] = []
    keys = keys_of(module, layers)

    def came_back(layer: str, gradient: Tensor) -> None:
        record.gradients[layer] = gradient.detach()
        if enough and record.gradients.keys() >= set(layers):
            raise Enough

    def keep(tensor: Tensor) -> Tensor:
        latest[:] = [tensor]
        return tensor.detach().clone()

    def after(spoken: str) -> None:
        layer, tensor = keys.get(seen._spoken[spoken]), latest.pop()
        if layer is None:
            return
        record.values[layer] = seen[spoken]
        if tensor.requires_grad:  # the hook hears of the values of now, also if a later layer overwrites them
            tensor.register_hook(partial(came_back, layer))

    with capture(module, [key.name for key in keys], reduce=keep, before=bench.check, after=after) as seen:
        yield record


def with_gradient(module: torch.nn.Module, batch: Tensor, network: str) -> object:
    """Return what a network returns for a batch that gradients are taken by.

    Raises:
        InputError: ``no_gradient``: it runs without gradients alone.
    """
    try:
        returned: object = module(batch.clone())  # into which a network may write
    except (InputError, Cancelled):
        raise
    except Exception as error:  # code of a stranger, which ran without gradients
        raise _no_gradient(network, str(error)) from error
    return returned


def gradients(score: Tensor, inputs: list[Tensor], network: str) -> tuple[Tensor | None, ...]:
    """Return the gradient of a score by tensors; None by those that it does not depend on.

    Raises:
        InputError: ``no_gradient``.
    """
    try:
        return torch.autograd.grad(score, inputs, allow_unused=True)
    except Exception as error:  # also code of a stranger, such as the backward of an autograd.Function
        raise _no_gradient(network, str(error)) from error


def _no_gradient(network: str, reason: str) -> InputError:
    return InputError(
        "no_gradient",
        "{network} hands back no gradient ({reason}), which this view is made of. Use a network whose layers are "
        "all differentiable and in float32.",
        network=network,
        reason=(reason.splitlines() or ["no reason told"])[0][:200],
    )


def unreached(network: str, layer: str) -> InputError:
    """Return the refusal of a layer that no gradient comes back to."""
    return _no_gradient(network, f"none comes back to {layer}")


def logits_at(
    logits: Tensor, extent: tuple[float, float] | None, placement: Placement, point: tuple[int, int]
) -> Tensor:
    """Return the logits at a pixel of the picture, (K,), mixed as the result's maps are.

    Args:
        logits: (K, h, w), where the picture lies.
        extent: how many (columns, rows) of them the picture takes; None for all.
        placement: of the picture in the batch.
        point: (x, y) in the picture.
    """
    maps = logits.float()
    taken = extent or (maps.shape[2], maps.shape[1])
    for axis, dim in ((0, 2), (1, 1)):
        place, whole, cells = point[axis], placement.picture_size[axis], maps.shape[dim]
        at = min(max((place + 0.5) * taken[axis] / whole - 0.5, 0.0), cells - 1.0)
        before = int(at)
        after = min(before + 1, cells - 1)
        maps = torch.lerp(maps.narrow(dim, before, 1), maps.narrow(dim, after, 1), at - before)
    return maps.flatten()


def bulk_of(weights: np.ndarray) -> Box:
    """Return the rectangle that holds the bulk of non-negative weights along each side.

    Args:
        weights: (h, w).

    Returns:
        (left, top, right, bottom), right and bottom behind it; all 0 where the weights are 0.
    """
    if not weights.any():
        return 0, 0, 0, 0
    ends = []
    for axis in (0, 1):
        along = np.cumsum(weights.sum(axis, dtype=np.float64))
        tail = (1 - BULK) / 2 * along[-1]
        ends.append((int(np.searchsorted(along, tail, "right")), int(np.searchsorted(along, along[-1] - tail)) + 1))
    return ends[0][0], ends[1][0], min(ends[0][1], weights.shape[1]), min(ends[1][1], weights.shape[0])


def in_picture(box: Box, placement: Placement) -> Box:
    """Return a rectangle of the batch in pixels of the picture, rounded outwards and cut at its borders."""
    found = []
    for at, value in enumerate(box):
        whole, part = placement.picture_size[at % 2], placement.resized[at % 2]
        scaled = -(-value * whole // part) if at > 1 else value * whole // part
        found.append(min(max(int(scaled), 0), whole))
    return found[0], found[1], found[2], found[3]


def _candidates(bench: Bench, logits: Tensor, order: list[int]) -> tuple[Candidate, ...]:
    odds, classes = logits.softmax(0), bench.spec.classes
    return tuple(
        Candidate(index, classes[index].name, classes[index].colour, float(logits[index]), float(odds[index]))
        for index in order
    )


def _reaches(asked: PixelAutopsy, bench: Bench) -> tuple[tuple[StageReach, ...], InputError | None]:
    """Return what each stage can see; without fields where that cannot be worked out."""
    try:
        return bench.answer(ReceptiveFields(asked.network, bench.size, bench.picture.size, asked.step)), None
    except InputError as error:
        return tuple(StageReach(stage.label, stage.layer, (), None, None) for stage in bench.spec.stages), error


def as_laid_out(bench: Bench, tensor: Tensor) -> Tensor:
    """See tokens, or maps with channels last, of a network that was given as maps; others as they are."""
    width, height = bench.placement.padded
    return laid_out(tensor, (height, width)) if bench.spec.weights == "given" else tensor


def _stage(asked: PixelAutopsy, bench: Bench, record: Record, reach: StageReach) -> StageAutopsy:
    value = as_laid_out(bench, record.values[reach.layer])
    cell = None
    if value.dim() == 4:
        cell = bench.placement.cell_at(asked.point, (value.shape[3], value.shape[2]))
    maps = as_maps(value)
    gradient = record.gradients.get(reach.layer)
    pushes = maps * as_maps(as_laid_out(bench, gradient)) if gradient is not None else torch.zeros_like(maps)
    sums = pushes.sum((1, 2), dtype=torch.float64)
    order = torch.argsort(sums, descending=True, stable=True).tolist()

    def push(channel: int) -> Push:
        return Push(channel, float(sums[channel]), pushes[channel].float().cpu().numpy())

    box = None if reach.field is None else reach.box(cell or (0, 0))
    left, top, right, bottom = box or (1, 1, 0, 0)
    return StageAutopsy(
        label=reach.label,
        layer=reach.layer,
        shape=tuple(value.shape[1:]),
        cell=cell,
        box=None if box is None else in_picture(box, bench.placement),
        largest=reach.largest,
        reaches_border=left <= 0
        or top <= 0
        or right >= bench.placement.resized[0]
        or bottom >= bench.placement.resized[1],
        exact=reach.field is not None and reach.field.exact,
        total=float(sums.sum()),
        channels=tuple(push(channel) for channel in order[:TOP] if sums[channel] > 0),
        against=tuple(push(channel) for channel in order[: -TOP - 1 : -1] if sums[channel] < 0),
        places=pushes.sum(0).float().cpu().numpy(),
    )
