"""Visitors at once on each engine, beside the bare pass: how many answers a second come, and how long each takes."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count, product

from PIL import Image, ImageChops

from benchmarks.methods import SIDES, Case, bare
from benchmarks.report import Table
from benchmarks.stopwatch import times, usual_seconds
from segdemo import LocalEngine
from segdemo.engine import Engine
from segdemo.questions import OFFERED, Run

NETWORK = "deeplabv3_mobilenet_v2"
VISITORS = (1, 4, 16)
ANSWERS = 16  # of each engine to each number of visitors, in each round
ROUNDS = 3
WARM_UP = 4  # answers before the rounds, to as many visitors
PASSES = 8  # bare ones, before each of these
STORE = 200 << 20  # bytes of Ray's own memory


@dataclass
class Taken:
    """What was measured of one engine with so many visitors.

    Args:
        seconds: of each answer.
        rates: answers a second, in each round.
        shares: the same in bare passes: what the passes alone would have taken of each round.
    """

    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        """Write rate, share and the times of answers."""
        cuts = statistics.quantiles(self.seconds, n=20, method="inclusive")
        rate = f"{statistics.median(self.rates):.1f} ({min(self.rates):.1f} to {max(self.rates):.1f})"
        return rate, times(statistics.median(self.shares)), f"{1000 * cuts[9]:.0f} ms", f"{1000 * cuts[18]:.0f} ms"


def serving() -> Table:
    """(i) Answers a second for 1, 4 and 16 visitors, and how long each waits."""
    cores = os.cpu_count() or 1
    table = Table(
        "(i) Serving: visitors at once, against the bare forward pass",
        f"{NETWORK} at {SIDES[NETWORK]} pixels. Each visitor asks for one run after the other, with a picture that "
        f"nobody has asked about, from handing in the picture to the result with every stage summarised; {ANSWERS} "
        f"answers in each of {ROUNDS} rounds. Against bare: answers a second times the seconds of a bare pass with all "
        f"{cores} threads, measured just before; 1 × is all that the passes alone allow. Ray runs on the same machine, "
        f"{cores} replicas of one thread each.",
        ("engine", "visitors", "answers a second", "against bare", "p50", "p95"),
    )
    case = Case(NETWORK)
    taken: dict[tuple[str, int], Taken] = {}
    with ExitStack() as stack:
        engines = {"LocalEngine": stack.enter_context(local_engine()), "RayEngine": stack.enter_context(ray_engine())}
        pictures = unlike_pictures(case.picture)
        for engine in engines.values():
            visit(engine, WARM_UP, [next(pictures) for _ in range(WARM_UP)])  # opens networks, and does not count
        for _, (name, engine), visitors in product(range(ROUNDS), engines.items(), VISITORS):
            base = usual_seconds(bare(case), PASSES)
            seconds, whole = visit(engine, visitors, [next(pictures) for _ in range(ANSWERS)])
            kept = taken.setdefault((name, visitors), Taken())
            kept.seconds += seconds
            kept.rates.append(len(seconds) / whole)
            kept.shares.append(len(seconds) * base / whole)
    table.rows += [(name, str(visitors), *one.cells()) for (name, visitors), one in taken.items()]
    return table


def visit(engine: Engine, visitors: int, pictures: list[Image.Image]) -> tuple[list[float], float]:
    """Let visitors ask about all pictures; returns the seconds of each answer, and those of all together."""
    todo = list(pictures)

    def one() -> list[float]:
        seconds: list[float] = []
        while True:
            try:
                picture = todo.pop()
            except IndexError:
                return seconds
            started = time.perf_counter()
            engine.answer(Run(NETWORK, engine.keep(picture), SIDES[NETWORK]))
            seconds.append(time.perf_counter() - started)

    started = time.perf_counter()
    with ThreadPoolExecutor(visitors) as threads:
        asked = [threads.submit(one) for _ in range(visitors)]
        seconds = [value for visitor in asked for value in visitor.result()]
    return seconds, time.perf_counter() - started


def unlike_pictures(picture: Image.Image) -> Iterator[Image.Image]:
    """Yield the picture, shifted a little further each time: no answer about one is an answer about another."""
    for number in count():
        yield ImageChops.offset(picture, number % picture.width, number // picture.width)


@contextmanager
def local_engine() -> Iterator[Engine]:
    """An engine in this process, as the page has it."""
    engine = LocalEngine(OFFERED)
    yield engine
    engine.close()


@contextmanager
def ray_engine() -> Iterator[Engine]:
    """An engine on a Ray of this machine, with a replica for each processor; nothing of it is left afterwards."""
    import ray
    from ray import serve

    from segdemo.service import RayEngine

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))  # else Ray writes one into the home folder
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    folder = tempfile.mkdtemp(prefix="r")  # short: Ray's sockets lie in it
    ray.init(
        num_cpus=os.cpu_count(),
        object_store_memory=STORE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=folder,
    )
    try:
        engine = RayEngine()
        yield engine
        engine.close()
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
