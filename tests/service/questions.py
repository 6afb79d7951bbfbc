"""Questions that hold on, die or ask for too much, and pages on an engine; importable where replicas run."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from segdemo.engine import Bench, Question


@dataclass(frozen=True)
class Steps(Question):
    """Work of 478 steps, each noted in a file; the fourth takes until nobody waits for it any more.

    Args:
        folder: path of a folder for the notes.
        network: decides which replica is asked.
    """

    folder: str
    network: str = "lenet"

    def answer(self, bench: Bench) -> int:
        for number in range(478):
            bench.check()
            bench.report(number, 478)
            while number == 3 and bench.should_continue():
                time.sleep(0.005)
            (Path(self.folder) / str(number)).touch()
        return 478


@dataclass(frozen=True)
class Dies(Question):
    """Ends the process of the replica the first few times.

    Args:
        folder: path of a folder for the notes.
        times: how often.
    """

    folder: str
    times: int

    def answer(self, bench: Bench) -> int:
        before = len(list(Path(self.folder).iterdir()))
        if before < self.times:
            (Path(self.folder) / str(before)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return before


@dataclass(frozen=True)
class Waits(Question):
    """Waits for a file.

    Args:
        path: of the file.
        number: tells questions apart.
    """

    path: str
    number: int

    def answer(self, bench: Bench) -> int:
        while not os.path.exists(self.path):
            bench.check()
            time.sleep(0.005)
        return self.number


@dataclass(frozen=True)
class WhichProcess(Question):
    """The process that answers; a network, a picture and a size decide which that is."""

    network: str
    picture: str
    size: int
    step: int | None = None
    again: int = 0

    def answer(self, bench: Bench) -> int:
        return os.getpid()
