"""Who asks, and whether they still wait: an answer that nobody takes is not worked out any further.

Networks that visitors brought are asked for by their owners alone; every question is looked through for others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from segdemo.engine import Engine, PictureSource, Question, Read, ShouldContinue, always
from segdemo.errors import InputError
from segdemo.private import not_yours, private_names

_wanted: ContextVar[ShouldContinue] = ContextVar("wanted", default=always)
_asker: ContextVar[str] = ContextVar("asker", default="")  # Gradio's session hash; "" is nobody


@contextmanager
def asked_by(session: object) -> Iterator[None]:
    """Let what is asked of a :class:`WantedEngine` in the block be asked by a visitor.

    Args:
        session: Gradio's session hash, as it came; anything but a word is nobody.
    """
    token = _asker.set(session if isinstance(session, str) else "")
    try:
        yield
    finally:
        _asker.reset(token)


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
        self._check(question)
        return self._engine.ask(question, self._both(should_continue))

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """Return the answer."""
        self._check(question)
        return self._engine.answer(question, self._both(should_continue))

    def keep_network(self, path: str, file: str) -> str:
        """Keep a checkpoint for the one who asks, and for nobody else; returns the name by which questions name it.

        Args:
            path: of the file.
            file: what its owner calls it.

        Raises:
            InputError: the engine keeps none; nobody asks; the file cannot be used.
        """
        keep = getattr(self._engine, "keep_network", None)
        if keep is None or not _asker.get():
            raise not_taken()
        name: str = keep(path, _asker.get(), file)
        return name

    def own_networks(self) -> tuple[str, ...]:
        """Return the names of the networks that the one who asks brought, the latest at the end."""
        private = getattr(self._engine, "private", None)
        return () if private is None or not _asker.get() else private.of(_asker.get())

    def leave(self) -> None:
        """Let go of what the one who asks brought: they leave."""
        forget = getattr(self._engine, "forget_networks", None)
        if forget is not None and _asker.get():
            forget(_asker.get())

    def _check(self, question: Question) -> None:
        """Let nobody ask about the network of somebody else."""
        for name in private_names(question):
            private = getattr(self._engine, "private", None)
            if private is None:
                raise not_yours()
            private.check(name, _asker.get())

    def close(self) -> None:
        """End all work."""
        self._engine.close()

    def _both(self, should_continue: ShouldContinue) -> ShouldContinue:
        is_there = _wanted.get()
        return lambda: should_continue() and is_there()


def not_taken() -> InputError:
    """Return what to say where no checkpoints are kept."""
    return InputError(
        "weights_not_taken",
        "This page takes no checkpoints. Open yours on your own computer: `segdemo segment --weights`.",
    )
