"""Work in three steps at once: pictures are read ahead of the network, and what comes of them is written behind it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from segdemo.errors import InputError

AHEAD = 2  # pictures read before their turn
WRITERS = min(4, os.cpu_count() or 1)  # threads; each holds one picture


class Work(Protocol):
    """What is done with each of many things; each step in another thread, in turn for one thing."""

    def read(self, item: Any) -> Any:
        """Get ready what the network needs."""

    def run(self, read: Any) -> Any:
        """Run the network; never two of them at once."""

    def write(self, item: Any, made: Any) -> Any:
        """Write what came of it, and return what is to be said; several may do so at once."""


def outcomes_of(make: Callable[[], Work], items: Iterable[Any], engine: str | None) -> Generator[Any]:
    """Yield what :func:`in_three_steps` does, worked out here or on a cluster.

    Args:
        make: makes the work; picklable.
        items: what is worked on.
        engine: address of the cluster, None for this process.
    """
    if engine is None:
        return in_three_steps(make(), items)
    import torch

    from segdemo.service.batch import spread

    return spread(partial(worker, make), items, engine, torch.get_num_threads())


def in_three_steps(work: Work, items: Iterable[Any], writers: int = WRITERS) -> Generator[Any]:
    """Yield what ``write`` returned of each item, or the InputError that ended it, in the order of the items.

    At most ``AHEAD + 1 + writers`` items are in work, however many there are. The network runs in the caller's thread,
    and waits only where reading or writing takes longer than it does.

    Args:
        work: the three steps.
        items: what is worked on.
        writers: threads that write.
    """
    coming: deque[tuple[Any, Future[Any]]] = deque()
    going: deque[Future[Any]] = deque()
    source = iter(items)
    with _threads(1, "segdemo-reader") as reader, _threads(writers, "segdemo-writer") as writer:
        try:
            while True:
                for item in source:
                    coming.append((item, reader.submit(_outcome, work.read, item)))
                    if len(coming) > AHEAD:
                        break
                if not coming:
                    break
                item, read = coming.popleft()
                made = read.result()
                if not isinstance(made, InputError):
                    made = _outcome(work.run, made)
                going.append(writer.submit(_unless_over, work, item, made))
                while going and (len(going) > writers or going[0].done()):
                    yield going.popleft().result()
            while going:
                yield going.popleft().result()
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
            writer.shutdown(wait=False, cancel_futures=True)


def worker(make: Callable[[], Work]) -> Callable[[Sequence[Any]], Iterator[Any]]:
    """Make what works on some items at a time, for :func:`segdemo.service.batch.spread`."""
    return partial(in_three_steps, make())


def _threads(count: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=name)


def _unless_over(work: Work, item: Any, made: Any) -> Any:
    return made if isinstance(made, InputError) else _outcome(work.write, item, made)


def _outcome(step: Callable[..., Any], *given: Any) -> Any:
    """Return what a step returns, or the InputError that it raises: a picture that cannot be used ends nothing."""
    try:
        return step(*given)
    except InputError as error:
        return error
