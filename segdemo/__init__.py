"""Look inside a segmentation network.

``networks`` says which networks there are and what is worth looking at in them, ``checkpoints`` loads their weights
safely, ``images`` turns pictures into batches, ``activations`` records what layers put out and ``summaries`` reduces it
to figures and thumbnails; ``inference`` joins these into the Segmenter, whose ``results`` are complete without a page;
``rendering`` draws arrays honestly, ``evaluation`` measures, and ``ui`` is the page.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segdemo.activations import capture, replace
    from segdemo.errors import InputError
    from segdemo.inference import Segmenter, Superseded
    from segdemo.networks import NETWORKS
    from segdemo.results import Result

__version__ = "0.1.0"
__all__ = ["NETWORKS", "InputError", "Result", "Segmenter", "Superseded", "capture", "replace"]

_HOMES = {
    "NETWORKS": "networks",
    "InputError": "errors",
    "Result": "results",
    "Segmenter": "inference",
    "Superseded": "inference",
    "capture": "activations",
    "replace": "activations",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds, and ``--help`` should not wait for it."""
    if name in _HOMES:
        return getattr(import_module(f"segdemo.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'segdemo' has no attribute {name!r}")
