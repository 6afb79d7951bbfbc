"""A bounded memory: the least recently used leaves first. What it keeps is shared, so it is made read-only before."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from PIL import Image

Value = TypeVar("Value")


class Cache:
    """Keeps values up to a number of bytes. Safe with many threads.

    Args:
        limit: bytes kept at most; a value larger than that is not kept at all…
        newest: …unless the newest one is to stay, alone, whatever its size.
    """

    def __init__(self, limit: int, *, newest: bool = False) -> None:
        self.limit = limit
        self._newest = newest
        self.used = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """Return the value kept under a key, which thereby becomes the most recently used, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keep a value of so many bytes, letting the least recently used go until it fits."""
        with self._lock:
            if key in self._entries:
                self.used -= self._entries.pop(key)[1]
            if nbytes > self.limit and not self._newest:
                return
            self._entries[key] = (value, nbytes)
            self.used += nbytes
            while self.used > self.limit and len(self._entries) > self._newest:
                self.used -= self._entries.popitem(last=False)[1][1]

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Forget what is kept under the keys that are unwanted."""
        with self._lock:
            for key in [key for key in self._entries if unwanted(key)]:
                self.used -= self._entries.pop(key)[1]

    def renew(self) -> None:
        """Begin anew in a forked child: another thread may have held the lock, and left the entries half changed."""
        self._lock = threading.Lock()
        self._entries = OrderedDict()
        self.used = 0

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.used = 0


def freeze(value: Value) -> Value:
    """Make every array in a value read-only, and return the value.

    Args:
        value: arrays, pictures and plain values, in dataclasses, mappings, tuples and lists.
    """
    for array in _arrays(value):
        array.setflags(write=False)
    return value


def size_of(value: object) -> int:
    """Return about how many bytes a value takes, for a value as :func:`freeze` takes it."""
    if isinstance(value, Image.Image):
        return value.width * value.height * len(value.getbands())
    own = getattr(value, "nbytes", None)  # an array's, or of an answer that counts what it will work out and keep
    if isinstance(own, int):
        return own
    return 64 + sum(map(size_of, _parts(value)))


def _arrays(value: object) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    for part in _parts(value):
        yield from _arrays(part)


def _parts(value: object) -> Iterator[Any]:
    """Yield what a value is made of."""
    if isinstance(value, str | int | float):
        return
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, field.name) for field in dataclasses.fields(value))
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple | list):
        yield from value
