"""Passes at once: what two visitors gain from it, and what it costs one who is alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.methods import Case
from segdemo.engine import LocalEngine
from segdemo.questions import Run

RUNS = 3  # of each visitor in a round
PAIRS = (("unet", "unet_narrow"), ("unet_mobilenet_v2", "selfie"), ("deeplabv3_mobilenet_v2", "u2netp"))


def methods(networks: tuple[str, ...]) -> dict[str, Callable[[], object]]:
    """Return what is timed: one visitor for each network, who asks for one run after the other, none remembered.

    Args:
        networks: of the visitors.
    """
    return {f"{count} at once": _visits(LocalEngine(passes=count, answers=0), networks) for count in (1, 2)}


def _visits(engine: LocalEngine, networks: tuple[str, ...]) -> Callable[[], object]:
    picture = engine.keep(Case(networks[0]).picture)

    def visit(network: str) -> None:
        for _ in range(RUNS):
            engine.answer(Run(network, picture))

    def visits() -> None:
        with ThreadPoolExecutor(len(networks)) as visitors:
            list(visitors.map(visit, networks))

    return visits
