"""What a library tells of one of its networks. What it leaves open is guessed, and said to be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

Numbers = tuple[float, float, float]


@dataclass(frozen=True)
class Known:
    """What is known of a network before it has run.

    Args:
        title: what people read; "" takes the name of its type.
        classes: for a number of classes, their names, where so many would have these.
        mean: of each channel, RGB in [0, 1]; None is not known.
        std: standard deviation of each channel; None is not known.
        size: input size that it was made for, pixels; None is not known.
        sizes: input sizes to offer, pixels; empty where only guesses can be offered.
        fixed: whether it takes squares of its size alone.
        stride: sides have to be multiples of it, pixels; None is not known.
        shape: as for :class:`Preprocessing`.
        source: address of its paper or its documentation.
    """

    title: str = ""
    classes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    mean: Numbers | None = None
    std: Numbers | None = None
    size: int | None = None
    sizes: tuple[int, ...] = ()
    fixed: bool = False
    stride: int | None = None
    shape: Literal["pad", "square", "stretch"] = "pad"
    source: str = ""


def comes_from(module: nn.Module, library: str) -> bool:
    """Say whether a network's class, or one that it is derived from, is defined in a library."""
    return any(kind.__module__.partition(".")[0] == library for kind in type(module).__mro__)


def three(numbers: object) -> Numbers | None:
    """Return a mean or deviation of three channels, or None for anything else."""
    try:
        red, green, blue = (float(number) for number in numbers)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return None
    return red, green, blue
