"""What a person decides about a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from segdemo.training.losses import Weights


@dataclass(frozen=True)
class Settings:
    """All that a run depends on beside the network and the pictures.

    Args:
        out: folder for weights, state and curves.
        minutes: time budget that the schedule ends in; None: ``epochs`` is the budget.
        epochs: passes over the pictures that the schedule ends in, when there is no time budget.
        sides: sizes of the square crops in pixels, each for an equal share of the budget. Small ones first cost
            little and teach where things are; larger ones then sharpen the outlines.
        batch: pictures in a step, over all processes together.
        rate: highest learning rate.
        started_rate: share of the rate for tensors that came from ``--init``: what is known already should not be
            thrown over.
        decay: weight decay of AdamW, for kernels only.
        freeze: names of modules that do not learn.
        seed: of the order of the pictures and of every change made to them.
        save_every: minutes between two states.
        snapshots: how many float16 snapshots to keep, 0 or at least 2.
        bfloat16: compute in bfloat16 where PyTorch thinks it safe.
        loss: weights of the parts of the loss.
    """

    out: Path
    minutes: float | None = None
    epochs: int = 10
    sides: tuple[int, ...] = (128,)
    batch: int = 32
    rate: float = 2e-3
    started_rate: float = 0.2
    decay: float = 0.02
    freeze: tuple[str, ...] = ()
    seed: int = 0
    save_every: float = 3.0
    snapshots: int = 0
    bfloat16: bool = True
    loss: Weights = field(default_factory=Weights)
