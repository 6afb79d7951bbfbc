"""Many pictures over a cluster: Ray Data hands parts of the list to actors, each of which keeps its network."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from typing import Any

from segdemo.errors import InputError
from segdemo.service.cluster import Cluster

PART = 32  # items handed to an actor at once, at most
PARTS = 4  # for each actor at least, as far as there are items: none is to wait long for the last

PATIENCE = 50  # times that processors are looked for, a fifth of a second apart

Work = Callable[[Sequence[Any]], Iterable[Any]]


def spread(make: Callable[[], Work], items: Iterable[Any], address: str, threads: int) -> Generator[Any]:
    """Yield what comes of each item, in the order of the items.

    Args:
        make: makes, once in each actor, what works on some items and yields an outcome for each; picklable, as items
            and outcomes are.
        items: what is worked on.
        address: of the cluster, as for :meth:`Cluster.at`.
        threads: that an actor computes with, and processors it takes. The same number gives the same bits, here and
            elsewhere.

    Raises:
        InputError: there is no such cluster, or Ray is not installed.
    """
    cluster = Cluster.at(address)
    try:
        yield from _outcomes(cluster, make, list(items), threads)
    finally:
        cluster.leave()


def _outcomes(cluster: Cluster, make: Callable[[], Work], items: list[Any], threads: int) -> Generator[Any]:
    if not items:
        return
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    processors = min(threads, cluster.processors)
    actors = _free(cluster, processors) // processors
    if not actors:
        raise InputError(
            "engine_full",
            "All processors of the cluster are taken: {count} are needed and {free} are free. Add machines, or end "
            "what runs there; `serve shutdown -y` ends the replicas of pages.",
            count=processors,
            free=cluster.free,
        )
    size = max(1, min(PART, len(items) // (actors * PARTS)))
    parts = [{"part": pickle.dumps(items[first : first + size])} for first in range(0, len(items), size)]
    items.clear()
    kind: Any = Actor  # Ray's types have functions only
    done = ray.data.from_items(parts, override_num_blocks=len(parts)).map(
        kind,
        fn_constructor_args=(make, threads, os.getcwd()),
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(parts))),
        num_cpus=processors,
    )
    parts.clear()
    for row in done.iter_rows():
        yield from pickle.loads(row["outcomes"])


def _free(cluster: Cluster, needed: int) -> int:
    """Return how many processors are free, where need be after a while: those of a killed command are so soon."""
    for _ in range(PATIENCE):
        if cluster.free >= needed:
            break
        time.sleep(0.2)
    return cluster.free


class Actor:
    """Works on parts of a list.

    Args:
        make: as for :func:`spread`.
        threads: likewise.
        folder: in which the command was given: paths are from there.
    """

    def __init__(self, make: Callable[[], Work], threads: int, folder: str) -> None:
        import torch

        with suppress(OSError):  # where this machine has no such folder, paths from the root may still be the same
            os.chdir(folder)
        torch.set_num_threads(threads)
        self._work = make()

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Return the outcomes of a part."""
        return {"outcomes": pickle.dumps(list(self._work(pickle.loads(row["part"]))))}
