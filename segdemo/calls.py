"""Which module call runs at a moment of a pass, and what the operations in it are called: ``"layer1.0.add"``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from segdemo.hooks import hooked, runs_eagerly
from segdemo.leaves import Key, leaves, parse

_ARITHMETIC = {"add", "sub", "mul", "div", "truediv", "floordiv", "pow", "mod", "matmul", "and", "or", "xor"}
_PLAIN = {"truediv": "div", "floordiv": "floor_divide", "mod": "remainder"}  # as the functions are called
_here = threading.local()  # .unwatched: how many blocks of `unwatched` are open in this thread


@dataclass(eq=False)
class Frame:
    """One call of a module, while it runs.

    Args:
        module: what is called.
        path: its dotted name; that below its caller, where it has several.
        number: of its calls so far, this one included; a module with several names counts them together.
    """

    module: nn.Module
    path: str
    number: int


class Listener:
    """What is told of a pass. This one does nothing of it."""

    def entered(self, frame: Frame, given: object) -> None:
        """Hear that a module is called, with what."""

    def left(self, frame: Frame, output: object) -> None:
        """Hear what a module put out."""

    def ran(self, operation: Operation) -> None:
        """Hear what an operation put out."""

    def taking(self, name: str, number: int, given: Any) -> Any:
        """Hear what an operation is given, (arguments, keywords), and return what it shall be given."""
        return given

    def putting_out(self, operation: Operation) -> object:
        """Return what an operation shall put out."""
        return operation.output


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of a function of PyTorch that no other one made.

    Args:
        frame: the innermost module call it ran in.
        function: its plain name: ``"add"`` for ``+``, ``+=``, ``torch.add`` and ``add_``.
        name: ``"layer1.0.add"``.
        number: of the operations of that name so far, this one included.
        given: the tensors that went in.
        changed: those of them that it changed.
        output: what came out; after a write into a slice, the tensor written to.
    """

    frame: Frame
    function: str
    name: str
    number: int
    given: tuple[Tensor, ...]
    changed: tuple[Tensor, ...]
    output: object


@contextmanager
def unwatched() -> Iterator[None]:
    """Keep what PyTorch computes in the block out of the books: it is no part of the network."""
    _here.unwatched = getattr(_here, "unwatched", 0) + 1
    try:
        yield
    finally:
        _here.unwatched -= 1


@contextmanager
def watched(network: nn.Module, listener: Listener) -> Iterator[None]:
    """Tell a listener of every module call and every operation of a network, as long as the block lasts.

    Hooks that already hang on a module count as a part of it. Compiled parts run uncompiled meanwhile.

    Args:
        network: only its hooks are touched, and only meanwhile.
        listener: what it does is itself not watched.
    """
    calls = _Calls(network, listener)
    with ExitStack() as stack:
        stack.enter_context(runs_eagerly(network))
        for module in network.modules():
            before = partial(nn.Module.register_forward_pre_hook, module, prepend=True, with_kwargs=True)
            stack.enter_context(hooked(module, before, calls.enter))
            after = partial(nn.Module.register_forward_hook, module, always_call=True)  # a ScriptModule hides its own
            stack.enter_context(hooked(module, after, calls.leave))
        stack.enter_context(_Functions(calls))
        yield


class _Calls:
    """The module calls that are open, the innermost last, and how many there were."""

    def __init__(self, network: nn.Module, listener: Listener) -> None:
        self.listener = listener
        self.open = [Frame(network, "", 0)]
        self._paths: dict[nn.Module, list[str]] = {}
        for path, module in network.named_modules(remove_duplicate=False):
            self._paths.setdefault(module, []).append(path)
        self._modules = {path for paths in self._paths.values() for path in paths}
        self._calls: Counter[nn.Module] = Counter()
        self._operations: Counter[str] = Counter()

    def enter(self, module: nn.Module, arguments: Any, named: Any) -> None:
        if not computes_again():
            if module is self.open[0].module:
                del self.open[1:]  # a pass before raised
            self._calls[module] += 1
            self.open.append(Frame(module, self._path(module), self._calls[module]))
            with unwatched():
                self.listener.entered(self.open[-1], (arguments, named))

    def leave(self, module: nn.Module, arguments: Any, output: object) -> None:
        if not computes_again() and any(frame.module is module for frame in self.open[1:]):
            while self.open[-1].module is not module:  # these raised, and somebody caught it
                self.open.pop()
            with unwatched():
                self.listener.left(self.open.pop(), output)

    def takes(self, function: str, given: Any) -> Any:
        name = operation_name(self.open[-1].path, function, self._modules)
        with unwatched():
            return self.listener.taking(name, self._operations[name] + 1, given)

    def ran(self, function: str, given: tuple[Tensor, ...], changed: tuple[Tensor, ...], output: object) -> object:
        frame = self.open[-1]
        name = operation_name(frame.path, function, self._modules)
        self._operations[name] += 1
        operation = Operation(frame, function, name, self._operations[name], given, changed, output)
        with unwatched():
            self.listener.ran(operation)
            return self.listener.putting_out(operation)

    def _path(self, module: nn.Module) -> str:
        """Choose, of the names of a module, the one below the innermost open call that has one."""
        paths = self._paths.get(module, [""])
        for frame in reversed(self.open):
            for path in paths:
                if len(paths) == 1 or not frame.path or path.startswith(f"{frame.path}."):
                    return path
        return paths[0]


class _Functions(TorchFunctionMode):
    """Tells of every function of PyTorch that the network calls; those that functions call are not seen."""

    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, then tell of it."""
        kwargs = kwargs or {}
        if getattr(_here, "unwatched", 0) or computes_again():
            return func(*args, **kwargs)
        function = function_name(func)
        args, kwargs = self._calls.takes(function, (args, kwargs))
        given = tuple(_tensors((args, tuple(kwargs.values()))))
        versions = [_version(tensor) for tensor in given]
        output = func(*args, **kwargs)
        changed = tuple(one for one, before in zip(given, versions, strict=True) if _version(one) != before)
        made = args[0] if output is None and function == "setitem" else output
        if function in _LEAVING or any(True for _ in leaves(made)):
            put_out = self._calls.ran(function, given, changed, made)
            return output if put_out is made else put_out
        return output


_LEAVING = {"numpy", "tolist", "array", "dlpack"}  # what they put out, PyTorch does not know of


def _tensors(given: object) -> Iterator[Tensor]:
    """Yield the tensors in the arguments of a function."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, tuple | list):
        for one in given:
            yield from _tensors(one)


def _version(tensor: Tensor) -> int:
    """Return how often a tensor was changed; nobody counts it of tensors made for inference."""
    return 0 if tensor.is_inference() else tensor._version


def computes_again() -> bool:
    """Whether a gradient is being computed: a module that runs now is run once more by activation checkpointing."""
    return torch._C._current_graph_task_id() != -1


def function_name(function: Any) -> str:
    """Return the plain name of a function of PyTorch: ``"add"`` for ``Tensor.__iadd__`` and ``Tensor.add_``."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":  # of an attribute, such as `Tensor.T`
        name = function.__self__.__name__
    bare = name.strip("_")
    if name.startswith("__") and bare[:1] in ("i", "r") and bare[1:] in _ARITHMETIC:
        bare = bare[1:]
    return _PLAIN.get(bare, bare)


def operation_name(path: str, function: str, modules: Mapping[str, object] | set[str]) -> str:
    """Return what an operation is called: ``"up1.cat"``; ``"up1.cat()"`` where a module has that name.

    Args:
        path: dotted name of the module that it runs in.
        function: its plain name.
        modules: names of the modules there are.
    """
    name = f"{path}.{function}" if path else function
    return f"{name}()" if name in modules else name


def operation_of(key: str, modules: Mapping[str, object]) -> Key | None:
    """Read a key that may name an operation: ``"up1.cat"``, ``"up1.cat:2"``, ``"split[0]"``.

    Args:
        key: as a person writes it.
        modules: the network's modules by dotted name.

    Returns:
        What it speaks of, or None if PyTorch has no such function or the network no such module to run it in.
    """
    head = key.partition("[")[0].partition(":")[0]
    path, _, function = head.rpartition(".")
    found = parse(key, [head])
    plain = function.removesuffix("()")
    if found is None or path not in modules or operation_name(path, plain, modules) != head or not _is_function(plain):
        return None
    return found


def _is_function(name: str) -> bool:
    places = (torch, Tensor, functional, torch._C._nn)
    return name.isidentifier() and any(hasattr(place, one) for place in places for one in (name, f"__{name}__"))


def recording(network: nn.Module, told: Callable[[Operation], None]) -> AbstractContextManager[None]:
    """Tell a function of every operation of a network, as long as the block lasts."""

    class Told(Listener):
        def ran(self, operation: Operation) -> None:
            told(operation)

    return watched(network, Told())
