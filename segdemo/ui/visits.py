"""Which run of a visitor's is the newest: an older one, or one that was stopped, is not wanted any more.

What a page shows of a run comes by several ways, and a slow one may bring an older run after a newer one is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from segdemo.cache import Cache

_newest: dict[str, Callable[[], bool]] = {}  # session → what tells of its newest run, as long as it is under way
_complete = Cache(10_000)  # session → what the run was about that is complete, the newest of them
_past = Cache(10_000)  # session → number of what the visitor did last that ends whatever was started before it
_chosen = Cache(10_000)  # session → number of the newest choice of the visitor's that came here
_lock = threading.Lock()


def begin(session: str, number: int | None = None) -> Callable[[], bool]:
    """Start a run, which thereby takes the place of an earlier one of the same visitor.

    Args:
        session: Gradio's session hash.
        number: of what the visitor did to start it, as the page counts; None is newer than everything. A run that
            comes after the visitor has stopped it, or started a newer one, is not wanted.

    Returns:
        A function that says whether the run is still the newest.
    """

    def is_newest() -> bool:
        return _newest.get(session) is is_newest

    with _lock:
        if number is None or number >= (_past.get(session) or 0):
            _newest[session] = is_newest
            _pass(session, number)
    return is_newest


def choose(session: str, number: int | None) -> Callable[[], bool]:
    """Note a choice that decides what is run: a network, a picture, a step back or forward.

    Args:
        session: as for :func:`begin`.
        number: of the choice, as the page counts; None is newer than everything.

    Returns:
        A function that says whether the choice is still the newest: answers to others would overwrite what it chose.
    """
    with _lock:
        newest = _chosen.get(session) or 0
        mine = newest if number is None else number
        _chosen.put(session, max(mine, newest), 1)
    return lambda: mine >= (_chosen.get(session) or 0)


def stop(session: str, number: int | None = None) -> None:
    """End the visitor's run, and what was started before and is still on its way here.

    Args:
        session: as for :func:`begin`.
        number: of what the visitor started last.
    """
    with _lock:
        _newest.pop(session, None)
        _pass(session, None if number is None else number + 1)


def _pass(session: str, number: int | None) -> None:
    if number is not None:
        _past.put(session, max(number, _past.get(session) or 0), 1)


def is_under_way(session: str) -> bool:
    """Say whether the visitor waits for a run."""
    return session in _newest


def complete(session: str, about: object) -> None:
    """Note what the newest run was about, just before it ends.

    Args:
        session: as for :func:`begin`.
        about: tells runs apart.
    """
    _complete.put(session, about, 1)


def is_to_be_shown(session: str, about: object) -> bool:
    """Say whether a run that is complete is still the newest of its visitor: none is under way, and none came since."""
    return session not in _newest and _complete.get(session) in (about, None)


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
