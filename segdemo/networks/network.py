"""What the rest of the program may know about a network: its stages, its preprocessing, its classes, its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

from segdemo.networks.classes import ClassInfo


@dataclass(frozen=True)
class Stage:
    """A named viewing point of a network. Authors declare label, layer and what is inside; a trace tells the rest.

    Args:
        label: what people read, unique in its network, also used in addresses: ``"Encoder 1"``.
        layer: the module or operation whose output is looked at, by name: ``"down1"``, ``"relu:2"``, ``"up1.cat"``.
        row: depth in the figure, 0 at the top; deeper rows are lower in resolution.
        column: place from left to right, 0 first.
        inputs: labels of the stages it takes its input from; in a traced figure ``"input"`` is the batch.
        skips: labels of the stages that reach it over a skip connection.
        inside: smaller stages within this one, drawn inside its box; rows and columns count within the box.
        kind: whether the layer is a module or an operation between modules.
        shape: of what it put out when it was traced, without the batch; () where nobody traced it.
        opens: whether it consists of smaller stages that :func:`segdemo.figure.opened` can show.
        within: label of the box that was opened to show it, "" where none was.
    """

    label: str
    layer: str
    row: int = 0
    column: int = 0
    inputs: tuple[str, ...] = ()
    skips: tuple[str, ...] = ()
    inside: tuple[Stage, ...] = ()
    kind: Literal["module", "operation"] = "module"
    shape: tuple[int, ...] = ()
    opens: bool = False
    within: str = ""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a batch.

    Args:
        size: working size used unless another is asked for: longest side in pixels.
        sizes: working sizes offered, in pixels, ascending; a single one is the only one that works.
        stride: sides of a batch are multiples of it, in pixels…
        remainder: …plus this many pixels (1 for networks made for sides 8k + 1).
        shape: ``"pad"`` keeps the proportions and pads right and bottom to the next allowed size; ``"square"`` keeps
            them and pads to a square; ``"stretch"`` resizes both sides to the working size.
        mean: subtracted from each channel, RGB, of a picture scaled to [0, 1].
        std: what each channel is divided by afterwards. Padding is 0 after this step.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma); of mean and std the first ``channels`` count.
    """

    size: int
    sizes: tuple[int, ...]
    stride: int
    remainder: int = 0
    shape: Literal["pad", "square", "stretch"] = "pad"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal[1, 3] = 3


@dataclass(frozen=True)
class Choice:
    """One tensor of several that a network returns, and what it would be read as.

    Args:
        leaf: its name in what the network returns, ``"out"``, ``"1"``.
        task: as of a :class:`Network`.
        count: K, classes or channels.
        shape: of the tensor, for a small batch.
    """

    leaf: str
    task: Literal["segmentation", "classification"]
    count: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """One network, as menus, diagrams, checkpoints and tests see it.

    Args:
        name: file stem of the network, and of ``checkpoints/<name>.safetensors``.
        title: what people read.
        task: what the logits mean; ``"segmentation"`` returns (B, K, H, W) for a batch (B, 3, H, W),
            ``"classification"`` (B, K): one answer for the whole picture; ``"detection grid"`` (B, …, S, S), one value
            for each of S × S cells of the picture, whose last K channels are scores of the classes.
        build: makes the network with random weights, given the number of classes K; a class or a function of a
            module, so that the specification can be pickled.
        classes: what the logits tell apart, in index order.
        stages: viewing points in figure order.
        preprocessing: how a picture becomes a batch.
        source: address of the paper.
        weights: ``"checkpoint"``: those of its checkpoint; ``"given"``: the module comes with its own, and ``build``
            returns it; ``"random"``: there are none to load; ``"official"``: those that :mod:`segdemo.official` finds.
        ending: ``"shares"`` where the module ends in a softmax or sigmoid of its own, else ``"logits"``.
        guesses: what of all this was guessed: ``"classes"``, ``"normalisation"``, ``"size"``, ``"output"``,
            ``"ending"``.
        untrained: beginnings of names of tensors that no embedded weights exist for, ``"classifier."``: they stay
            random, and so does all that depends on them.
        traced: whether its stages are what a traced pass found, and nobody has labelled them.
        outputs: the tensors that it returns, where there are several that can be read.
        output: the one of them that is read; "" is the likeliest.
        official: name under which torchvision has official weights for it, "" where there are none.
        places: (label, row, column) of stages that stand elsewhere in the paper's figure than a trace would put them.
    """

    name: str
    title: str
    task: Literal["segmentation", "classification", "detection grid"]
    build: Callable[[int], nn.Module]
    classes: tuple[ClassInfo, ...]
    stages: tuple[Stage, ...]
    preprocessing: Preprocessing
    source: str
    weights: Literal["checkpoint", "given", "random", "official"] = "checkpoint"
    ending: Literal["logits", "shares"] = "logits"
    guesses: tuple[str, ...] = ()
    untrained: tuple[str, ...] = ()
    places: tuple[tuple[str, int, int], ...] = ()
    traced: bool = False
    outputs: tuple[Choice, ...] = ()
    output: str = ""
    official: str = ""

    @property
    def foreign(self) -> bool:
        """Whether it comes from elsewhere: nothing but its trace tells how what its layers put out is laid out."""
        return self.traced or self.weights == "given"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in index order."""
        return tuple(one.name for one in self.classes)

    def every_stage(self) -> Iterator[Stage]:
        """Yield all stages, those inside others right after the one they are in."""
        for stage in self.stages:
            yield stage
            yield from stage.inside
