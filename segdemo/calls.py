"""Which module call runs at a moment of a pass, and what the operations in it are called: ``"layer1.0.add"``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from segdemo.hooks import all_hooked, modules_of, runs_eagerly
from segdemo.leaves import Key, leaves, parse

_ARITHMETIC = {"add", "sub", "mul", "div", "truediv", "floordiv", "pow", "mod", "matmul", "and", "or", "xor"}
_PLAIN = {"truediv": "div", "floordiv": "floor_divide", "mod": "remainder"}  # as the functions are called


@dataclass(eq=False, slots=True)
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


@dataclass(eq=False, slots=True)  # one is made for every operation: freezing them would take longer than the rest
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


_graph_task = torch._C._current_graph_task_id


class _Here(threading.local):
    """What only the thread at hand is in."""

    unwatched = 0  # blocks of :class:`unwatched` that are open


_here = _Here()


class unwatched:
    """Keep what PyTorch computes in the block out of the books: it is no part of the network."""

    def __enter__(self) -> None:
        _here.unwatched += 1

    def __exit__(self, *raised: object) -> None:
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
    with runs_eagerly(network), all_hooked(modules_of(network), calls.enter, calls.leave), _Functions(calls):
        yield


class _Calls:
    """The module calls that are open, the innermost last, and how many there were."""

    def __init__(self, network: nn.Module, listener: Listener) -> None:
        self.listener = listener
        kind = type(listener)
        self.takes_part = kind.taking is not Listener.taking or kind.putting_out is not Listener.putting_out
        self.open = [Frame(network, "", 0)]
        self._paths: dict[nn.Module, list[str]] = {}
        for path, module in named_modules(network):
            self._paths.setdefault(module, []).append(path)
        self._modules = {path for paths in self._paths.values() for path in paths}
        self._calls: dict[nn.Module, int] = {}
        self._operations: dict[str, int] = {}
        self._names: dict[tuple[str, str], str] = {}  # of operations, by path and function

    def enter(self, module: nn.Module, arguments: Any, named: Any) -> None:
        if not computes_again():
            if module is self.open[0].module:
                del self.open[1:]  # a pass before raised
            number = self._calls[module] = self._calls.get(module, 0) + 1
            self.open.append(Frame(module, self._path(module), number))
            with unwatched():
                self.listener.entered(self.open[-1], (arguments, named) if named else arguments)

    def leave(self, module: nn.Module, arguments: Any, output: object) -> None:
        if not computes_again() and self._is_open(module):
            while self.open[-1].module is not module:  # these raised, and somebody caught it
                self.open.pop()
            with unwatched():
                self.listener.left(self.open.pop(), output)

    def _is_open(self, module: nn.Module) -> bool:
        """Whether a call of a module runs, the network's own place aside: most often it is the innermost."""
        frames = self.open
        return len(frames) > 1 and (frames[-1].module is module or any(frame.module is module for frame in frames[1:]))

    def takes(self, function: str, given: Any) -> Any:
        name = self._name(function)
        with unwatched():
            return self.listener.taking(name, self._operations.get(name, 0) + 1, given)

    def ran(self, function: str, given: tuple[Tensor, ...], changed: tuple[Tensor, ...], output: object) -> object:
        name = self._name(function)
        number = self._operations[name] = self._operations.get(name, 0) + 1
        operation = Operation(self.open[-1], function, name, number, given, changed, output)
        with unwatched():
            self.listener.ran(operation)
            return self.listener.putting_out(operation) if self.takes_part else output

    def _name(self, function: str) -> str:
        """Return what an operation is called that the innermost open call makes."""
        path = self.open[-1].path
        name = self._names.get((path, function))
        if name is None:
            name = self._names[path, function] = operation_name(path, function, self._modules)
        return name

    def _path(self, module: nn.Module) -> str:
        """Choose, of the names of a module, the one below the innermost open call that has one."""
        paths = self._paths.get(module, [""])
        if len(paths) == 1:
            return paths[0]
        for frame in reversed(self.open):
            for path in paths:
                if not frame.path or path.startswith(f"{frame.path}."):
                    return path
        return paths[0]


class _Functions(TorchFunctionMode):
    """Tells of every function of PyTorch that the network calls; those that functions call are not seen."""

    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self._calls = calls
        self._plain: dict[Any, str] = {}  # names of functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, then tell of it."""
        if _here.unwatched or computes_again():
            return func(*args, **kwargs) if kwargs else func(*args)
        function = self._plain.get(func)
        if function is None:
            function = self._plain[func] = function_name(func)
        if self._calls.takes_part:
            args, kwargs = self._calls.takes(function, (args, kwargs or {}))
        given: list[Tensor] = []
        _gather(args, given)
        if kwargs:
            _gather(kwargs.values(), given)
        versions = _versions(given)
        output = func(*args, **kwargs) if kwargs else func(*args)
        if type(output) in _NUMBERS and versions == _versions(given):
            return output
        made = args[0] if output is None and function == "setitem" else output
        if isinstance(made, Tensor) or function in _LEAVING or any(True for _ in leaves(made)):
            now = _versions(given)
            changed: tuple[Tensor, ...] = ()
            if versions != now:
                changed = tuple(one for one, *both in zip(given, versions, now, strict=True) if both[0] != both[1])
            put_out = self._calls.ran(function, tuple(given), changed, made)
            return output if put_out is made else put_out
        return output


_NUMBERS = {torch.Size, int, bool, float, torch.dtype, torch.device}  # what attributes and sizes give: no tensors
_LEAVING = {"numpy", "tolist", "array", "dlpack"}  # what they put out, PyTorch does not know of


def _gather(given: Iterable[object], found: list[Tensor]) -> None:
    """Add the tensors in the arguments of a function to those found."""
    for one in given:
        if isinstance(one, Tensor):
            found.append(one)
        elif isinstance(one, (tuple, list)) and type(one) is not torch.Size:
            _gather(one, found)


def _versions(tensors: list[Tensor]) -> list[int]:
    """Return how often each tensor was changed; nobody counts it of tensors made for inference."""
    return [0 if tensor.is_inference() else tensor._version for tensor in tensors]


def computes_again() -> bool:
    """Whether a gradient is being computed: a module that runs now is run once more by activation checkpointing."""
    return _graph_task() != -1


def named_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield every module with each of its dotted names, as ``network.named_modules(remove_duplicate=False)`` does."""
    todo: list[tuple[str, nn.Module]] = [("", network)]
    while todo:
        path, module = todo.pop()
        yield path, module
        start = f"{path}." if path else ""
        todo += [(start + name, child) for name, child in reversed(module._modules.items()) if child is not None]


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
