"""What the tools of the tab "Why" cost, against the bare passes that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import torch

from benchmarks.methods import Case
from segdemo.engine import LocalEngine
from segdemo.explain.autopsy import PixelAutopsy
from segdemo.explain.evidence import ClassEvidence
from segdemo.explain.mixer import Change, Mix
from segdemo.explain.readout import LinearReadout
from segdemo.networks import NETWORKS
from segdemo.questions import Run

FORWARD, BOTH = "bare forward", "bare forward and backward"


def places(name: str) -> tuple[str, str, str]:
    """Return the labels of an early, a middle and a late stage of a network."""
    stages = [stage.label for stage in NETWORKS[name].stages]
    return stages[0], stages[len(stages) // 2], stages[-2]


def methods(case: Case, name: str) -> dict[str, tuple[str, Callable[[], object]]]:
    """Return what is timed, and which bare pass it is held against.

    Args:
        case: has the network and the picture.
        name: of the network.
    """
    engine, side, number = LocalEngine({name: case.segmenter.spec}), case.side, count()
    picture = engine.keep(case.picture)
    engine.answer(Run(name, picture, side))
    module = engine.open(name).module

    def forward() -> object:
        with torch.inference_mode():
            return module(case.batch)

    def both() -> object:
        batch = case.batch.clone().requires_grad_()
        return torch.autograd.grad(module(batch)[0, :, 9, 9].sum(), batch)

    def another() -> tuple[int, int]:
        """Return a pixel that was not asked about before."""
        place = next(number)
        return 20 + place % 400, 20 + place // 400

    def move(stage: str) -> Callable[[], object]:
        return lambda: engine.answer(Mix(name, picture, (Change(stage, factor=0.5 + next(number) / 1000),), side))

    def evidence() -> object:
        asked = ClassEvidence(name, picture, middle, where="pixel", point=another(), size=side)
        return engine.answer(asked)

    early, middle, late = places(name)
    return {
        FORWARD: (FORWARD, forward),
        BOTH: (BOTH, both),
        "pixel autopsy": (BOTH, lambda: engine.answer(PixelAutopsy(name, picture, another(), side))),
        "class evidence with its control": (BOTH, evidence),
        "linear read-outs": (FORWARD, lambda: engine.answer(LinearReadout(name, picture, another(), side))),
        f"mixer: a move at {early}": (FORWARD, move(early)),
        f"mixer: a move at {middle}": (FORWARD, move(middle)),
        f"mixer: a move at {late}": (FORWARD, move(late)),
    }
