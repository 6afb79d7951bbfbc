"""What a person decides about a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
        lr: highest learning rate.
        started_lr: share of the rate for tensors that came from ``--init``: what is known already should not be
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
    lr: float = 2e-3
    started_lr: float = 0.2
    decay: float = 0.02
    freeze: tuple[str, ...] = ()
    seed: int = 0
    save_every: float = 3.0
    snapshots: int = 0
    bfloat16: bool = True
    loss: Weights = field(default_factory=Weights)


@dataclass(frozen=True)
class Material:
    """What a run learns from, and what it is scored on.

    Args:
        data: archives, folders and data sets of pictures with masks.
        pictures: archives and folders of pictures whose masks are not looked at.
        val: archive to score on now and then, never learned from; None without one.
        val_limit: how many of its pictures.
        teacher: name of an embedded network whose soft labels are learned too; None without one.
        teacher_side: its input size, pixels; None takes its own.
        teacher_finds: leave out ``pictures`` in which it finds anything but the background on less than this share.
        teacher_on: ask it about ``"all"``, or about ``"pictures"`` only.
        init: file of weights to start from, as far as they fit; None starts from random ones.
    """

    data: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    val: str | None = None
    val_limit: int = 200
    teacher: str | None = None
    teacher_side: int | None = None
    teacher_finds: float = 0.0
    teacher_on: Literal["all", "pictures"] = "all"
    init: str | None = None
