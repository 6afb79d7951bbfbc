"""What a module keeps of its own: the dictionaries of parameters, buffers, modules and hooks, in any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from segdemo.engine import Bench, Question
from segdemo.errors import InputError

LONGEST = 120  # characters of the names in a dictionary that are shown
MOST = 500  # modules offered

Rows = tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class Registered:
    """What one module of a network keeps.

    Args:
        rows: each dictionary's name in this PyTorch, how many entries it has, and their names.
        kind: class of the module.
        layers: dotted names of the network's modules, "" for itself; at most ``MOST``.
    """

    rows: Rows
    kind: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class LookAtRegisters(Question):
    """Ask what a module of a network keeps.

    Args:
        network: its name.
        step: of its training, or None.
        layer: dotted name of the module, "" for the network itself.
    """

    network: str
    step: int | None = None
    layer: str = ""

    def answer(self, bench: Bench) -> Registered:
        """Look into its dictionaries.

        Raises:
            InputError: there is no such module.
        """
        modules: dict[str, nn.Module] = dict(bench.module.named_modules())
        if self.layer not in modules:
            raise InputError(
                "no_such_module",
                "The network has no module called “{layer}”. Choose one of its {count}.",
                layer=self.layer[:60],
                count=len(modules),
            )
        module = modules[self.layer]
        return Registered(dictionaries(module), type(module).__name__, tuple(modules)[:MOST])


def dictionaries(module: nn.Module) -> Rows:
    """Return the dictionaries that this PyTorch keeps in every module, with what stands in them."""
    held: dict[str, Any] = {name: value for name, value in vars(module).items() if name in vars(nn.Module())}
    return tuple(
        (name, len(value), _names(value))
        for name, value in held.items()
        if isinstance(value, dict) and name.startswith("_")
    )


def _names(held: dict[Any, Any]) -> str:
    names = ", ".join(map(str, held))
    return names if len(names) <= LONGEST else names[:LONGEST] + "…"
