"""What in a layer speaks for a class: maps of activation and gradient, with a control that shows their worth."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from segdemo import ambient
from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.autopsy import as_laid_out, check_point, gradients, recorded, unreached, with_gradient
from segdemo.explain.follow import following, keys_of
from segdemo.leaves import Key
from segdemo.predictions import maps_on_picture, sampled
from segdemo.questions import Run
from segdemo.results import Result
from segdemo.summaries import as_maps

Where = Literal["class", "object", "pixel", "region", "inner", "outer"]
Method = Literal["gradcam", "hirescam", "gradient"]
BORDER = (
    3  # pixels of the picture on each side of an object's border, at least; 1 % of its longest side where that is more
)
ALIKE = 0.7  # correlation with the control from which on a map is said to explain nothing


@dataclass(frozen=True)
class ClassEvidence(Question):
    """Map what in a layer speaks for a class, and against it.

    The score is the sum of the class's logits over the places asked about, as in Seg-Grad-CAM.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        layer: label of a stage, or dotted name of a module.
        name: of the class; None is the one that the mask has at the point, or most of the picture's without a point.
        where: ``"class"``: wherever the mask has the class. ``"object"``: its connected part under the point.
            ``"inner"``, ``"outer"``: the strip along that part's border, within it or around it. ``"pixel"``: the
            point. ``"region"``: within the polygon, whatever the mask says there.
        point: (x, y) of a pixel of the picture, where it is needed.
        region: corners (x, y) of a polygon in the picture, where it is needed; two are opposite corners of a rectangle.
        method: ``"gradcam"``: channels weighted by the mean of their gradient. ``"hirescam"``: activation × gradient
            at each place. ``"gradient"``: the gradient alone, summed over channels.
        positive: cut the map at 0.
        seed: of the random weights of the control.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    grad = True

    network: str
    picture: str
    layer: str
    name: str | None = None
    where: Where = "class"
    point: tuple[int, int] | None = None
    region: tuple[tuple[int, int], ...] = ()
    method: Method = "gradcam"
    positive: bool = False
    seed: int = 0
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Evidence:
        """Run forward and back, and the same with the later layers randomised.

        Raises:
            InputError: no such class or layer, the class is nowhere, the point or region is missing, empty or outside,
                or the network hands back no gradient.
        """
        asked = replace(self, layer=bench.opened.layer_of(self.layer), size=bench.size)
        if asked != self:
            return bench.answer(asked)
        result: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        index = class_index(result, self.name, self.point)
        target = target_of(self, result, index)
        map_ = self._map(bench, bench.module, index, target)
        randomised = control(bench.module, bench.batch, self.layer, self.seed)
        other = None if randomised is None else self._map(bench, randomised, index, target)
        return Evidence(
            layer=self.layer,
            name=result.names[index],
            map=map_,
            control=other,
            correlation=None if other is None else correlation(map_, other),
            target=target,
            part=result.placement.part_of((map_.shape[1], map_.shape[0])),
            trained=result.trained,
        )

    def _map(self, bench: Bench, module: nn.Module, index: int, target: np.ndarray) -> np.ndarray:
        """Run one network forward and back."""
        batch = bench.batch.clone().requires_grad_()
        with recorded(module, [self.layer], bench, enough=True) as record:
            logits = _enlarged(
                *maps_on_picture(with_gradient(module, batch, bench.spec.title), batch, bench.placement, bench.spec),
                bench,
            )
            score = score_of(logits[index], target, bench)
            try:
                gradients(score, [batch], bench.spec.title)
            except InputError:
                if self.layer not in record.gradients:  # else what is asked about came back before that
                    raise
        value, gradient = record.value(self.layer), record.gradients.get(self.layer)
        if gradient is None:
            raise unreached(bench.spec.title, self.layer)
        found = cam(as_maps(as_laid_out(bench, value)), as_maps(as_laid_out(bench, gradient)), self.method)
        return (found.clamp(min=0) if self.positive else found).float().cpu().numpy()


def _enlarged(logits: Tensor, extent: tuple[float, float] | None, bench: Bench) -> Tensor:
    """Bring logits that a network left in a resolution of their own to the size of the picture in the batch."""
    width, height = bench.placement.resized
    if extent is None and (logits.shape[2], logits.shape[1]) in ((width, height), (1, 1)):
        return logits
    return sampled(logits, extent or (logits.shape[2], logits.shape[1]), (width, height))


@dataclass(frozen=True)
class Evidence:
    """What in a layer speaks for a class, above 0, and against it, below.

    Args:
        layer: dotted name.
        name: of the class.
        map: (h, w) float32, at the layer's own places, padding included; in logits summed over the places asked about.
        control: the same with all layers behind this one randomised; None where none behind it has weights, or the
            network cannot be copied.
        correlation: of the two, Pearson, in [-1, 1]; None without a control; NaN where a map is even.
        target: (H, W) bool, the pixels of the picture that were asked about.
        part: (columns, rows) of the map that the picture takes.
        trained: False where the weights are random anyway.
    """

    layer: str
    name: str
    map: np.ndarray
    control: np.ndarray | None
    correlation: float | None
    target: np.ndarray
    part: tuple[int, int]
    trained: bool

    @property
    def explains_nothing(self) -> bool:
        """Whether the map hardly changes when what was learned behind the layer is lost."""
        return self.correlation is not None and abs(self.correlation) >= ALIKE


def cam(value: Tensor, gradient: Tensor, method: Method) -> Tensor:
    """Make a map (h, w) of what a layer put out and the gradient by it, both (C, h, w).

    Args:
        value: the activation.
        gradient: of the score.
        method: as in :class:`ClassEvidence`.

    Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391 (Grad-CAM); Vinogradova, Dibrov and Myers 2020,
        https://arxiv.org/abs/2002.11434 (Seg-Grad-CAM); Draelos and Carin 2020, https://arxiv.org/abs/2011.08891
        (HiResCAM). None is cut at 0 here.
    """
    if method == "gradcam":
        return (gradient.mean((1, 2), keepdim=True) * value).sum(0)
    return gradient.sum(0) if method == "gradient" else (gradient * value).sum(0)


def score_of(logits: Tensor, target: np.ndarray, bench: Bench) -> Tensor:
    """Sum the logits of a class over the places asked about.

    Args:
        logits: (h, w), the part that the picture takes; (1, 1) of a classifier.
        target: (H, W) bool, pixels of the picture.
        bench: knows where the picture lies.
    """
    cells = cells_of(target, (logits.shape[1], logits.shape[0]))
    return logits[torch.from_numpy(cells).to(logits.device)].sum()


def cells_of(target: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return which places of a map over the picture alone are asked about, (h, w) bool; at least one.

    Args:
        target: (H, W) bool, pixels of the picture, not all False.
        size: (width, height) of the map.
    """
    height, width = target.shape
    rows = np.minimum(((np.arange(size[1]) + 0.5) * height / size[1]).astype(int), height - 1)
    columns = np.minimum(((np.arange(size[0]) + 0.5) * width / size[0]).astype(int), width - 1)
    cells = target[np.ix_(rows, columns)]
    if not cells.any():  # smaller than a place: those that its pixels lie in
        y, x = np.nonzero(target)
        cells[y * size[1] // height, x * size[0] // width] = True
    return cells


def class_index(result: Result, name: str | None, point: tuple[int, int] | None) -> int:
    """Return the index of a class by its name, or of the one at a point, or of the largest.

    Raises:
        InputError: ``unknown_class``, ``point_outside``.
    """
    if name is not None:
        if name not in result.names:
            raise InputError(
                "unknown_class",
                "{network} knows no class called {name!r}; it knows {names}.",
                network=result.network,
                name=name,
                names=", ".join(result.names),
            )
        return result.names.index(name)
    if point is not None:
        check_point(point, result.size)
        return result.class_at(point)
    return max(result.classes, key=lambda share: share.percent).index


def target_of(asked: ClassEvidence, result: Result, index: int) -> np.ndarray:
    """Return the pixels of the picture that are asked about, (H, W) bool.

    Raises:
        InputError: the class is nowhere; the point or region is missing, empty, outside, or not of the class.
    """
    there = result.mask == index
    if result.task == "classification":
        return np.ones_like(there)  # one answer for all of it
    if asked.where == "region":
        return region_of(asked.region, result.size)
    if asked.where != "class":
        if asked.point is None:
            raise InputError(
                "evidence_needs_point",
                "Evidence at a pixel or for one object needs a point, and none came. Pin a pixel of the picture.",
            )
        check_point(asked.point, result.size)
    if asked.where == "pixel":
        return pixel_of(asked.point, result.size)
    if not there.any():
        raise InputError(
            "class_nowhere",
            "“{name}” is nowhere in this mask, so there is nothing to explain. Choose a class that is in the picture, "
            "or ask about a pixel or a region.",
            name=result.names[index],
        )
    if asked.where == "class":
        return there
    assert asked.point is not None
    if not there[asked.point[1], asked.point[0]]:
        raise InputError(
            "no_object_here",
            "The mask has no “{name}” at ({x}, {y}). Point at an object of that class.",
            name=result.names[index],
            x=asked.point[0],
            y=asked.point[1],
        )
    part = connected(there, asked.point)
    if asked.where == "object":
        return part
    return strip(part, asked.where, max(BORDER, max(result.size) // 100))


def pixel_of(point: tuple[int, int] | None, size: tuple[int, int]) -> np.ndarray:
    """Return one pixel of a picture, (H, W) bool."""
    assert point is not None
    target = np.zeros(size[::-1], bool)
    target[point[1], point[0]] = True
    return target


def region_of(corners: tuple[tuple[int, int], ...], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels within a polygon, (H, W) bool.

    Raises:
        InputError: ``empty_region``.
    """
    canvas = Image.new("1", size)
    if len(corners) == 2:
        (left, right), (top, bottom) = (sorted(side) for side in zip(*corners, strict=True))
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    if len(corners) > 2:
        ImageDraw.Draw(canvas).polygon(list(corners), fill=1)
    target = np.array(canvas, bool)
    if not target.any():
        raise InputError(
            "empty_region",
            "The region has no pixel of this picture of {width} × {height}. Draw one within it, by two corners or "
            "more.",
            width=size[0],
            height=size[1],
        )
    return target


def connected(mask: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """Return the part of a mask that hangs together with a point over edges, (H, W) bool.

    Args:
        mask: (H, W) bool.
        point: (x, y), True in it.
    """
    reached = np.zeros_like(mask)
    reached[point[1], point[0]] = True
    before = 0
    while before != (now := int(reached.sum())):
        before = now
        for turned in (False, True):  # along rows, then along columns
            here, of = (reached.T, mask.T) if turned else (reached, mask)
            runs = np.cumsum(~of.ravel()) + np.arange(of.size) // of.shape[1] * (of.size + 1)  # a number for each run
            touched = np.unique(runs[(here & of).ravel()])
            grown = (np.isin(runs, touched) & of.ravel()).reshape(of.shape)
            reached = grown.T if turned else grown
    return reached


def strip(part: np.ndarray, where: str, width: int) -> np.ndarray:
    """Return the pixels along the border of an object, within it or around it, (H, W) bool.

    Raises:
        InputError: ``empty_region``: it fills the picture, so there is no pixel around it.
    """
    grown = part if where == "outer" else ~part
    for _ in range(width):
        padded = np.pad(grown, 1)
        grown = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    border = grown & (~part if where == "outer" else part)
    return border if border.any() else region_of((), (part.shape[1], part.shape[0]))


def control(network: nn.Module, batch: Tensor, layer: str, seed: int) -> nn.Module | None:
    """Return a copy of a network in which all weights behind a layer are random.

    None where there are no such weights, or the network cannot be copied.

    Args:
        network: left as it is.
        batch: decides what runs behind the layer.
        layer: dotted name; of several calls, the first counts.
        seed: of the random weights.

    Source: Adebayo et al. 2018, "Sanity Checks for Saliency Maps", https://arxiv.org/abs/1810.03292
    """
    later = list(_behind(network, batch, layer))
    if not later:
        return None
    try:
        twin = copy.deepcopy(network)
    except Exception:  # code of a stranger
        return None
    with ambient.drawing(seed), torch.no_grad():
        for name in later:
            _randomise(twin.get_submodule(name))
    return twin


def _behind(network: nn.Module, batch: Tensor, layer: str) -> Iterator[str]:
    """Yield the modules with weights of their own that first run after a layer has put out."""
    own = [name for name, module in network.named_modules() if name and _has_own(module)]
    wanted = next(iter(keys_of(network, [layer])))
    names = dict.fromkeys([*own, wanted.name])
    try:
        with following(batch.shape[2], batch.shape[3], batch.shape[1]) as (_, hollow):  # computes nothing
            order = _order(network, hollow, names)
    except Exception:  # code of a stranger, which may ask for values
        with torch.no_grad():
            order = _order(network, batch.clone(), names)
    if wanted in order:
        place = order.index(wanted)
        before = {key.name for key in order[: place + 1]}
        yield from dict.fromkeys(key.name for key in order[place:] if key.name in own and key.name not in before)


def _order(network: nn.Module, batch: Tensor, names: Iterable[str]) -> list[Key]:
    """Return what layers put out, in its order."""
    order: list[Key] = []
    with capture(
        network, names, reduce=lambda _: None, after=lambda spoken: order.append(seen._spoken[spoken])
    ) as seen:
        network(batch)
    return order


def _has_own(module: nn.Module) -> bool:
    """Whether a module has weights that can be drawn anew."""
    return not isinstance(module, torch.jit.ScriptModule) and any(True for _ in module.parameters(recurse=False))


def _randomise(module: nn.Module) -> None:
    """Draw the weights of one module anew."""
    if callable(getattr(module, "reset_parameters", None)):
        module.reset_parameters()  # type: ignore[operator]
    else:
        for parameter in module.parameters(recurse=False):
            nn.init.normal_(parameter, std=0.02)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation of two maps, NaN where one is even."""
    a, b = (values.astype(np.float64).ravel() - values.mean(dtype=np.float64) for values in (one, other))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else float("nan")


__all__ = ["ALIKE", "BORDER", "ClassEvidence", "Evidence", "Method", "Where", "cam", "control", "correlation"]
