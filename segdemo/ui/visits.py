"""Which run of a visitor's is the newest: an older one, or one that was stopped, is not wanted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

_newest: dict[str, Callable[[], bool]] = {}  # session → what tells of its newest run, as long as it is under way
_lock = threading.Lock()


def begin(session: str) -> Callable[[], bool]:
    """Start a run, which thereby takes the place of an earlier one of the same visitor.

    Args:
        session: Gradio's session hash.

    Returns:
        A function that says whether the run is still the newest.
    """

    def is_newest() -> bool:
        return _newest.get(session) is is_newest

    with _lock:
        _newest[session] = is_newest
    return is_newest


def end(session: str, run: Callable[[], bool] | None = None) -> None:
    """End the visitor's run, if there is one: it is complete, was stopped, or its visitor left.

    Args:
        session: as for :func:`begin`.
        run: what ``begin`` returned, to end that run and no newer one; None ends whichever there is.
    """
    with _lock:
        if run is None or _newest.get(session) is run:
            _newest.pop(session, None)


def end_all() -> None:
    """End everybody's run."""
    with _lock:
        _newest.clear()
