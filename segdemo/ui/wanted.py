"""Whether somebody still waits for what a request asks: an answer that nobody takes is not worked out any further."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from segdemo.engine import Engine, PictureSource, Question, Read, ShouldContinue, always

_wanted: ContextVar[ShouldContinue] = ContextVar("wanted", default=always)


@contextmanager
def asked_while(is_there: Callable[[], bool]) -> Iterator[None]:
    """Let what is asked of a :class:`WantedEngine` in the block stop when the one who asks has left.

    Args:
        is_there: says whether the asker still waits; asked from any thread.
    """
    token = _wanted.set(is_there)
    try:
        yield
    finally:
        _wanted.reset(token)


class WantedEngine:
    """An engine as requests see it: it works for each as long as its visitor waits. See :class:`Engine`.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, picture: PictureSource) -> str:
        """Keep a picture."""
        return self._engine.keep(picture)

    def keeps(self, fingerprint: str) -> bool:
        """Say whether a picture is still kept."""
        return self._engine.keeps(fingerprint)

    def picture(self, fingerprint: str) -> Read:
        """Return a picture that is kept."""
        return self._engine.picture(fingerprint)

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """Yield ``Progress``, and then the answer."""
        return self._engine.ask(question, self._both(should_continue))

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """Return the answer."""
        return self._engine.answer(question, self._both(should_continue))

    def close(self) -> None:
        """End all work."""
        self._engine.close()

    def _both(self, should_continue: ShouldContinue) -> ShouldContinue:
        is_there = _wanted.get()
        return lambda: should_continue() and is_there()
