"""The description of the page that every visitor's browser gets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from segdemo.ui import build_app


def every_value(node: Any) -> Iterator[Any]:
    """Yield what is nowhere divided further."""
    if isinstance(node, dict):
        for value in node.values():
            yield from every_value(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from every_value(value)
    else:
        yield node


def test_it_refers_to_no_live_object() -> None:
    # gr.HTML takes every word quoted in a component's script for an event. If the word is also the name of one of the
    # component's arguments, its listener, and with it the app, is copied for each visitor.
    described = build_app().config["components"]
    assert not [value for value in every_value(described) if isinstance(value, partial)]
