"""Networks that visitors brought: each is its owner's alone, under a name that nobody can guess, and there are few."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdemo.checkpoints import Report
from segdemo.errors import InputError
from segdemo.opened import Opened

PREFIX = "own-"  # before 32 hexadecimal digits
MOST = 8  # networks of all owners
MOST_BYTES = 768 << 20  # of their weights
MOST_OF_OWNER = 2
REMEMBERED = 1000  # names of networks that had to leave, so that their owners hear why


@dataclass(frozen=True, eq=False)
class Brought:
    """A network that somebody brought.

    Args:
        owner: who alone may ask for it.
        opened: the network with its weights; nobody else has it.
        report: what became of each tensor of the file.
        file: what its owner calls the file.
        others: titles of other networks that the file fits as well.
    """

    owner: str
    opened: Opened
    report: Report
    file: str
    others: tuple[str, ...] = ()


class PrivateNetworks:
    """Keeps networks for their owners, up to a number and a number of bytes. Safe with many threads.

    Args:
        most: networks kept at most.
        nbytes: bytes of weights kept at most.
        of_owner: networks of one owner kept at most.
    """

    def __init__(self, most: int = MOST, nbytes: int = MOST_BYTES, of_owner: int = MOST_OF_OWNER) -> None:
        self.most, self.nbytes, self.of_owner = most, nbytes, of_owner
        self._kept: OrderedDict[str, Brought] = OrderedDict()  # the one used longest ago first
        self._gone: OrderedDict[str, str] = OrderedDict()  # name → owner
        self._lock = threading.Lock()

    def add(self, brought: Brought) -> tuple[str, list[str]]:
        """Keep a network; returns its name, and the names of those that had to leave.

        Args:
            brought: whose weights take at most as many bytes as are kept.
        """
        name = PREFIX + secrets.token_hex(16)
        with self._lock:
            left = self._over(self._of(brought.owner), self.of_owner - 1)
            while self._kept and (len(self._kept) >= self.most or self._used() + _bytes(brought) > self.nbytes):
                left.append(self._leave(next(iter(self._kept))))
            self._kept[name] = brought
        return name, left

    def get(self, name: str) -> Brought:
        """Return a network, which thereby becomes the one used last.

        Raises:
            InputError: ``weights_private``: there is none of that name.
        """
        with self._lock:
            if name not in self._kept:
                raise not_yours()
            self._kept.move_to_end(name)
            return self._kept[name]

    def check(self, name: str, asker: str) -> None:
        """Let its owner alone ask for a network.

        Raises:
            InputError: ``weights_left``: it had to leave; ``weights_private``: it is somebody else's, or there is none,
                which nobody else learns.
        """
        with self._lock:
            brought = self._kept.get(name)
            if brought is not None and asker and brought.owner == asker:
                return
            if asker and self._gone.get(name) == asker:
                raise InputError(
                    "weights_left",
                    "The weights that you uploaded are no longer kept: at most {most} networks of {size} MB together "
                    "are, of all visitors, and newer ones have come. Upload the checkpoint again.",
                    most=self.most,
                    size=self.nbytes >> 20,
                )
        raise not_yours()

    def of(self, owner: str) -> tuple[str, ...]:
        """Return the names of an owner's networks, the one brought or used last at the end."""
        with self._lock:
            return tuple(self._of(owner))

    def forget(self, owner: str) -> list[str]:
        """Let go of all that an owner brought; returns the names."""
        with self._lock:
            names = self._of(owner)
            for name in names:
                del self._kept[name]
            for name in [name for name, whose in self._gone.items() if whose == owner]:
                del self._gone[name]
        return names

    def has(self, name: str) -> bool:
        """Say whether a network is still kept."""
        with self._lock:
            return name in self._kept

    def renew(self) -> None:
        """Begin with a lock of one's own in a forked child."""
        self._lock = threading.Lock()

    def _of(self, owner: str) -> list[str]:
        return [name for name, brought in self._kept.items() if brought.owner == owner]

    def _used(self) -> int:
        return sum(map(_bytes, self._kept.values()))

    def _over(self, names: list[str], most: int) -> list[str]:
        """Let the first of some names leave until there are no more than ``most``."""
        return [self._leave(name) for name in names[: max(0, len(names) - most)]]

    def _leave(self, name: str) -> str:
        self._gone[name] = self._kept.pop(name).owner
        while len(self._gone) > REMEMBERED:
            self._gone.popitem(last=False)
        return name


def not_yours() -> InputError:
    """Say the same of a network that is somebody else's, of one that is gone, and of one that never was."""
    return InputError(
        "weights_private",
        "These weights were uploaded by a visitor for themselves alone, and are gone with that visit: no link brings "
        "them along. Ask for the checkpoint file, and upload it here.",
    )


def told_of(error: InputError, path: str | Path, file: str) -> InputError:
    """Say the same of a file by the name that its owner knows, not by the path that it has here.

    Args:
        error: about the file.
        path: of the file.
        file: what its owner calls it.
    """
    sentence = str(error).replace(str(path), file).replace("{", "{{").replace("}", "}}")
    return type(error)(error.code, sentence, **{**error.values, "path": file})


def is_private(name: object) -> bool:
    """Say whether a name, or what stands in its place, is that of a network that somebody brought."""
    return isinstance(name, str) and name.startswith(PREFIX)


def private_names(value: object) -> Iterator[str]:
    """Yield the names of such networks in a question, wherever in it they stand."""
    if is_private(value):
        yield str(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from private_names(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from private_names(one)
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from private_names(one)


def _bytes(brought: Brought) -> int:
    return brought.opened.nbytes
