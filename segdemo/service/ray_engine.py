"""An engine whose answers come from replicas on a Ray cluster; whoever asks cannot tell the difference."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from segdemo.cache import Cache, freeze, size_of
from segdemo.engine import (
    ANSWERS,
    PICTURES,
    POLL,
    Cancelled,
    LocalEngine,
    PictureSource,
    Progress,
    Question,
    Read,
    ShouldContinue,
    always,
)
from segdemo.errors import InputError
from segdemo.service.cluster import AUTO, Cluster
from segdemo.service.deployment import handle_of
from segdemo.service.replica import Refused, Wanted

TRIES = 2  # a call whose replica was lost is made once more


class _Lost(Exception):
    """The replica that worked on an answer is gone."""


class RayEngine:
    """Asks replicas on a Ray cluster. See :class:`segdemo.engine.Engine`.

    Questions about one picture at one size, of one network, go to the same replica, which remembers it; when that has
    too much to do, to the next. What came is remembered here too.

    Args:
        address: ``"auto"`` for the cluster that this machine is part of, or ``"HOST:PORT"``.
        networks: by name, picklable; None offers what a page does.
        replicas: how many answer; None has as many as the cluster has processors for.
        processors: of each replica, and the threads that its forward passes take.
        waiting: calls that may wait for a replica; more are refused.
        answers: bytes of answers remembered at most.
        pictures: bytes of pictures kept at most.
        name: of the application on the cluster; engines of one name share its replicas.

    Raises:
        InputError: there is no such cluster, or Ray is not installed.
    """

    def __init__(
        self,
        address: str = AUTO,
        networks: Mapping[str, Any] | None = None,
        *,
        replicas: int | None = None,
        processors: int = 1,
        waiting: int = 64,
        answers: int = ANSWERS,
        pictures: int = PICTURES,
        name: str = "segdemo",
    ) -> None:
        self._cluster = Cluster.at(address)
        self._handle = handle_of(self._cluster, name, networks, replicas, processors, waiting)
        self._kept = LocalEngine({}, pictures=pictures)  # keeps pictures, and is asked nothing
        self._answers = Cache(answers)
        self._closed = False

    def keep(self, picture: PictureSource) -> str:
        """As :class:`segdemo.engine.Engine` says."""
        return self._kept.keep(picture)

    def keeps(self, fingerprint: str) -> bool:
        """As :class:`segdemo.engine.Engine` says."""
        return self._kept.keeps(fingerprint)

    def picture(self, fingerprint: str) -> Read:
        """As :class:`segdemo.engine.Engine` says."""
        return self._kept.picture(fingerprint)

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """As :class:`segdemo.engine.Engine` says.

        Raises:
            InputError: besides, ``engine_busy`` when too many calls wait, ``engine_lost`` when the work was begun twice
                and lost both times.
        """
        answer = self._answers.get(question)
        if answer is None:
            answer = yield from self._asked(question, should_continue)
            if question.memory == "answers":
                self._answers.put(question, answer, size_of(answer))
        yield answer

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """As :class:`segdemo.engine.Engine` says."""
        return deque(self.ask(question, should_continue), maxlen=1)[0]

    def forget_answers(self) -> None:
        """Forget here what was answered; replicas may remember it."""
        self._answers.clear()

    def close(self) -> None:
        """End all that is asked here, and leave the cluster; the replicas go on for others."""
        self._closed = True
        self._kept.close()
        self._cluster.leave()

    def _asked(self, question: Question, should_continue: ShouldContinue) -> Generator[Progress, None, Any]:
        """Ask until there is an answer, and hand in the pictures if they are wanted."""
        pictures: dict[str, Any] = {}
        tries = 0
        while True:
            try:
                said = yield from self._call(question, pictures, should_continue)
            except _Lost as error:
                tries += 1
                if tries == TRIES:
                    raise InputError(
                        "engine_lost",
                        "The part of the cluster that worked on this was lost, twice. Please try again in a while.",
                    ) from error
                continue
            if not isinstance(said, Wanted):
                return said
            pictures = {one: self.picture(one).picture for one in pictures_of(question)}

    def _call(
        self, question: Question, pictures: Mapping[str, Any], should_continue: ShouldContinue
    ) -> Generator[Progress, None, Any]:
        """Make one call, and cancel it whatever happens: nobody else tells the replica that it is not wanted."""
        events: SimpleQueue[Any] = SimpleQueue()
        progress = Progress()
        self._check(should_continue)
        call = self._handle.options(stream=True, session_id=session_of(question)).ask.remote(question, pictures)
        Thread(target=_take, args=(call, events), daemon=True, name="segdemo-call").start()
        try:
            while True:
                try:
                    event = events.get(timeout=POLL)
                except Empty:
                    event = progress
                self._check(should_continue)
                if isinstance(event, Exception):
                    raise event
                if not isinstance(event, Progress):
                    return event
                progress = event
                yield progress
        finally:
            with suppress(Exception):  # of a call that failed it raises what that failed with
                call.cancel()

    def _check(self, should_continue: ShouldContinue) -> None:
        if self._closed or not should_continue():
            raise Cancelled


def _take(call: Any, events: SimpleQueue[Any]) -> None:
    """Put what a call yields into a queue, in a thread of its own: whoever waits can look up meanwhile."""
    import ray
    from ray import serve

    gone: tuple[type[Exception], ...] = (
        ray.exceptions.RayActorError,
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.ObjectLostError,
    )
    gone = (*gone, ray.exceptions.NodeDiedError, serve.exceptions.ReplicaUnavailableError)
    try:
        for event in call:
            if isinstance(event, Refused):
                events.put(_Lost() if isinstance(event.error, Cancelled) else event.error)
                return
            events.put(freeze(pickle.loads(event)) if isinstance(event, bytes) else event)
        events.put(_Lost())  # a stream without an answer; behind an answer nobody looks
    except serve.exceptions.BackPressureError as error:
        events.put(_busy(error))
    except gone as error:
        lost = _Lost()
        lost.__cause__ = error
        events.put(lost)
    except Exception as error:  # whoever asked shall have it
        events.put(error)


def _busy(error: Any) -> InputError:
    return InputError(
        "engine_busy",
        "The cluster is busy: {count} questions wait already. Please try again in a while.",
        count=error.args[0],
    )


def session_of(question: Any) -> str:
    """Return what questions have in common that one replica should answer: network, step, size and picture."""
    about = next((one for one in _parts(question) if hasattr(one, "network") or hasattr(one, "picture")), None)
    return "/".join(str(getattr(about, name, "")) for name in ("network", "step", "size", "picture"))


def pictures_of(question: Any) -> list[str]:
    """Return the fingerprints of the pictures that a question names, itself or in questions that it holds."""
    named = (getattr(one, "picture", None) for one in _parts(question))
    return list(dict.fromkeys(one for one in named if isinstance(one, str)))


def _parts(question: Any) -> Iterator[Any]:
    """Yield a question and the questions in its fields."""
    yield question
    if is_dataclass(question):
        for field in fields(question):
            value = getattr(question, field.name)
            if isinstance(value, Question):
                yield from _parts(value)
