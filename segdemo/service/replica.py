"""What runs on the cluster: an engine that answers one call after the other, each as a stream that can be cancelled."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

from segdemo.engine import Cancelled, LocalEngine, Progress, Question
from segdemo.errors import InputError

CALLS = 8  # answered or waiting here at once; with more, the next replica is asked


@dataclass(frozen=True)
class Wanted:
    """What a replica says when it does not keep a picture that a question names."""


@dataclass(frozen=True)
class Refused:
    """What a replica says when a question cannot be answered.

    Args:
        error: why; an InputError, or Cancelled when the replica is ending.
    """

    error: Exception


class Replica:
    """Answers questions with a :class:`LocalEngine` of its own.

    Args:
        networks: by name; None offers what a page does.
        threads: that a forward pass takes. The same number gives the same bits, here and elsewhere.
    """

    def __init__(self, networks: Mapping[str, Any] | None, threads: int) -> None:
        import torch

        from segdemo.questions import OFFERED

        torch.set_num_threads(threads)
        self._engine = LocalEngine(OFFERED if networks is None else networks)
        self._waiting = ThreadPoolExecutor(2 * CALLS, thread_name_prefix="segdemo-replica")

    async def ask(self, question: Question, pictures: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Yield ``Progress`` as it changes, and then the answer, pickled; or ``Wanted``, or ``Refused``.

        What becomes of the call is looked at between two steps: when it is cancelled, the work stops before the next
        layer. A method that is not asynchronous would never hear of it.

        Args:
            question: what is asked.
            pictures: PIL, by fingerprint, those that the replica said it wanted.
        """
        loop = asyncio.get_running_loop()
        over = Event()
        try:
            for picture in pictures.values():
                await loop.run_in_executor(self._waiting, self._engine.keep, picture)
            events = self._engine.ask(question, lambda: not over.is_set())
            last = None
            while True:
                event = await loop.run_in_executor(self._waiting, _next, events)
                if not isinstance(event, Progress):
                    yield event
                    return
                if event != last:
                    yield event
                last = event
        finally:
            over.set()

    async def processor(self) -> int:
        """Return the number of the process."""
        import os

        return os.getpid()


def _next(events: Generator[Any, None, None]) -> Any:
    """Return the next event in the form in which it is sent: answers as bytes, which do not pin shared memory."""
    try:
        event = next(events)
    except InputError as error:
        return Wanted() if error.code == "picture_forgotten" else Refused(error)
    except Cancelled as error:
        return Refused(error)
    return event if isinstance(event, Progress) else pickle.dumps(event, pickle.HIGHEST_PROTOCOL)
