"""Values from outside, checked where they enter: what is wrong with one is said before anything uses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import gradio as gr

from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, GIVEN

LONGEST = 200  # characters of a name
LONGEST_NETWORK = 1800  # of the name of a network, of which something may be said
SHOWN = 60  # characters of a wrong value in a message
GREATEST = 1_000_000  # of a whole number: no size, step, page or channel is greater

Check = Callable[[str, Any], Any]


def text(name: str, value: Any, *, longest: int = LONGEST) -> str:
    """Return a value if it is text of at most so many characters.

    Args:
        name: what the value is called, for the message.
        value: from outside.
        longest: how many.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, str) and len(value) <= longest:
        return value
    raise InputError(
        "wrong_text",
        "“{name}” has to be text of at most {longest} characters, but {came} came. Correct it and try again.",
        name=name,
        longest=longest,
        came=written(value),
    )


def whole(name: str, value: Any, *, least: int = 0, most: int = GREATEST) -> int:
    """Return a value as an int if it is a whole number; 128.0 is one, "128" and true are none.

    Args:
        name: as for :func:`text`.
        value: from outside.
        least: the smallest number that is right.
        most: the greatest.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most and value % 1 == 0:
        return int(value)
    raise InputError(
        "wrong_whole_number",
        "“{name}” has to be a whole number from {least} to {most}, but {came} came. Correct it and try again.",
        name=name,
        least=least,
        most=most,
        came=written(value),
    )


def share(name: str, value: Any) -> float:
    """Return a value if it is a number from 0 to 1.

    Args:
        name: as for :func:`text`.
        value: from outside.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise InputError(
        "wrong_share",
        "“{name}” has to be a number from 0 to 1, but {came} came. Correct it and try again.",
        name=name,
        came=written(value),
    )


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """Return a value if it is among the choices.

    Args:
        name: as for :func:`text`.
        value: from outside.
        choices: what is right.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise InputError(
        "wrong_choice",
        "“{name}” has to be one of {choices}, but {came} came. Correct it and try again.",
        name=name,
        choices=", ".join(choices),
        came=written(value),
    )


def texts(name: str, value: Any, *, most: int) -> tuple[str, ...]:
    """Return a list of at most so many texts as a tuple.

    Args:
        name: as for :func:`text`.
        value: from outside.
        most: how many.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, list | tuple) and len(value) <= most:
        return tuple(text(name, entry) for entry in value)
    raise InputError(
        "wrong_texts",
        "“{name}” has to be a list of at most {most} names, but {came} came. Correct it and try again.",
        name=name,
        most=most,
        came=written(value),
    )


def wholes(name: str, value: Any, *, most: int) -> frozenset[int]:
    """Return a list of whole numbers from 0 to ``most`` as a set.

    Args:
        name: as for :func:`text`.
        value: from outside.
        most: the greatest number that is right.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, list) and len(value) <= most + 1:
        return frozenset(whole(name, entry, most=most) for entry in value)
    raise InputError(
        "wrong_list",
        "“{name}” has to be a list of at most {count} whole numbers, but {came} came. Correct it and try again.",
        name=name,
        count=most + 1,
        came=written(value),
    )


def point(name: str, value: Any) -> tuple[int, int]:
    """Return a list of two whole numbers, the x and y of a pixel, as a tuple.

    Args:
        name: as for :func:`text`.
        value: from outside.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, list) and len(value) == 2:
        return whole(name, value[0]), whole(name, value[1])
    raise InputError(
        "wrong_pixel",
        "“{name}” has to be a pixel of the picture, two whole numbers x and y, but {came} came. Correct it and try "
        "again.",
        name=name,
        came=written(value),
    )


def or_none(check: Check) -> Check:
    """Return a check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def field(event: gr.EventData, name: str) -> Any:
    """Return what an event says of itself under a name, None where it says nothing of the kind."""
    try:
        return getattr(event, name)
    except (AttributeError, TypeError, LookupError):  # the event may be anything that JSON can hold
        return None


def network(name: str, value: Any) -> str:
    """Return a value if it may be the name of a network; takes and raises what :func:`text` does."""
    return text(name, value, longest=LONGEST_NETWORK)


# What a handler takes from the page, by the name of the parameter.
INPUTS: dict[str, Check] = {
    "network": network,
    "side": or_none(whole),  # a menu may be left without a choice
    "place": whole,
    "layer": or_none(text),
    "number": or_none(whole),  # of what the visitor did, as the page counts
    "index": lambda name, value: whole(name, value, most=max(len(EXAMPLES), len(GIVEN)) - 1),
}


def checked_inputs(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    """Return a handler's positional arguments, each checked as ``INPUTS`` says for its parameter.

    Raises:
        InputError: one of them is wrong.
    """
    return [INPUTS[name](name, value) if name in INPUTS else value for name, value in zip(names, values, strict=False)]


def written(value: Any) -> str:
    """Write a value from outside as JSON has it, cut where it is long."""
    if isinstance(value, list | dict):
        return "[…]" if isinstance(value, list) else "{…}"
    words = json.dumps(value[:SHOWN] if isinstance(value, str) else value, ensure_ascii=False, default=repr)
    return words if len(words) <= SHOWN else words[:SHOWN] + "…"
