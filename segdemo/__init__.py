"""Look inside a segmentation network.

``networks`` says which networks there are and what is worth looking at in them, ``checkpoints`` loads their weights
safely, ``pictures`` reads any picture and ``images`` turns it into a batch, ``activations`` records what layers put out
and ``summaries`` reduces it to figures and thumbnails. An ``engine`` answers ``questions`` about all this, with
``results`` that are complete without a page; ``segmenter`` is its friendly face. ``rendering`` draws arrays honestly,
``evaluation`` measures, and ``ui`` is the page. ``sources`` takes networks from elsewhere, ``outputs`` reads whatever
they return, and ``exploring`` opens the page on one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segdemo.activations import capture, replace
    from segdemo.engine import Cancelled, LocalEngine
    from segdemo.errors import InputError
    from segdemo.exploring import explore
    from segdemo.networks import NETWORKS, Preprocessing
    from segdemo.results import Result
    from segdemo.segmenter import Segmenter

__version__ = "0.1.0"
__all__ = [
    "NETWORKS",
    "Cancelled",
    "InputError",
    "LocalEngine",
    "Preprocessing",
    "Result",
    "Segmenter",
    "capture",
    "explore",
    "replace",
]

_HOMES = {
    "NETWORKS": "networks",
    "Preprocessing": "networks",
    "InputError": "errors",
    "explore": "exploring",
    "Result": "results",
    "Segmenter": "segmenter",
    "Cancelled": "engine",
    "LocalEngine": "engine",
    "capture": "activations",
    "replace": "activations",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds, and ``--help`` should not wait for it."""
    if name in _HOMES:
        return getattr(import_module(f"segdemo.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'segdemo' has no attribute {name!r}")
