"""The threads that answer questions: several at once, but never two that take the same thing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch

from segdemo import ambient


class TakesMore(BaseException):  # not to be caught by what expects anything of a stranger's code
    """Work turns out to take more than was said before.

    Args:
        more: what else.
    """

    def __init__(self, more: Iterable[Hashable]) -> None:
        super().__init__()
        self.more = frozenset(more)


@dataclass(eq=False)
class _Turn:
    """Work, what it takes, and what comes of it."""

    takes: frozenset[Hashable]
    work: Callable[[frozenset[Hashable], int], Any]
    place: int = 0
    future: Future[Any] = field(default_factory=Future)


class Workers:
    """Does work in the order in which it comes, several at once as far as they take different things.

    Whatever takes the same waits for its turn, and lets pass what takes something else. Each thread computes with its
    share of PyTorch's threads, whether others are at work or not: their number decides the last bits of what comes out.

    Args:
        count: how many at once.
    """

    def __init__(self, count: int) -> None:
        share = max(1, torch.get_num_threads() // count)
        own: dict[str, Any] = {"initializer": ambient.set_threads, "initargs": (share,)} if count > 1 else {}
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="segdemo-engine", **own)
        self._count = count
        self._waiting: list[_Turn] = []
        self._running: list[_Turn] = []
        self._closed = False
        self._lock = Lock()  # of the lists; held for no longer than a look

    def submit(self, takes: frozenset[Hashable], work: Callable[[frozenset[Hashable], int], Any]) -> Future[Any]:
        """Have work done.

        Args:
            takes: what nobody else may take meanwhile.
            work: called with that, and with its place: 0 where there is one, else 1 to as many as there are, each held
                by one at a time. Where it raises :class:`TakesMore`, it is begun anew when that is free as well.

        Returns:
            What comes of it; cancelled where the end came first.
        """
        turn = _Turn(takes, work)
        with self._lock:
            self._waiting.append(turn)
            self._begin()
        return turn.future

    def shutdown(self) -> None:
        """Do what has begun to the end, and nothing else."""
        with self._lock:
            self._closed = True
            self._begin()
        self._threads.shutdown()

    def _begin(self) -> None:
        """Begin what may begin; with the lock."""
        if self._closed:
            while self._waiting:
                future = self._waiting.pop().future
                future.cancel()
                future.set_running_or_notify_cancel()  # tells those who wait
        taken = frozenset[Hashable]().union(*(turn.takes for turn in self._running))
        for turn in tuple(self._waiting):
            if len(self._running) < self._count and taken.isdisjoint(turn.takes):
                places = {other.place for other in self._running}
                turn.place = next(place for place in range(self._count > 1, self._count + 1) if place not in places)
                self._waiting.remove(turn)
                self._running.append(turn)
                self._threads.submit(self._do, turn)
            taken |= turn.takes  # whoever comes later does not overtake it

    def _do(self, turn: _Turn) -> None:
        try:
            answer = turn.work(turn.takes, turn.place)
        except TakesMore as needs:
            turn.takes |= needs.more
            self._end(turn, again=True)
        except BaseException as error:
            self._end(turn)
            turn.future.set_exception(error)
        else:
            self._end(turn)
            turn.future.set_result(answer)

    def _end(self, turn: _Turn, *, again: bool = False) -> None:
        with self._lock:
            self._running.remove(turn)
            if again:
                self._waiting.insert(0, turn)
            self._begin()
