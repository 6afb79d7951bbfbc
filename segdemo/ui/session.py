"""What the page knows of one visitor: the view shown, and which run is the newest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class View:
    """What a visitor looks at; the results themselves are in the Segmenter's bounded cache.

    Args:
        picture: RGB, as given.
        network: name of the network.
        side: working size, pixels.
        step: of the training, when the weights are a snapshot from its course.
    """

    picture: Image.Image
    network: str
    side: int
    step: int | None = None


_newest: dict[str, object] = {}  # session → token of its newest run
_shown: dict[str, View] = {}  # session → what its page shows
_lock = threading.Lock()


def begin(session: str) -> Callable[[], bool]:
    """Start a run, which thereby supersedes an earlier one of the same visitor.

    Args:
        session: Gradio's session hash.

    Returns:
        A function that says whether the run is still the newest.
    """
    token = object()
    with _lock:
        _newest[session] = token
    return lambda: _newest.get(session) is token


def stop(session: str) -> None:
    """End the visitor's run, if there is one."""
    with _lock:
        _newest.pop(session, None)


def stop_all() -> None:
    """End everybody's run."""
    with _lock:
        _newest.clear()


def show(session: str, view: View) -> None:
    """Remember what the visitor's page is about to show; the run is over."""
    with _lock:
        _newest.pop(session, None)
        _shown[session] = view


def runs(session: str) -> bool:
    """Say whether a run of the visitor's is under way."""
    return session in _newest


def shows(session: str, view: View) -> bool:
    """Say whether the page still shows a view; an answer about an older one would put it back."""
    return _shown.get(session) is view


def forget(session: str) -> None:
    """End the visitor's run and forget the visitor."""
    with _lock:
        _newest.pop(session, None)
        _shown.pop(session, None)
