"""Timing that does not favour whoever comes first: methods take turns, after warming up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def take_turns(methods: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Time every method as often, one after the other in each round.

    Args:
        methods: what to call, by name.
        repeats: rounds that count.
        warm_up: rounds before them that do not.

    Returns:
        Seconds of each round, by method.
    """
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(warm_up + repeats):
        for name, method in methods.items():
            started = time.perf_counter()
            kept = method()
            elapsed = time.perf_counter() - started
            del kept  # after the clock stopped: freeing is not part of the method
            if turn >= warm_up:
                seconds[name].append(elapsed)
    return seconds


def usual_seconds(method: Callable[[], object], repeats: int) -> float:
    """Return the median of a few calls."""
    return median(take_turns({"": method}, repeats, warm_up=1)[""])


def milliseconds(seconds: list[float]) -> str:
    """Write a median, with the range in which all rounds lie: ``"123 ms (120 to 131)"``."""
    middle, low, high = (1000 * value for value in (median(seconds), min(seconds), max(seconds)))
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ms ({low:.{digits}f} to {high:.{digits}f})"


def ratio(seconds: list[float], base: list[float]) -> str:
    """Write how many times the base's median the median is: ``"1.08 ×"``."""
    return times(median(seconds) / median(base))


def ratio_in_turns(seconds: list[float], base: list[float]) -> str:
    """Write the median of the ratios within each round, which what else the machine does hardly changes."""
    return times(median(one / other for one, other in zip(seconds, base, strict=True)))


def times(value: float) -> str:
    """Write a ratio: ``"1.08 ×"``."""
    return f"{value:.2f} ×" if value < 10 else f"{value:.0f} ×"
