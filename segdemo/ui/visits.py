"""Which run of a visitor's is the newest: an older one, or one that was stopped, is not wanted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

_newest: dict[str, object] = {}  # session → token of its newest run, as long as it is under way
_lock = threading.Lock()


def begin(session: str) -> Callable[[], bool]:
    """Start a run, which thereby takes the place of an earlier one of the same visitor.

    Args:
        session: Gradio's session hash.

    Returns:
        A function that says whether the run is still the newest.
    """
    token = object()
    with _lock:
        _newest[session] = token
    return lambda: _newest.get(session) is token


def end(session: str) -> None:
    """End the visitor's run, if there is one: it is complete, was stopped, or its visitor left."""
    with _lock:
        _newest.pop(session, None)


def end_all() -> None:
    """End everybody's run."""
    with _lock:
        _newest.clear()
