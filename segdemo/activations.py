"""What named modules put out during one forward pass: exact, every call, nothing left behind."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from segdemo.errors import InputError

KEY = re.compile(r"(?P<name>[^:\[]*)(?::(?P<call>\d+))?(?P<leaf>\[.*)?")


class Seen(Mapping[str, Any]):
    """What was recorded, by ``"layer:call"``; ``"layer"`` alone serves where there is one record of it.

    A module that puts out several tensors has one record each: ``"layer:1[0]"``, ``"layer:1[out]"``.
    """

    def __init__(self) -> None:
        self._records: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        """Return one record.

        Raises:
            KeyError: there is none of that name, or several; the text names them.
        """
        if key in self._records:
            return self._records[key]
        mine = [record for record in self._records if KEY.fullmatch(record).group("name") == key]  # type: ignore[union-attr]
        if len(mine) == 1:
            return self._records[mine[0]]
        if mine:
            raise KeyError(f"{key} was recorded {len(mine)} times; ask for one of {', '.join(mine)}")
        raise KeyError(f"{key} was not recorded; there are {', '.join(self._records) or 'no records'}")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the full keys in order of recording."""
        return iter(self._records)

    def __len__(self) -> int:
        """Count the records."""
        return len(self._records)


def copy(tensor: Tensor) -> Tensor:
    """Return the tensor's values in memory of their own, without its gradient history."""
    return tensor.detach().clone()


@contextmanager
def capture(
    network: nn.Module,
    layers: Iterable[str],
    *,
    reduce: Callable[[Tensor], Any] = copy,
    before: Callable[[], None] | None = None,
    after: Callable[[str], None] | None = None,
) -> Iterator[Seen]:
    """Record what layers put out, as long as the ``with`` block lasts.

    Each output is copied, or reduced, at once inside the hook, so that a later in-place operation cannot change what
    is recorded; every call of a module is kept; all hooks are gone when the block ends, whatever happened in it.

    Args:
        network: the network; only its hooks are touched, and only meanwhile.
        layers: dotted module names; ``""`` is the network itself.
        reduce: what to keep of each tensor; by default an exact copy.
        before: called before every module of the network runs; may raise to stop the pass.
        after: called with each key right after its recording; may raise to stop the pass.

    Yields:
        The records, filled while the network runs.

    Raises:
        InputError: the network has no module of that name.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    wanted = list(dict.fromkeys(layers))
    for name in wanted:
        check_layer(modules, name)
    seen = Seen()
    calls: Counter[str] = Counter()

    def record(name: str, output: object) -> None:
        calls[name] += 1
        for leaf, tensor in leaves(output):
            key = f"{name}:{calls[name]}{leaf}"
            seen._records[key] = reduce(tensor)
            if after is not None:
                after(key)

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:  # a hook that returned more would change it
            record(name, output)

        return hook

    def announce(module: nn.Module, inputs: Any) -> None:
        if before is not None:
            before()

    with ExitStack() as hooks:
        if before is not None:
            for module in network.modules():
                hooks.enter_context(module.register_forward_pre_hook(announce))
        for name in wanted:
            hooks.enter_context(modules[name].register_forward_hook(hook_for(name)))
        yield seen


def check_layer(modules: Mapping[str, nn.Module], name: str) -> None:
    """Refuse a name that no module has.

    Args:
        modules: the network's modules by dotted name.
        name: the name asked for.

    Raises:
        InputError: with the nearest names there are.
    """
    if name not in modules:
        raise InputError(
            "unknown_layer",
            "The network has no layer called {name!r}; the nearest names are {nearest}.",
            name=name,
            nearest=", ".join(get_close_matches(name, modules, n=4, cutoff=0.3) or list(modules)[1:5]),
        )


def leaves(output: object, leaf: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in an output with the way to it.

    Args:
        output: a tensor, or tuples, lists, mappings and dataclasses of such; anything else holds none.
        leaf: the way to the output itself, ``""`` at the top.

    Yields:
        Pairs such as ``("", tensor)``, ``("[0]", tensor)``, ``("[out][1]", tensor)``.
    """
    if isinstance(output, Tensor):
        yield leaf, output
        return
    items: Iterable[tuple[object, object]] = ()
    if isinstance(output, Mapping):
        items = output.items()
    elif isinstance(output, tuple | list):
        items = zip(getattr(output, "_fields", range(len(output))), output, strict=True)
    elif dataclasses.is_dataclass(output):
        items = ((field.name, getattr(output, field.name)) for field in dataclasses.fields(output))
    for name, value in items:
        yield from leaves(value, f"{leaf}[{name}]")


class _Reached(Exception):
    """The layer that was waited for has put out its tensor."""


def run_until(network: nn.Module, batch: Tensor, layer: str, before: Callable[[], None] | None = None) -> Tensor:
    """Return what one layer puts out for a batch, running the network no further than that.

    Args:
        network: the network.
        batch: (B, 3, H, W) float32.
        layer: ``"name"`` (its first call), ``"name:call"``, or with a leaf as in :class:`Seen`.
        before: as in :func:`capture`.

    Returns:
        An exact copy, in whatever shape the layer puts out.

    Raises:
        InputError: no such layer, or it does not run, or not that often, for this batch.
    """
    match = KEY.fullmatch(layer)
    name, call, leaf = (match["name"], match["call"] or "1", match["leaf"] or "") if match else (layer, "1", "")
    key = f"{name}:{call}{leaf}"

    def stop(recorded: str) -> None:
        if recorded == key or (not leaf and recorded.startswith(f"{key}[")):
            raise _Reached

    with capture(network, [name], before=before, after=stop) as seen:
        try:
            network(batch)
        except _Reached:
            return list(seen.values())[-1]
    raise InputError(
        "layer_silent",
        "The layer {layer!r} put out no tensor in this pass, which recorded {recorded}. Choose one that runs.",
        layer=layer,
        recorded=", ".join(seen) or "nothing of it",
    )


def trace(network: nn.Module, batch: Tensor) -> list[tuple[str, str, tuple[int, ...]]]:
    """List every module call in order of finishing, with the shape of what it put out.

    Args:
        network: the network, also one on the meta device, which computes nothing.
        batch: (B, 3, H, W), on the same device.

    Returns:
        (key as in :class:`Seen`, type of the module, shape) for each tensor put out.
    """
    modules = dict(network.named_modules())
    names = [name for name in modules if name]
    with torch.no_grad(), capture(network, names, reduce=lambda tensor: tuple(tensor.shape)) as seen:
        network(batch)
    return [(key, type(modules[key.partition(":")[0]]).__name__, shape) for key, shape in seen.items()]


def short_key(key: str) -> str:
    """Leave the call number off where it is the first call and its only tensor: ``"relu:1"`` is ``"relu"``."""
    match = KEY.fullmatch(key)
    return match["name"] if match and match["call"] == "1" and not match["leaf"] else key
