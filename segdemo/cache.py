"""A bounded memory of results: the least recently used leaves first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Cache:
    """Keeps values up to a number of bytes. Safe with many threads.

    Args:
        limit: bytes kept at most; a value larger than that is not kept at all.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
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
            if nbytes > self.limit:
                return
            self._entries[key] = (value, nbytes)
            self.used += nbytes
            while self.used > self.limit:
                self.used -= self._entries.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.used = 0
