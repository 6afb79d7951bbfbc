"""What of a picture each value of each stage can see: exact arithmetic on every operation, nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.fields import Field, Reach
from segdemo.explain.follow import fields_of
from segdemo.images import place
from segdemo.networks import Network

CANVAS = 2048  # pixels; what sees all of so large a batch is said to see all of any


@dataclass(frozen=True)
class StageReach:
    """What a stage can see.

    Args:
        label: of the stage.
        layer: its dotted name.
        shape: that it puts out, without the batch dimension.
        field: of the batch of this picture, cut at its borders; None where the picture has no part in it.
        largest: (width, height) of what one value sees where no border is near, pixels of the batch; a side is None
            where it sees all of a batch however large; None where the network takes no larger batch.
    """

    label: str
    layer: str
    shape: tuple[int, ...]
    field: Field | None
    largest: tuple[int | None, int | None] | None

    def box(self, cell: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return what one value sees, (left, top, right, bottom) in pixels of the batch; all 0 for nothing."""
        return (0, 0, 0, 0) if self.field is None else self.field.box(cell)


@dataclass(frozen=True)
class ReceptiveFields(Question):
    """Ask what of a picture each value of each stage can see; no value is computed for it.

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

    def answer(self, bench: Bench) -> tuple[StageReach, ...]:
        """Follow the network for this picture, and for a large one."""
        spec = bench.spec
        width, height = place(self.picture_size or (bench.size, bench.size), spec.preprocessing, bench.size).padded
        layers = [stage.layer for stage in spec.stages]
        here = fields_of(bench.module, layers, height, width, spec.preprocessing.channels)
        large = largest_of(bench.module, spec, layers)
        return tuple(
            StageReach(stage.label, stage.layer, shape[1:], field, large.get(stage.layer))
            for stage in spec.stages
            for field, shape in (here.get(stage.layer, (None, ())),)
        )


def largest_of(module: nn.Module, spec: Network, layers: list[str]) -> dict[str, tuple[int | None, int | None]]:
    """Work out how much one value of each layer sees where no border is near.

    Args:
        module: the network.
        spec: what is known of it.
        layers: dotted names.

    Returns:
        Layer → (width, height) as in :class:`StageReach`; empty where the network takes no large batch.
    """
    rule = spec.preprocessing
    if len(rule.sizes) == 1:
        return {}
    side = (CANVAS - rule.remainder) // rule.stride * rule.stride + rule.remainder
    try:
        found = fields_of(module, layers, side, side, rule.channels)
    except InputError:
        return {}

    def extent(reach: Reach) -> int | None:
        most = int((reach.last - reach.first).max()) + 1
        return None if most >= side else max(most, 0)

    return {
        layer: (extent(field.columns), extent(field.rows)) for layer, (field, _) in found.items() if field is not None
    }
