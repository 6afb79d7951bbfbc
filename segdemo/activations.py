"""What named modules and operations put out, exactly and at every call; and what modules shall put out instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from segdemo.calls import Operation, computes_again, operation_of, recording, unwatched
from segdemo.errors import InputError
from segdemo.hooks import all_announced, hooked, modules_of, refuse_hookless, runs_eagerly, why_silent
from segdemo.leaves import Key, described, leaves, parse, spell

Replacement = Tensor | Callable[[Any], Any]


class Seen(Mapping[str, Any]):
    """What was recorded, by ``"layer:call"``; ``"layer"`` alone serves where there is one record of it.

    A module that puts out several tensors has one record each: ``"layer:1[0]"``, ``"layer:1[out]"``. Where a module is
    itself called ``"a:1"``, that is what ``"a:1"`` means, and the first call of ``"a"`` is ``"a:01"``.

    Args:
        silent: layer → why it may put nothing out, for each layer that is watched.
        names: of all modules of the network.
    """

    def __init__(self, silent: Mapping[str, str], names: Collection[str]) -> None:
        self._records: dict[str, Any] = {}
        self._spoken: dict[str, Key] = {}
        self._silent = dict(silent)
        self._failed: dict[str, Exception] = {}
        self._names = frozenset(names)
        self._odd = [name for name in names if ":" in name or "[" in name]  # which others might be taken for

    def __getitem__(self, key: str) -> Any:
        """Return one record.

        Raises:
            KeyError: there is none of that name, or several; the text names them, or says what came instead.
        """
        if key in self._records:
            return self._records[key]
        if not isinstance(key, str):
            raise KeyError(f"ask by the name of a layer, not by {described(key)}; there are {self._all()}")
        wanted = parse(key, self._names)
        mine = [record for record, it in self._spoken.items() if wanted and _answers(it, wanted)]
        if len(mine) == 1:
            return self._records[mine[0]]
        if mine:
            raise KeyError(f"{key} was recorded {len(mine)} times; ask for one of {', '.join(mine)}")
        raise KeyError(self._why_not(key, wanted)) from self._failed.get(wanted.name if wanted else key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the full keys in order of recording."""
        return iter(self._records)

    def __len__(self) -> int:
        """Count the records."""
        return len(self._records)

    def _all(self) -> str:
        return ", ".join(self._records) or "no records"

    def _why_not(self, key: str, wanted: Key | None) -> str:
        name = wanted.name if wanted else key
        if wanted and name in self._silent and not any(it.name == name for it in self._spoken.values()):
            return f"{key} was not recorded: {name or 'the network'} {self._silent[name]}; there are {self._all()}"
        return f"{key} was not recorded; there are {self._all()}"

    def _keep(self, name: str, call: int, leaf: str, value: Any) -> str:
        key = spell(name, call, leaf, self._odd)
        self._records[key] = value
        self._spoken[key] = Key(name, call, leaf)
        return key


def _answers(record: Key, wanted: Key) -> bool:
    """Whether a record is of the layer, and of the call and the leaf as far as they are asked for."""
    return (
        record.name == wanted.name
        and wanted.call in (None, record.call)
        and (record.leaf == wanted.leaf or record.leaf.startswith(f"{wanted.leaf}["))
    )


def copy(tensor: Tensor) -> Tensor:
    """Return the tensor's values in memory of their own, without its gradient history."""
    return tensor.detach().clone()


@contextmanager
def capture(
    network: nn.Module,
    layers: str | nn.Module | Iterable[str | nn.Module],
    *,
    reduce: Callable[[Tensor], Any] = copy,
    before: Callable[[], None] | None = None,
    after: Callable[[str], None] | None = None,
) -> Iterator[Seen]:
    """Record what layers put out, as long as the ``with`` block lasts.

    Each output is copied, or reduced, at once inside the hook, so that a later in-place operation cannot change what
    is recorded; every call of a module is kept; all hooks are gone when the block ends, whatever happened in it. What
    an output that cannot be recorded was, the KeyError says that its record is asked for with: nothing about outputs
    raises into the forward pass. What activation checkpointing computes once more on the way back is no further call.
    Compiled parts of the network run uncompiled meanwhile.

    Args:
        network: the network; only its hooks are touched, and only meanwhile. Copies made meanwhile have none of them.
        layers: dotted module names, or the modules themselves, one or many; ``""`` is the network itself. Operations
            between modules have names too: ``"up1.cat"`` is ``torch.cat`` in the module ``up1``, ``"add"`` a sum in the
            network itself; all spellings of a function (``+``, ``+=``, ``add_``) have one name.
        reduce: what to keep of each tensor; by default an exact copy.
        before: called before every module of the network runs; may raise to stop the pass.
        after: called with each key right after its recording; may raise to stop the pass.

    Yields:
        The records, filled while the network runs.

    Raises:
        InputError: the network has no such module, or PyTorch runs it without hooks.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    points = names_of(modules, layers, operations=True)
    wanted, operations = [name for name in points if name in modules], {name for name in points if name not in modules}
    for name in points:
        refuse_hookless(modules, name if name in modules else name.rpartition(".")[0])
    silent = {name: why_silent(modules, name) for name in wanted} | dict.fromkeys(
        operations, "did not run in the block"
    )
    seen = Seen(silent, [*modules, *operations])
    calls: Counter[str] = Counter()

    def record(name: str, output: object) -> None:
        if computes_again():
            return
        calls[name] += 1
        for key in _recorded(seen, name, calls[name], output, reduce):
            if after is not None:
                after(key)

    def hook_for(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: record(name, output)  # a hook that returned more would change it

    def told(operation: Operation) -> None:
        if operation.name in operations:
            record(operation.name, operation.output)

    def announce(module: nn.Module, inputs: Any) -> None:
        if before is not None:
            before()

    with ExitStack() as hooks:
        hooks.enter_context(runs_eagerly(network))
        if before is not None:
            takers = (module for module in modules_of(network) if not isinstance(module, torch.jit.ScriptModule))
            hooks.enter_context(all_announced(takers, announce))
        if operations:
            hooks.enter_context(recording(network, told))
        for name in wanted:
            hooks.enter_context(hooked(modules[name], modules[name].register_forward_hook, hook_for(name)))
        yield seen


def _recorded(seen: Seen, name: str, call: int, output: object, reduce: Callable[[Tensor], Any]) -> Iterator[str]:
    """Record the tensors of one output and yield the key of each; note why, if there are none."""
    found = False
    try:
        for leaf, tensor in leaves(output):
            found = True
            with unwatched(), _own_graph(tensor):
                value = reduce(tensor)
            yield seen._keep(name, call, leaf, value)
        if not found:
            seen._silent[name] = f"put out {described(output)}, which holds no tensor"
    except Exception as error:  # code of a stranger: the person's pass goes on
        seen._silent[name] = f"put out {described(output)}, which could not be recorded ({error!r})"
        seen._failed[name] = error


def _own_graph(tensor: Tensor) -> AbstractContextManager[object]:
    """Keep what is computed from a tensor out of the books of activation checkpointing, which compares them later."""
    if not (torch.is_grad_enabled() and tensor.requires_grad):
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(lambda saved: saved, lambda saved: saved)


@contextmanager
def replace(network: nn.Module, layers: Mapping[str | nn.Module, Replacement]) -> Iterator[Mapping[str, int]]:
    """Make layers put out something else, as long as the ``with`` block lasts.

    Made for questions such as "what if this channel were silent?". A :func:`capture` that begins inside the block
    records what is put out instead. Gradients flow through the replacement, not through what it replaces, unless it is
    computed from that. All hooks are gone when the block ends. Compiled parts of the network run uncompiled meanwhile.

    Args:
        network: the network; only its hooks are touched, and only meanwhile.
        layers: dotted module name, or the module, → a tensor of the same shape to put out, or a function that makes
            it from what the layer put out (whatever that is: tensor, tuple, …). ``"name"`` stands for every call,
            ``"name:2"`` for the second in this block alone. Tensors are copied before a later layer may change them.

    Yields:
        How often each was replaced so far, by the names given.

    Raises:
        InputError: the network has no such module, or PyTorch runs it without hooks; while it runs: a function gave
            None, a tensor has another shape than what it stands for, or activation checkpointing runs one of
            several calls again.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    wanted: dict[str, dict[int | None, tuple[str, Replacement]]] = {}
    for layer, instead in layers.items():
        key = _one_call(modules, layer)
        refuse_hookless(modules, key.name)
        wanted.setdefault(key.name, {})[key.call] = (layer if isinstance(layer, str) else key.name, instead)
    done = dict.fromkeys((label for calls in wanted.values() for label, _ in calls.values()), 0)

    with ExitStack() as hooks:
        hooks.enter_context(runs_eagerly(network))
        for name, instead_of in wanted.items():
            hook = partial(_put_out, instead_of, Counter(), done)
            register = modules[name].register_forward_hook
            hooks.enter_context(hooked(modules[name], register, hook, changes=True))
        yield MappingProxyType(done)


def _one_call(modules: Mapping[str, nn.Module], layer: str | nn.Module) -> Key:
    """Return which layer, and which call of it or None for all, something is to be put out for."""
    key = parse(layer, modules) if isinstance(layer, str) else None
    if key is not None and key.call != 0 and not key.leaf:
        return key
    return Key(names_of(modules, [layer])[0], None, "")


def _put_out(
    wanted: Mapping[int | None, tuple[str, Replacement]],
    calls: Counter[str],
    done: dict[str, int],
    module: nn.Module,
    inputs: Any,
    output: Any,
) -> Any:
    """Be the hook of a replaced module: return what it puts out at this call, or None to leave it as it is."""
    again = computes_again()
    if not again:
        calls["all"] += 1
    elif calls["all"] > 1 and set(wanted) != {None}:
        raise InputError(
            "replacement_again",
            "Activation checkpointing runs one of {count} calls of {layer!r} again, and which one cannot be told. "
            "Replace every call of it, or switch checkpointing off.",
            layer=next(label for call, (label, _) in wanted.items() if call is not None),
            count=calls["all"],
        )
    label, instead = wanted.get(calls["all"]) or wanted.get(None) or ("", None)
    if instead is None:
        return None
    value = _made(label, instead, output)
    if not again:
        done[label] += 1
    return value


def _made(label: str, instead: Replacement, output: Any) -> Any:
    """Return what is put out instead of an output; a tensor in memory of its own."""
    value = instead if isinstance(instead, Tensor) else instead(output)
    if value is None:
        raise InputError(
            "replacement_none",
            "The function given for {layer!r} returned None. It has to return what the layer shall put out.",
            layer=label,
        )
    if isinstance(instead, Tensor) and (not isinstance(output, Tensor) or output.shape != instead.shape):
        raise InputError(
            "replacement_shape",
            "The layer {layer!r} put out {came}, and the tensor given for it has shape {given}. Give one of the same "
            "shape, or a function of the output.",
            layer=label,
            came=f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else described(output),
            given=tuple(instead.shape),
        )
    return value.clone() if isinstance(value, Tensor) and value is not output else value


def names_of(
    modules: Mapping[str, nn.Module], layers: str | nn.Module | Iterable[str | nn.Module], *, operations: bool = False
) -> list[str]:
    """Return the dotted names of layers, each once, in their order.

    Args:
        modules: the network's modules by dotted name.
        layers: names or modules, one or many.
        operations: whether names of operations between modules are among them.

    Raises:
        InputError: the network has no such module, or something else came.
    """
    if isinstance(layers, str | nn.Module):
        layers = [layers]
    if isinstance(layers, bytes) or not isinstance(layers, Iterable):
        raise _no_layer(layers)
    names = []
    for layer in layers:
        if isinstance(layer, nn.Module):
            name = next((name for name, module in modules.items() if module is layer), None)
            if name is None:
                raise InputError(
                    "foreign_layer",
                    "The {kind} given as a layer is no part of this network. Give one of its modules, or the dotted "
                    "name of one.",
                    kind=type(layer).__name__,
                )
            names.append(name)
        elif isinstance(layer, str):
            operation = operation_of(layer, modules) if operations and layer not in modules else None
            if operation is None or operation.name != layer:
                check_layer(modules, layer)
            names.append(layer)
        else:
            raise _no_layer(layer)
    return list(dict.fromkeys(names))


def _no_layer(came: object) -> InputError:
    return InputError(
        "layer_kind",
        "A layer cannot be named by {came}. Give its dotted name or the module itself, or several of these.",
        came=described(came),
    )


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


class _Reached(Exception):
    """The layer that was waited for has put out its tensor."""


def run_until(network: nn.Module, batch: Tensor, layer: str, before: Callable[[], None] | None = None) -> Tensor:
    """Return what one layer puts out for a batch, running the network no further than that.

    Args:
        network: the network.
        batch: (B, 3, H, W) float32.
        layer: ``"name"`` of a module or an operation (its first call), ``"name:call"``, or with a leaf as in
            :class:`Seen`.
        before: as in :func:`capture`.

    Returns:
        An exact copy, in whatever shape the layer puts out.

    Raises:
        InputError: no such layer, or it does not run, or not that often, for this batch.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    asked = parse(layer, modules) or operation_of(layer, modules) or Key(layer, None, "")
    wanted = asked._replace(call=1 if asked.call is None else asked.call)
    reached: list[str] = []

    def stop(recorded: str) -> None:
        if _answers(seen._spoken[recorded], wanted):
            reached.append(recorded)
            raise _Reached

    with capture(network, [wanted.name], before=before, after=stop) as seen:
        try:
            network(batch)
        except _Reached:
            return seen[reached[0]]
    raise InputError(
        "layer_silent",
        "The layer {layer!r} put out no tensor in this pass, which recorded {recorded}. Choose one that runs.",
        layer=layer,
        recorded=", ".join(seen) or f"nothing of it: it {seen._silent[wanted.name]}",
    )


def short_key(key: str, names: Container[str]) -> str:
    """Leave the call number off where it is the first call and its only tensor: ``"relu:1"`` is ``"relu"``.

    Args:
        key: as in :class:`Seen`.
        names: of the modules there are.
    """
    found = parse(key, names)
    return found.name if found and found.call == 1 and not found.leaf else key
