"""Where a run stands: how much of its budget is used, the learning rate there, the size of the pictures there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PAUSE = 30.0  # seconds; a step that took longer was no step: the process was stopped, or the machine slept


@dataclass
class Clock:
    """Seconds spent on learning, pauses left out, and the share of the budget that is used.

    Args:
        minutes: the time budget; None when the number of steps is the budget.
        steps: the budget in steps; None when time is.
        elapsed: seconds of learning so far.
        step: steps done so far.
    """

    minutes: float | None
    steps: int | None
    elapsed: float = 0.0
    step: int = 0
    _usual: float = 1.0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("either minutes or steps")

    @property
    def progress(self) -> float:
        """Share of the budget that is used, 0 … 1."""
        share = self.elapsed / (self.minutes * 60) if self.minutes is not None else self.step / (self.steps or 1)
        return min(1.0, share)

    @property
    def left(self) -> float:
        """Seconds left, at the speed so far."""
        if self.minutes is not None:
            return max(0.0, self.minutes * 60 - self.elapsed)
        return self.elapsed / max(1, self.step) * ((self.steps or 0) - self.step)

    def count(self, seconds: float) -> None:
        """Count one step that took so long; a pause within it counts as a usual step does."""
        if seconds < PAUSE:
            self._usual += 0.1 * (seconds - self._usual)
        self.elapsed += seconds if seconds < PAUSE else self._usual
        self.step += 1


def rate_at(progress: float, warm_up: float = 0.02, floor: float = 0.01) -> float:
    """Return the learning rate as a share of the highest one: a short way up, then half a cosine down.

    Args:
        progress: share of the budget used, 0 … 1.
        warm_up: share of the budget in which the rate rises.
        floor: what is left at the end.

    Source: Loshchilov and Hutter 2017, "SGDR", https://arxiv.org/abs/1608.03983
    """
    if progress < warm_up:
        return floor + (1 - floor) * progress / warm_up
    down = (progress - warm_up) / (1 - warm_up)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * down))


def side_at(progress: float, sides: Sequence[int]) -> int:
    """Return the size of the pictures, in pixels: each of the sides for an equal share of the budget."""
    return sides[min(len(sides) - 1, int(progress * len(sides)))]


def snapshot_at(number: int, count: int) -> float:
    """Return the progress at which to keep a snapshot: densely at first, when most is learned.

    Args:
        number: of the snapshot, 0 … count − 1.
        count: how many are kept, at least 2; the first before the first step, the last after the last.
    """
    return (number / (count - 1)) ** 2
