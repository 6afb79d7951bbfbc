"""What all labs share: the picture as a batch, what a lab shows, and the small tasks at its end.

A lab shows what its snippet computes. The snippet is made here and never typed by a visitor, and ``run`` does the same
with functions of our own; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from segdemo.labs.controls import Control

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import nn

"""
READ = """picture = ImageOps.contain(Image.open("picture.png").convert("RGB"), ({side}, {side}))
pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
batch = pixels.view(1, picture.height, picture.width, 3).permute(0, 3, 1, 2) / 255  # (1, 3, H, W), from 0 to 1
"""


def read(picture: Image.Image, side: int) -> Tensor:
    """Return a picture as the snippets read it: (1, 3, H, W) float32 from 0 to 1, the longer side ``side`` pixels."""
    small = small_picture(picture, side)
    pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
    return pixels.view(1, small.height, small.width, 3).permute(0, 3, 1, 2) / 255


def small_picture(picture: Image.Image, side: int) -> Image.Image:
    """Return the picture that a lab works on; reading it once more changes nothing."""
    return ImageOps.contain(picture.convert("RGB"), (side, side))


@dataclass(frozen=True)
class Maps:
    """Maps to be drawn, each in its own pixels.

    Args:
        name: of the block; its heading is the text ``<lab>.block.<name>``.
        values: (C, h, w) float32; or (3, h, w) from 0 to 1 for a picture.
        picture: they are red, green and blue of one picture.
        shape: of the tensor that they are part of.
        padded: rows and columns that padding has put around the values on each side.
        labels: a word for each map, or none.
    """

    name: str
    values: np.ndarray
    picture: bool = False
    shape: tuple[int, ...] = ()
    padded: int = 0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows of plain values.

    Args:
        name: of the block.
        columns: keys of their headings, ``<lab>.column.<key>``.
        rows: words, numbers and None; True and False are shown as yes and no.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Formula:
    """A formula, then the same with its numbers.

    Args:
        name: of the block.
        lines: one formula each, understood in every language.
    """

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Curves:
    """Numbers in order, one curve each.

    Args:
        name: of the block.
        series: by a word for each curve; drawn over 1, 2, 3, …
        logarithmic: powers of ten are evenly spaced.
    """

    name: str
    series: Mapping[str, tuple[float, ...]]
    logarithmic: bool = False


@dataclass(frozen=True)
class Said:
    """A sentence about what came out.

    Args:
        name: the text is ``<lab>.said.<name>``.
        values: of its placeholders.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Box:
    """One box of a figure.

    Args:
        label: unique in it.
        row: 0 at the top; deeper rows are lower in resolution.
        column: 0 at the left.
        inputs: labels of the boxes that it takes from.
        skips: labels of those that reach it over a skip connection.
        shape: of what it puts out, without the batch.
        picture: of that, (h, w, 3) uint8, or None.
        note: word for what is to be said of it, as the values of tables are, or "".
        count: behind the note, such as "2/2".
    """

    label: str
    row: int
    column: int
    inputs: tuple[str, ...]
    skips: tuple[str, ...]
    shape: tuple[int, ...]
    picture: np.ndarray | None = None
    note: str = ""
    count: str = ""


@dataclass(frozen=True)
class Boxes:
    """A network as a figure, as its trace tells.

    Args:
        name: of the block.
        boxes: in order.
    """

    name: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Bars:
    """Shares of a whole, the greatest first.

    Args:
        name: of the block.
        bars: a word for each, and its share from 0 to 1.
    """

    name: str
    bars: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Leaf:
    """One tensor of a state.

    Args:
        key: its name, with dots.
        fate: word for what became of it, as the values of tables are.
        shape: of it.
        gradient: whether it gets a gradient, None of what never does.
    """

    key: str
    fate: str
    shape: tuple[int, ...]
    gradient: bool | None = None


@dataclass(frozen=True)
class Tree:
    """Names of tensors as a tree, with what became of each.

    Args:
        name: of the block.
        leaves: in order.
    """

    name: str
    leaves: tuple[Leaf, ...]


Block = Maps | Table | Formula | Curves | Said | Boxes | Bars | Tree


@dataclass(frozen=True)
class Outcome:
    """What a lab found.

    Args:
        values: what the snippet computes, by the names it has there.
        blocks: what is shown, from top to bottom.
        facts: what else the tasks ask about.
    """

    values: Mapping[str, np.ndarray]
    blocks: tuple[Block, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """Something small to try; its texts are ``<lab>.task.<name>``, ``….hint`` and ``….reason``.

    Args:
        name: of the task.
        is_done: says of the settings and the outcome whether this is it.
    """

    name: str
    is_done: Callable[[Mapping[str, Any], Outcome], bool]


class Lab(Protocol):
    """What the file of a lab holds."""

    TITLE: str  # key of a text
    TASKS: tuple[Task, ...]

    def settings(self) -> dict[str, Control]:
        """Return its controls by name, in the order in which they are shown."""

    def snippet(self, **settings: Any) -> str:
        """Return PyTorch and Pillow that computes what the lab shows."""

    def run(self, picture: Image.Image, **settings: Any) -> Outcome:
        """Compute it."""


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """Write a call with keyword arguments."""
    return f"{name}({', '.join(f'{key}={_literal(value)}' for key, value in arguments.items())})"


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array of its own."""
    return tensor.detach().contiguous().numpy().copy()
