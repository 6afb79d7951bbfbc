"""The networks that an engine holds open: its own, those put in their places, and those that visitors brought."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from segdemo import ambient, own_weights
from segdemo.cache import Cache
from segdemo.errors import InputError
from segdemo.networks import Network, find
from segdemo.opened import Opened, bare, fingerprint_of, open_network
from segdemo.private import Brought, PrivateNetworks, is_private, told_of

OFFICIAL = "weights=official"  # in the name of a network with other weights than its usual ones


class OpenNetworks:
    """Opens networks when they are first asked for, and lets go of those that nobody asked for lately.

    Args:
        networks: by name.
        private: keeps those that visitors bring.
        nbytes: of weights kept open at most; the network in use stays whatever its size.
        device: where networks compute; None leaves them where they are made.
    """

    def __init__(
        self,
        networks: Mapping[str, Network],
        private: PrivateNetworks,
        nbytes: int,
        device: torch.device | None = None,
    ) -> None:
        self.networks, self.private, self.device = networks, private, device
        self._modules = Cache(nbytes, newest=True)
        self._adopted: dict[tuple[str, int | None], Opened] = {}
        self.renew()

    def renew(self) -> None:
        """Take new locks; those of the process that this one was forked from stayed there."""
        self._opening, self._reading = Lock(), Lock()
        self.private.renew()
        self._modules.renew()

    def spec_of(self, network: str) -> Network:
        """Return what is known of a network, one that a visitor brought included.

        Raises:
            InputError: there is none of that name.
        """
        return self.private.get(network).opened.spec if is_private(network) else find(network, self.networks)

    def is_foreign(self, network: str) -> bool:
        """Say whether a network is a stranger's, or has been put in the place of one of ours; or there is none."""
        try:
            return self.spec_of(network).foreign or any(name == network for name, _ in self._adopted)
        except InputError:
            return True

    def open(self, network: str, step: int | None = None) -> Opened:
        """Return a network with its weights, opened when it is first asked for.

        Args:
            network: its name.
            step: take the weights as they were at this step of the training.

        Raises:
            InputError: no such network or step, or its checkpoint is missing or altered.
        """
        if is_private(network) and step is None:
            return self.private.get(network).opened
        with self._opening:
            key, spec = _module_key(network, step), find(network, self.networks)
            opened: Opened | None = self._adopted.get(key) or self._modules.get(key)
            if opened is None:
                opened = open_network(spec, step, self.device)
                self._modules.put(key, opened, opened.nbytes)
            return opened if opened.spec.name == network else replace(opened, spec=spec)

    def adopt(self, opened: Opened) -> None:
        """Take over a network as it is, in place of the one of its name and step."""
        self._adopted[opened.spec.name, opened.step] = opened

    def take_in(self, path: str | Path, owner: str, file: str) -> tuple[str, list[str]]:
        """Read a visitor's checkpoint, one at a time.

        Args:
            path: as for :func:`segdemo.own_weights.load`.
            owner: whose it is.
            file: what the owner calls it; "" takes the name in the path.

        Returns:
            The name by which its owner's questions name it, and the names of those that had to leave for it.

        Raises:
            InputError: as :func:`segdemo.own_weights.load`; ``checkpoint_grows``, also where none so large is kept.
        """
        file = file or Path(path).name
        with self._reading, ambient.making():
            try:
                loaded = own_weights.load(path, most=self.private.nbytes)
            except InputError as error:
                raise told_of(error, path, file) from error
            if self.device is not None:
                loaded.module.to(self.device)
        opened = Opened(loaded.spec, None, loaded.module, loaded.trained, fingerprint_of(loaded.module))
        name, left = self.private.add(Brought(owner, opened, loaded.report, file, tuple(loaded.others)))
        return name, list(left)

    def open_for(self, question: Any, taken: frozenset[Hashable], place: int) -> Opened:
        """Return the network of a question, for a pass that nothing else disturbs.

        Args:
            question: about a network.
            taken: what is taken for it, of what :meth:`taken_by` says.
            place: of who answers it; at another than 0, what is not taken is a twin that this place alone has.
        """
        opened = self.open(question.network, question.step)
        return opened.twin(place) if place and taken.isdisjoint(self.taken_by(question)) else opened

    def is_changed(self, question: Any, place: int = 0) -> bool:
        """Say whether somebody changed a network of a question: nothing remembered holds for it, nor the reverse.

        Args:
            question: any.
            place: of who answers it, who may have changed the twin there; 0 of everybody else.
        """
        for key in set(_networks_in(question)):
            opened = self._adopted.get(key) or self._modules.get(key)
            if opened is not None and (opened.changed or (place in opened.twins and opened.twins[place].changed)):
                return True
        return False

    def taken_by(self, question: Any) -> frozenset[Hashable]:
        """Return what a question takes for itself, so that no two passes run through one module.

        That is each network in it of which there is but one: a stranger's, one that was given, and one that somebody
        changed. Of others there are twins. Questions about no network, which may be anything, take the same.
        """
        taken: set[Hashable] = set()
        keys = {key for key in _networks_in(question) if key[0] is not None}
        for key in keys:
            opened = self._adopted.get(key) or self._modules.get(key)
            if opened is not None and (opened.changed or key in self._adopted):
                taken.add(id(bare(opened.module)))  # which may have been given by several names
            elif self.is_foreign(key[0]):
                taken.add(key)
        return frozenset(taken if keys else {None})

    def go_by_name(self, question: Any) -> bool:
        """Say whether a question is about networks, and each of them is the same wherever one of its name is opened."""
        keys = {key for key in _networks_in(question) if key[0] is not None}
        here_alone = any(key in self._adopted or is_private(key[0]) for key in keys)
        return bool(keys) and not here_alone and not self.is_changed(question)

    def close(self) -> None:
        """Close all that were opened; those that were adopted, or that visitors brought, stay."""
        with self._opening:  # what is being opened would come back
            self._modules.clear()


def _networks_in(question: Any) -> Iterator[tuple[Any, Any]]:
    """Yield by what the modules are kept that a question, and the questions in it, are about."""
    if isinstance(question, tuple | frozenset):
        for part in question:
            yield from _networks_in(part)
    if is_dataclass(question):
        yield _module_key(getattr(question, "network", None), getattr(question, "step", None))
        for field in fields(question):
            yield from _networks_in(getattr(question, field.name))


def _module_key(network: Any, step: Any) -> tuple[Any, Any]:
    """Return by what the module of a network is kept: what else is said of it behind a ``?`` needs no other."""
    base, _, said = network.partition("?") if isinstance(network, str) else (network, "", "")
    return (f"{base}?{OFFICIAL}" if OFFICIAL in said.split("&") else base), step
