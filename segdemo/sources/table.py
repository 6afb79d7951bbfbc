"""The table of networks that a page offers: those that are listed, and any other that a name leads to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from segdemo.networks.network import Network
from segdemo.sources import libraries
from segdemo.sources.changes import changed

KEPT = 32  # descriptions of networks of libraries


class Offered(Mapping[str, Network]):
    """Networks by name: those listed, which menus show; ``"timm:…"`` of a library; either with ``?size=…`` behind it.

    Args:
        listed: by name.
    """

    def __init__(self, listed: Mapping[str, Network]) -> None:
        self._listed = dict(listed)
        self._known: OrderedDict[str, Network] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, name: str) -> Network:
        """Return what is known of a network; one of a library is built and run once when it is first asked for.

        Raises:
            KeyError: the name leads nowhere.
            InputError: it leads to a network that cannot be had, or to a change that cannot be.
        """
        if name in self._listed:
            return self._listed[name]
        base, mark, words = name.partition("?") if isinstance(name, str) else ("", "", "")
        if mark:
            return changed(self[base], words)
        if ":" not in base:
            raise KeyError(name)
        with self._lock:
            if base not in self._known:
                self._known[base] = libraries.network(base)
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(base)
            return self._known[base]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def __contains__(self, name: object) -> bool:
        try:
            self[name]  # type: ignore[index]
        except KeyError:
            return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return Offered, (self._listed,)
