"""What a run gives back: mask, probabilities and the summaries of the layers, complete without any page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from segdemo.ambient import alone_after_fork
from segdemo.cache import freeze
from segdemo.enlarged import Enlarged
from segdemo.errors import InputError
from segdemo.images import Placement
from segdemo.networks.classes import ClassInfo
from segdemo.networks.network import Stage as Stage
from segdemo.notes import Note
from segdemo.summaries import Preview, Summary

BAND = 1 << 22  # logits worked on at a time: 16 MB
ROWS = 64  # of a picture, for which is asked at once which classes can be the greatest


class _Copies:
    """A picture as a field of a dataclass: PIL pictures can be painted on, so everybody gets one of his own."""

    def __get__(self, owner: object, kind: type | None = None) -> Image.Image:
        if owner is None:
            raise AttributeError("seen")  # the field has no default
        picture: Image.Image = owner.__dict__["seen"]
        return picture.copy()

    def __set__(self, owner: object, picture: Image.Image) -> None:
        owner.__dict__["seen"] = picture.copy()


@dataclass(frozen=True)
class ClassShare:
    """How much of the picture a class takes.

    Args:
        index: the class's number, its value in the mask.
        name: as the data set calls it.
        colour: ``"#rrggbb"``, the same wherever the class is drawn.
        hidden: whether it is a background, not drawn unless a person asks.
        percent: share of the picture's pixels, in [0, 100].
    """

    index: int
    name: str
    colour: str
    hidden: bool
    percent: float


@dataclass(frozen=True)
class LayerInfo:
    """One call of one module, or one operation between modules.

    Args:
        name: dotted name, with ``:2`` and so on from the second call, and ``[leaf]`` for one tensor of several.
        type: the module's class, for example ``"Conv2d"``, or the function, ``"add"``.
        shape: of what it puts out, without the batch dimension.
        kind: which of the two it is.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    kind: Literal["module", "operation"] = "module"


@dataclass(frozen=True)
class Measured:
    """What was measured of a trained network, and under which licence its weights are.

    Args:
        parameters: how many numbers were learned.
        bytes: size of the file of weights.
        metric: ``"mIoU"`` or ``"accuracy"``.
        score: in [0, 1].
        data: name of what was scored on.
        pictures: how many these are.
        seconds: median time of one forward pass, on two processor threads, at the network's own input size.
        licence: of the weights.
    """

    parameters: int
    bytes: int
    metric: str
    score: float
    data: str
    pictures: int
    seconds: float
    licence: str


@dataclass(frozen=True)
class NetworkFacts:
    """What a menu, a figure without a picture and an address need to know of a network.

    Args:
        name: as questions name it.
        title: what people read.
        task: ``"segmentation"``, ``"classification"`` or ``"detection grid"``.
        classes: in index order.
        size: input size used unless another is asked for, pixels.
        sizes: input sizes offered, pixels, ascending.
        steps: of the training, at which there are weights beside those of its end.
        stages: viewing points in figure order.
        trained: False when the weights are random.
        source: address of the paper.
        card: the model card, Markdown; empty where there is none.
        measured: its score, time and size, None where it was not measured.
        guesses: what of all this nobody told: ``"classes"``, ``"normalisation"``, ``"size"``, ``"output"``.
        random: beginnings of names of layers that stay random where the others are trained.
    """

    name: str
    title: str
    task: str
    classes: tuple[ClassInfo, ...]
    size: int
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    stages: tuple[Stage, ...]
    trained: bool
    source: str
    card: str
    measured: Measured | None = None
    guesses: tuple[str, ...] = ()
    random: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in index order."""
        return tuple(one.name for one in self.classes)

    def trained_at(self, step: int | None) -> bool:
        """Say whether the weights of a step of the training are trained: at step 0 they are random."""
        return self.trained and step != 0

    def every_stage(self) -> Iterator[Stage]:
        """Yield all stages, those inside others right after the one they are in."""
        for stage in self.stages:
            yield stage
            yield from stage.inside

    def has_stage(self, label: str) -> bool:
        """Say whether one of the stages, or of those inside others, is called so."""
        return any(stage.label == label for stage in self.every_stage())

    def label_and_layer(self, layer: str) -> tuple[str, str]:
        """Return (label, layer) for either: the label of a stage where the layer is one, else the layer's own name."""
        layer = layer.removesuffix(":1")
        for stage in self.every_stage():
            if layer in (stage.label, stage.layer):
                return stage.label, stage.layer
        return layer, layer

    def unknown_layer(self, layer: str) -> InputError:
        """Return what to say of a layer that the network does not run."""
        return InputError(
            "unknown_layer_here",
            "{network} has no stage or layer called {layer!r}. Choose one in the figure or in the search box.",
            network=self.title,
            layer=layer,
        )

    def suitable_size(self, size: int | None) -> int:
        """Return an input size if it is offered, else the network's own, pixels."""
        return size if size in self.sizes else self.size

    def check_size(self, size: int | None) -> int:
        """Return an input size that is offered, pixels.

        Raises:
            InputError: it is not.
        """
        if size in self.sizes:
            return size
        raise InputError(
            "size_not_offered",
            "The working size of {network} has to be one of {sizes} pixels. Choose one of them.",
            network=self.title,
            sizes=", ".join(map(str, self.sizes)),
        )

    def check_step(self, step: int | None) -> int:
        """Return a step of the training at which there are weights.

        Raises:
            InputError: there are none.
        """
        if step in self.steps:
            return step
        raise InputError(
            "step_not_kept",
            "There are no weights of {network} from that step of its training; there are from {steps}. Choose one of "
            "them.",
            network=self.title,
            steps=", ".join(f"{one:,}" for one in self.steps) or "its end alone",
        )

    def step_at(self, place: int) -> int | None:
        """Return the training step at a place in ``steps``, None behind them, where the training is complete."""
        return self.steps[place] if 0 <= place < len(self.steps) else None


@dataclass(frozen=True)
class Result:
    """The outcome of one run. All maps are in the size given by ``size``, the picture's own unless changed by ``at``.

    It is remembered and shared, so nothing in it can be changed: arrays are read-only, ``seen`` is a copy each time.

    Args:
        network: the network's name.
        known: the classes that the network tells apart, in index order.
        step: of the training, when the weights are a snapshot from its course; None at its end.
        trained: False when the weights were random, and nothing here means anything.
        input_size: working size, pixels.
        size: (width, height) of the maps, pixels.
        placement: where the picture lay in the batch.
        seen: the picture as the network really saw it, padding included.
        logits: (K, h, w) float32, the part of the network's output that the picture takes; (K, 1, 1) of a classifier.
        layers: stage label → summary of what the stage put out, for the stages of the figure.
        previews: label → one thinned-out channel, for the stages inside others.
        seconds: duration of the forward pass, summaries included.
        task: of the network; with "classification" one answer holds for the whole picture and all maps are even; with
            "detection grid" the logits are the scores of the classes for each cell, and nothing lies between cells.
        extent: (columns, rows) of the logits that the picture takes where these are no whole numbers; None is all.
        ending: ``"shares"`` where the values are in proportion to the probabilities, at least 0, and no logits.
        notes: what should be known of the output.
        enlarged: what the network enlarged to its output, where that was its last step; a pickle holds it alone.
    """

    network: str
    known: tuple[ClassInfo, ...]
    trained: bool
    step: int | None
    input_size: int
    size: tuple[int, int]
    placement: Placement
    if TYPE_CHECKING:
        seen: Image.Image
    else:
        seen: _Copies = _Copies()
    logits: np.ndarray
    layers: Mapping[str, Summary]
    previews: Mapping[str, Preview]
    seconds: float
    task: str = "segmentation"
    extent: tuple[float, float] | None = None
    ending: str = "logits"
    notes: tuple[Note, ...] = ()
    enlarged: Enlarged | None = None

    def __post_init__(self) -> None:
        """Make what is shared read-only; an array that came stays writable in the hands it came from."""
        logits = self.logits.view()
        object.__setattr__(self, "logits", freeze(logits))
        for name in ("layers", "previews"):
            shared = dict(getattr(self, name))
            object.__setattr__(self, name, MappingProxyType({label: freeze(value) for label, value in shared.items()}))

    def __getstate__(self) -> dict[str, Any]:
        """Return what to pickle: the fields, without what was worked out from them."""
        state = {field.name: self.__dict__[field.name] for field in fields(self)}
        if self.enlarged is not None and self.enlarged.gives(self.logits):
            state["logits"] = self.logits.shape
        return {**state, "layers": dict(self.layers), "previews": dict(self.previews)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["logits"], tuple):
            state = {**state, "logits": state["enlarged"].part(*state["logits"][1:])}
        self.__dict__.update(state)
        self.__post_init__()

    def at(self, size: tuple[int, int]) -> Result:
        """Return the same result with its maps in another size.

        Args:
            size: (width, height), pixels.
        """
        if size == self.size:
            return self
        known: Result | None = self.__dict__.get("_latest")  # with the maps that were worked out in it
        if known is None or known.size != size:
            known = self.__dict__["_latest"] = replace(self, size=size)
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in index order."""
        return tuple(one.name for one in self.known)

    @cached_property
    def mask(self) -> np.ndarray:
        """The most probable class of each pixel, (H, W) uint8, 0 … K−1; uint16 above 256 classes."""
        mask = np.empty(self.size[::-1], dtype=np.uint8 if len(self.known) <= 256 else np.uint16)
        with alone_after_fork():
            for first, end, able in self._contests():
                if len(able) == 1:
                    mask[first:end] = able[0]
                    continue
                for rows, logits in self._bands(first, end, able):
                    mask[rows] = _greatest(logits, able).numpy()
        mask.setflags(write=False)  # results are shared by way of the cache
        return mask

    @cached_property
    def classes(self) -> tuple[ClassShare, ...]:
        """All classes the network knows, in index order, with their share of the picture in percent."""
        counts = pixels_by_class(self.mask, len(self.names))
        return tuple(
            ClassShare(index, one.name, one.colour, one.hidden, 100 * float(counts[index]) / self.mask.size)
            for index, one in enumerate(self.known)
        )

    def probability(self, name: str) -> np.ndarray:
        """Return the probability of one class, (H, W) float32 in [0, 1].

        Args:
            name: of the class.

        Raises:
            InputError: the network knows no such class.
        """
        if name not in self.names:
            raise InputError(
                "unknown_class",
                "{network} knows no class called {name!r}; it knows {names}.",
                network=self.network,
                name=name,
                names=", ".join(self.names),
            )
        index = self.names.index(name)
        return self._map(lambda logits: self._shares(logits)[index])

    def probabilities_at(self, point: tuple[int, int]) -> np.ndarray:
        """Return the probability of every class at one pixel, (K,) float32, in index order.

        Args:
            point: (x, y) in the map, so in the picture unless changed by ``at``.

        Raises:
            InputError: there is no such pixel.
        """
        x, y = self._inside(point)
        with alone_after_fork():
            _, logits = next(self._bands(y, y + 1))
            return self._shares(logits[:, 0, x]).numpy()

    def class_at(self, point: tuple[int, int]) -> int:
        """Return the index of the most probable class at one pixel; takes and raises what ``probabilities_at`` does."""
        x, y = self._inside(point)
        return int(self.mask[y, x])

    def _inside(self, point: tuple[int, int]) -> tuple[int, int]:
        x, y = point
        if 0 <= x < self.size[0] and 0 <= y < self.size[1]:
            return x, y
        raise InputError(
            "point_outside",
            "There is no pixel ({x}, {y}) in this picture of {width} × {height}. Point at another place.",
            x=x,
            y=y,
            width=self.size[0],
            height=self.size[1],
        )

    @property
    def answer(self) -> dict[str, float]:
        """What a classifier answers: the probability of each class, in [0, 1], in index order. Empty for others."""
        if self.task != "classification":
            return {}
        probabilities = self._shares(self._tensor().flatten())
        return dict(zip(self.names, probabilities.tolist(), strict=True))

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the most probable class, (H, W) float32 in [1/K, 1]."""
        if self.ending == "shares":
            return self._map(lambda values: self._shares(values).amax(0))
        return self._map(lambda logits: (logits.amax(0) - logits.logsumexp(0)).exp())

    @property
    def entropy(self) -> np.ndarray:
        """The entropy of the probabilities in bits, (H, W) float32 in [0, log2 K]."""

        def bits(logits: Tensor) -> Tensor:
            logs = logits.log_softmax(0) if self.ending == "logits" else self._shares(logits).clamp_(1e-30).log()
            return (-(logs.exp() * logs).sum(0) / np.log(2)).clamp_(0, np.log2(len(self.names)))

        return self._map(bits)

    @property
    def nbytes(self) -> int:
        """Memory it holds, in bytes, near enough for a cache."""
        pixels = self.size[0] * self.size[1] + 3 * self.placement.padded[0] * self.placement.padded[1]
        summaries = sum(summary.nbytes for summary in self.layers.values())
        pixels += 0 if self.enlarged is None else self.enlarged.values.nbytes
        return self.logits.nbytes + pixels + summaries + sum(seen.thumbnail.nbytes for seen in self.previews.values())

    def _tensor(self) -> Tensor:
        """Return the logits as a tensor of their own, (K, h, w): PyTorch knows no read-only memory."""
        return torch.from_numpy(self.logits.copy())

    def _shares(self, values: Tensor) -> Tensor:
        """Return the probabilities, (K, …), that sum to 1 over the classes."""
        return values.softmax(0) if self.ending == "logits" else values / values.sum(0).clamp_min(1e-12)

    def _map(self, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        values = np.empty(self.size[::-1], dtype=np.float32)
        with alone_after_fork():
            for rows, logits in self._bands():
                values[rows] = function(logits).numpy()
        return values

    def _contests(self) -> Iterator[tuple[int, int, list[int]]]:
        """Yield which classes may be the greatest in which rows of the picture: (first row, row after the last, those).

        Between four neighbouring logits of a class lies nothing above the greatest of them or below the smallest. So
        where a picture is much larger than the logits, most classes can be left out of the interpolation.
        """
        classes, height_in, width_in = self.logits.shape
        width, height = self.size
        everything = list(range(classes))
        larger = width * height >= 4 * height_in * width_in
        if classes == 1 or self.task == "detection grid" or not larger or not np.isfinite(self.logits).all():
            yield 0, height, everything
            return
        able = _able(self._tensor()).numpy()
        taken = height_in if self.extent is None else self.extent[1]
        above = self._above(torch.arange(height, dtype=torch.float32, device="cpu"), taken)[0].numpy()
        above = above.clip(max=able.shape[1] - 1)
        first = 0
        while first < height:
            end = min(first + ROWS, height)
            yield first, end, np.flatnonzero(able[:, above[first] : above[end - 1] + 1].any(1)).tolist()
            first = end

    def _above(self, rows: Tensor, taken: float) -> tuple[Tensor, Tensor]:
        """Return for rows of the picture the row of logits above each, and how far it lies below that, in [0, 1]."""
        source = ((rows + 0.5) * (taken / self.size[1]) - 0.5).clamp_(0, self.logits.shape[1] - 1)  # half-pixel centres
        above = source.long()
        return above, source - above

    def _bands(
        self, first: int = 0, end: int | None = None, kept: list[int] | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield the logits at ``size``, bilinear, a band of rows at a time: (rows, (K, rows, width) float32).

        The outcome is that of one interpolation of the whole; a 40-megapixel picture would take gigabytes at once.
        Cells of a detection grid stay as they are.

        Args:
            first: row to begin with.
            end: row to end before, None for the picture's end.
            kept: indices of the classes that are asked about, None for all.
        """
        logits = self._tensor() if kept is None else torch.from_numpy(self.logits[kept])
        classes, height_in, width_in = logits.shape
        columns, rows_taken = self.extent or (width_in, height_in)
        width, height = self.size
        end = height if end is None else end
        if (width, height) == (columns, rows_taken):
            yield slice(first, end), logits[:, first:end]
            return
        step = max(1, BAND // (classes * max(width, width_in)))
        for top in range(first, end, step):
            rows = torch.arange(top, min(top + step, end), dtype=torch.float32, device="cpu")
            if self.task == "detection grid":
                down = ((rows + 0.5) * (height_in / height)).long()
                across = ((torch.arange(width) + 0.5) * (width_in / width)).long()
                yield slice(top, top + len(rows)), logits[:, down][:, :, across]
                continue
            above, share = self._above(rows, rows_taken)
            below = (above + 1).clamp_(max=height_in - 1)
            mixed = torch.lerp(logits[:, above], logits[:, below], share[None, :, None])
            if self.extent is not None:
                mixed = _columns(mixed, columns, width)
            elif width != width_in:
                mixed = F.interpolate(mixed[None], (len(rows), width), mode="bilinear", align_corners=False)[0]
            yield slice(top, top + len(rows)), mixed


def maps_of(values: np.ndarray) -> np.ndarray:
    """See an activation as maps (C, h, w): a vector as C single values, a table (N, C) as one map.

    Args:
        values: without the batch dimension; dimensions beyond three are joined into the height.
    """
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    if values.ndim == 2:
        return values[None]
    return values.reshape(values.shape[0], -1, values.shape[-1])


def _columns(logits: Tensor, columns: float, width: int) -> Tensor:
    """Interpolate the first ``columns`` of (K, h, w) to a width, linearly between the middles."""
    last = logits.shape[2] - 1
    source = ((torch.arange(width, dtype=torch.float32, device="cpu") + 0.5) * (columns / width) - 0.5).clamp_(0, last)
    left = source.long()
    return torch.lerp(logits[:, :, left], logits[:, :, (left + 1).clamp_(max=last)], source - left)


def _able(logits: Tensor) -> Tensor:
    """Say for each class and row whether it may be the greatest anywhere between that row and the next.

    Args:
        logits: (K, h, w) float32, finite.

    Returns:
        (K, h − 1) bool; (K, 1) where there is but one row.
    """
    high, low = logits, logits
    for axis in (1, 2):
        if count := logits.shape[axis] - 1:
            high = torch.maximum(high.narrow(axis, 0, count), high.narrow(axis, 1, count))
            low = torch.minimum(low.narrow(axis, 0, count), low.narrow(axis, 1, count))
    rounding = 1e-5 * max(map(abs, map(float, logits.aminmax())))  # of the last bits, which may lie beyond the four
    return (high >= low.amax(0) - rounding).any(2)


def pixels_by_class(mask: np.ndarray, classes: int) -> np.ndarray:
    """Count the pixels of each class, (K,) whole numbers.

    Args:
        mask: (H, W) uint8 or uint16.
        classes: how many there are.
    """
    if mask.dtype == np.uint8:  # several times faster than bincount, which makes 8 bytes of each
        return np.array(Image.fromarray(mask).histogram()[:classes])
    return np.bincount(mask.ravel(), minlength=classes)


def _greatest(logits: Tensor, classes: list[int]) -> Tensor:
    """Return the class with the greatest logit of each pixel, the first of equals, (h, w) uint8, or int32 above 256.

    Many times faster than ``argmax`` over the first dimension, along which memory jumps.

    Args:
        logits: (K, h, w) float32.
        classes: index of each, ascending.
    """
    best = logits[0].clone()
    index = torch.full_like(best, classes[0], dtype=torch.uint8 if classes[-1] < 256 else torch.int32)
    for number, values in zip(classes[1:], logits[1:], strict=True):
        index.masked_fill_(values > best, number)
        torch.maximum(best, values, out=best)
    return index
