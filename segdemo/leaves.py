"""The tensors in whatever a module put out, and the keys under which they are recorded."""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

_PLAIN = {type(None), bool, int, float, complex, str, bytes}  # hold nothing; most of what is no tensor is of these
REST = re.compile(r"(?::(?P<call>[0-9]+))?(?P<leaf>\[.*)?", re.DOTALL)  # of a key, after the name


class Key(NamedTuple):
    """What a key speaks of.

    Args:
        name: dotted name of a module.
        call: number of its call, from 1, or None where the key does not say.
        leaf: the way to one tensor of several, ``"[0]"``, or ``""``.
    """

    name: str
    call: int | None
    leaf: str


def parse(key: str, names: Container[str]) -> Key | None:
    """Read a key: ``"name"``, ``"name:call"``, ``"name[leaf]"`` or ``"name:call[leaf]"``.

    Args:
        key: as a person writes it.
        names: of the modules there are. They may themselves hold ``:`` and ``[``; the longest that fits is meant.

    Returns:
        What it speaks of, or None if it begins with no name there is.
    """
    for end in range(len(key), -1, -1):
        match = REST.fullmatch(key, end) if key[:end] in names else None
        if match:
            return Key(key[:end], int(match["call"]) if match["call"] else None, match["leaf"] or "")
    return None


def spell(name: str, call: int, leaf: str, names: Iterable[str]) -> str:
    """Write a full key, ``"name:call[leaf]"``, that :func:`parse` reads as just that.

    Args:
        name: dotted name of a module.
        call: number of its call.
        leaf: as in :class:`Key`.
        names: of the modules there are, at least those with ``:`` or ``[`` in them; where one of them is called
            ``"a:1"``, the first call of ``"a"`` is ``"a:01"``.
    """
    number = str(call)
    while parse(f"{name}:{number}{leaf}", [*names, name]) != Key(name, call, leaf):
        number = f"0{number}"
    return f"{name}:{number}{leaf}"


def leaves(output: object, leaf: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in an output with the way to it.

    Args:
        output: a tensor, or tuples, lists, deques, mappings and dataclasses of such; anything else holds none.
        leaf: the way to the output itself, ``""`` at the top.
        above: ids of the containers it lies in; one that lies in itself is not entered again.

    Yields:
        Pairs such as ``("", tensor)``, ``("[0]", tensor)``, ``("[out][1]", tensor)``.
    """
    if isinstance(output, Tensor):
        yield leaf, output
    elif type(output) not in _PLAIN and id(output) not in above:
        items = list(_items(output))
        names = [str(name) for name, _ in items]
        for (key, value), name in zip(items, names, strict=True):
            way = name if names.count(name) == 1 else repr(key)  # a mapping may have both 1 and "1"
            if isinstance(value, Tensor):
                yield f"{leaf}[{way}]", value
            else:
                yield from leaves(value, f"{leaf}[{way}]", (*above, id(output)))


def _items(output: object) -> Iterator[tuple[object, object]]:
    """Yield the named parts of a container; those that cannot be read are passed over."""
    if isinstance(output, Mapping):
        for key in output:
            try:
                yield key, output[key]
            except Exception:  # code of a stranger
                continue
    elif isinstance(output, tuple | list | deque):
        names = getattr(output, "_fields", None) if isinstance(output, tuple) else None
        fits = isinstance(names, tuple) and len(names) == len(output)
        yield from zip(names if fits and names else range(len(output)), output, strict=True)
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for field in dataclasses.fields(output):
            try:
                yield field.name, getattr(output, field.name)
            except Exception:  # not set yet, or a property that raises
                continue


def described(output: object) -> str:
    """Name the kind of an output that holds no tensor: ``"a Bag"``, ``"None"``."""
    if output is None:
        return "None"
    kind = type(output).__name__
    return f"an {kind}" if kind[:1].lower() in "aeiou" else f"a {kind}"
