"""Hooks of our own: gone after their block, absent from copies; and modules that run without any."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from segdemo.errors import InputError

_OPEN: dict[RemovableHandle, int] = {}  # of each hook that is on now, the thread that put it there
_COUNTING = threading.Lock()
_eager: list[Any] = []  # one entry for each block that has compiled parts run uncompiled; the first knows the way back


class Hook:
    """A function that hangs on a module; a copy of it does nothing.

    Args:
        function: called as hooks are.
        changes: whether it may change what the module puts out.
    """

    def __init__(self, function: Callable[..., Any] = lambda *_: None, *, changes: bool = False) -> None:
        self.function = function
        self.changes = changes

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return Hook, ()


@contextmanager
def hooked(
    module: nn.Module,
    register: Callable[[Hook], RemovableHandle],
    function: Callable[..., Any],
    *,
    changes: bool = False,
) -> Iterator[None]:
    """Hang a function on a module as long as the block lasts; copies and pickles of the module are without it.

    Args:
        module: what it hangs on.
        register: the module's method that takes a hook.
        function: called as hooks are.
        changes: whether it may change what the module puts out.
    """
    hook = Hook(function, changes=changes)
    with _hung([module], lambda _: [register(hook)]):
        yield


def all_hooked(
    modules: Iterable[nn.Module], before: Callable[..., None], after: Callable[..., None]
) -> AbstractContextManager[None]:
    """Hang two functions on many modules as :func:`hooked` does, before whatever hangs there and behind it.

    Args:
        modules: what they hang on.
        before: called with the module, its arguments and its named arguments.
        after: called with the module, its arguments and what it put out, None where it raised.
    """
    first, last = Hook(before), Hook(after)
    return _hung(
        modules,
        lambda module: [  # by the class, as a ScriptModule hides its own
            nn.Module.register_forward_pre_hook(module, first, prepend=True, with_kwargs=True),
            nn.Module.register_forward_hook(module, last, always_call=True),
        ],
    )


def all_announced(modules: Iterable[nn.Module], function: Callable[..., None]) -> AbstractContextManager[None]:
    """Hang a function on many modules as :func:`hooked` does, called before each of them runs."""
    hook = Hook(function)
    return _hung(modules, lambda module: [module.register_forward_pre_hook(hook)])


@contextmanager
def _hung(modules: Iterable[nn.Module], hang: Callable[[nn.Module], list[RemovableHandle]]) -> Iterator[None]:
    """Have each module hung with hooks as long as the block lasts."""
    here, handles = threading.get_ident(), []
    hung: list[nn.Module] = []
    try:
        for module in modules:
            hung.append(module)
            handles += hang(module)
            module.__dict__["__reduce_ex__"] = partial(_without_ours, module)  # copy and pickle ask it before its class
        _OPEN.update(dict.fromkeys(handles, here))
        yield
    finally:
        for handle in handles:
            handle.remove()
            _OPEN.pop(handle, None)
        for module in hung:
            if not any(isinstance(hook, Hook) for hook in _hooks_of(module)):
                module.__dict__.pop("__reduce_ex__", None)


def _hooks_of(module: nn.Module) -> list[Any]:
    return [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]


def _without_ours(module: nn.Module, protocol: Any) -> Any:
    """Reduce a module for copy and pickle as its class does, then leave our hooks out."""
    reduced = type(module).__reduce_ex__(module, protocol)
    if not (isinstance(reduced, tuple) and len(reduced) > 2 and isinstance(reduced[2], dict)):
        return reduced
    state = {name: value for name, value in reduced[2].items() if name != "__reduce_ex__"}
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        if name in state:
            state[name] = OrderedDict((key, hook) for key, hook in state[name].items() if not isinstance(hook, Hook))
    return (*reduced[:2], state, *reduced[3:])


def is_changed(network: nn.Module, known: frozenset[int] = frozenset()) -> bool:
    """Whether hooks other than those that only record hang on a network: then it may put out anything.

    Args:
        network: the network.
        known: hooks that belong to it, as :func:`foreign_hooks` found them.
    """
    ours = (hook for module in network.modules() for hook in _hooks_of(module) if isinstance(hook, Hook))
    return any(hook.changes for hook in ours) or not foreign_hooks(network) <= known


def foreign_hooks(network: nn.Module) -> frozenset[int]:
    """Return what tells the hooks on a network that are none of ours from others."""
    hooks = (hook for module in network.modules() for hook in _hooks_of(module))
    return frozenset(id(hook) for hook in hooks if not isinstance(hook, Hook))


@contextmanager
def runs_eagerly(network: nn.Module) -> Iterator[None]:
    """Run compiled parts of a network as they were before compiling: what is compiled knows of no later hooks.

    Args:
        network: if nothing in it is compiled, nothing is done.
    """
    if not any(_is_compiled(module) for module in modules_of(network)):
        yield
        return
    with _COUNTING:
        _eager.append(None if _eager else torch.compiler.set_stance("force_eager"))
        if _eager[-1] is not None:
            _eager[-1].__enter__()
    try:
        yield
    finally:
        with _COUNTING:
            if len(_eager) == 1:
                _eager[0].__exit__(None, None, None)
                _eager.clear()
            else:
                _eager.remove(None)


def modules_of(network: nn.Module) -> list[nn.Module]:
    """Return a network and every module in it once, as ``network.modules()`` does in far more time."""
    found: dict[nn.Module, None] = {}
    todo: list[nn.Module | None] = [network]
    while todo:
        module = todo.pop()
        if module is not None and module not in found:
            found[module] = None
            todo += reversed(module._modules.values())
    return list(found)


def _is_compiled(module: nn.Module) -> bool:
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def refuse_hookless(modules: Mapping[str, nn.Module], name: str) -> None:
    """Refuse a layer that PyTorch runs outside of Python, or in copies of the module.

    Args:
        modules: the network's modules by dotted name.
        name: of the layer.

    Raises:
        InputError: with what to give instead.
    """
    parents = [modules[above] for above in _above(name) if above in modules]
    if isinstance(modules[name], torch.jit.ScriptModule):
        raise InputError(
            "layer_scripted",
            "The layer {name!r} is TorchScript, which runs without hooks. Give the network that it was made from.",
            name=name,
        )
    if any(isinstance(parent, nn.DataParallel) and len(parent.device_ids) > 1 for parent in parents):
        raise InputError(
            "layer_replicated",
            "The layer {name!r} runs in copies, one on each device of a DataParallel. Give the network inside it, "
            "`network.module`.",
            name=name,
        )


def why_silent(modules: Mapping[str, nn.Module], name: str) -> str:
    """Say why a layer may have put nothing out, as what follows its name in a sentence.

    Args:
        modules: the network's modules by dotted name.
        name: of the layer.
    """
    module = modules[name]
    parent = modules.get(next(iter(_above(name)), ""))
    if name and isinstance(parent, nn.MultiheadAttention):
        return "is never called: MultiheadAttention computes with its weights; ask for the attention itself"
    if type(module).forward is nn.Module.forward:
        return f"is never called: a {type(module).__name__} only holds other modules; ask for those"
    return (
        "did not run in the block, or ran without its hooks, as where only its weights are used, or where it is "
        "called through forward() or in a compiled function"
    )


def _above(name: str) -> Iterator[str]:
    """Yield the dotted names of the modules that a module lies in, the nearest first; names may hold no dot."""
    while name:
        name = name.rpartition(".")[0]
        yield name


def _only_mine() -> None:
    """Take off the hooks of threads that do not exist in a forked child, which nobody would ever take off."""
    for handle, thread in list(_OPEN.items()):
        if thread != threading.get_ident():
            handle.remove()
            del _OPEN[handle]


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_only_mine)
