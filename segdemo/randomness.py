"""What in a network depends on weights that stayed random: seen in a traced pass, whatever the names are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from segdemo.trace import Call, Trace


@dataclass(frozen=True)
class Randomness:
    """Which viewing points of a network put out something without meaning.

    Args:
        own: layers that have random weights in them…
        all: …and these with all layers and operations that depend on them, by name.
    """

    own: frozenset[str] = frozenset()
    all: frozenset[str] = frozenset()

    def of(self, layer: str) -> str:
        """Return ``"missing"`` for a layer with random weights in it, ``"after"`` for one behind such, else ``""``."""
        layer = layer.partition("[")[0].removesuffix(":1")
        return "missing" if layer in self.own else "after" if layer in self.all else ""


def randomness(trace: Trace, tensors: Collection[str]) -> Randomness:
    """Follow random weights through a pass.

    Args:
        trace: of the network.
        tensors: names of the network's tensors that stayed random, or beginnings of such names that end with a dot.
    """
    users = _users(trace, tensors)
    has = [any(_within(trace, user, place) for user in users) for place in range(len(trace.calls))]
    tainted: list[bool] = []
    for node in trace.nodes:
        tainted.append(node.call in users or any(one >= 0 and tainted[one] for one in node.inputs))
    own = {call.layer for place, call in enumerate(trace.calls) if has[place]}
    after = {node.layer for node, dirty in zip(trace.nodes, tainted, strict=True) if dirty}
    after |= {call.layer for call in trace.calls if _ends_tainted(call, tainted)}
    return Randomness(frozenset(own), frozenset(own | after))


def _users(trace: Trace, tensors: Collection[str]) -> set[int]:
    """Return the calls whose operations use random tensors: those of the module that has them, or of one around it."""
    ran: dict[str, list[int]] = {}
    for place, call in enumerate(trace.calls):
        ran.setdefault(call.layer.partition(":")[0], []).append(place)
    users: set[int] = set()
    for tensor in tensors:
        owner, _, name = tensor.rpartition(".")
        whole = not name or owner not in ran  # whatever runs within it may use them
        while owner and owner not in ran:
            owner = owner.rpartition(".")[0]
        found = set(ran.get(owner, ()))
        if whole:
            found |= {place for place in range(len(trace.calls)) if any(_within(trace, place, one) for one in found)}
        users |= found
    return users


def _within(trace: Trace, place: int, around: int) -> bool:
    """Say whether a call is another one, or was made within it."""
    while place >= 0 and place != around:
        place = trace.calls[place].parent
    return place == around


def _ends_tainted(call: Call, tainted: list[bool]) -> bool:
    """Say whether what a call puts out depends on random weights; one without operations hands on what came before."""
    return bool(tainted) and call.last > 0 and tainted[call.last - 1]
