"""One traced pass of a network: its module calls, its operations, their shapes, and what feeds what."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from segdemo import ambient
from segdemo.calls import Frame, Listener, Operation, named_modules, watched
from segdemo.errors import InputError
from segdemo.hooks import modules_of
from segdemo.leaves import leaves, spell

INPUT = -1  # in place of the number of a node: the batch
_CONSTANT = -2  # depends on nothing that came in
_RETURNING = {"from_numpy", "tensor", "as_tensor", "asarray", "frombuffer", "from_dlpack"}  # from outside of PyTorch
_LEAVING = {"numpy", "tolist", "array", "dlpack"}
_PLAIN = {int, bool, float, str, type(None)}
_HOLDERS = (Tensor, list, tuple, dict)
_MANY = 64  # values: a tensor of fewer that nobody made is taken for a constant of the program


@dataclass(frozen=True)
class Node:
    """One operation of the pass that depends on the batch.

    Args:
        layer: its name as a viewing point, ``"layer1.0.add"``, with ``":2"`` for the second of that name.
        function: ``"add"``; ``"opaque"`` for a whole module that PyTorch cannot look into.
        call: place in ``calls`` of the innermost module call it ran in.
        inputs: places in ``nodes`` of what it takes, ascending; ``INPUT`` is the batch.
        shape: of what came out, batch included; of the largest tensor if there are several.
    """

    layer: str
    function: str
    call: int
    inputs: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Args:
        layer: its name as a viewing point, ``"layer1.0.relu"``, with ``":2"`` for the second call of that module.
        kind: class of the module.
        parent: place in ``calls`` of the call it was made in, -1 for the network itself.
        first: place in ``nodes`` of the first operation in it…
        last: …and of the first one after it; calls without operations have both equal.
        shapes: name of each tensor it put out as a viewing point, ``layer`` or ``"layer:1[0]"``, and its shape.
        opaque: what happens in it was not seen: TorchScript, C++ or NumPy.
        finished: how many calls had ended before.
        given: places in ``nodes`` of what it was given, ascending; ``INPUT`` is the batch.
        made: places in ``nodes`` of what it put out, likewise.
        shares: it put out, or wrote to, memory of tensors that were there before it began.
    """

    layer: str
    kind: str
    parent: int
    first: int
    last: int
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    opaque: bool
    finished: int
    given: tuple[int, ...] = ()
    made: tuple[int, ...] = ()
    shares: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what it put out, batch included; of the largest tensor if there are several."""
        return _largest(shape for _, shape in self.shapes)


@dataclass(frozen=True)
class Trace:
    """What happened in one pass.

    Args:
        calls: in the order in which they began; the first is that of the network.
        nodes: in the order in which they ran.
        outputs: places in ``nodes`` of what the network returned.
        batch: shape of the batch.
    """

    calls: tuple[Call, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    batch: tuple[int, ...]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Of each call, the places in ``calls`` of those made directly in it."""
        inside: list[list[int]] = [[] for _ in self.calls]
        for place, call in enumerate(self.calls):
            if call.parent >= 0:
                inside[call.parent].append(place)
        return tuple(map(tuple, inside))

    @cached_property
    def takers(self) -> dict[int, tuple[int, ...]]:
        """Of each node that feeds others, and of the batch, the places of those."""
        found: dict[int, list[int]] = {}
        for place, node in enumerate(self.nodes):
            for one in node.inputs:
                found.setdefault(one, []).append(place)
        return {place: tuple(takers) for place, takers in found.items()}

    def modules(self) -> list[Call]:
        """Return every call of a module below the network, in order of finishing."""
        return sorted(self.calls[1:], key=lambda call: call.finished)


def trace_network(network: nn.Module, batch: Tensor) -> Trace:
    """Run a network once and write down what feeds what.

    It runs in evaluation mode and without gradients; no tensor is kept longer than the network keeps it, and nothing
    of it is left on the network afterwards, whatever happens.

    Args:
        network: any module; one that was compiled runs as it was before. On the meta device nothing is computed.
        batch: what it takes, (B, C, H, W), on the same device.

    Raises:
        InputError: ``network_scripted``, TorchScript does not tell what happens in it.
    """
    inner = getattr(network, "_orig_mod", network)
    network = inner if isinstance(inner, nn.Module) else network
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError(
            "network_scripted",
            "The network is TorchScript ({kind}), which does not tell what happens inside it. Give the module that it "
            "was made from.",
            kind=type(network).__name__,
        )
    with _undisturbed(network):
        batch = batch.clone()  # a network may write into it
        recorder = _Recorder(network, batch)
        with watched(network, recorder):
            network(batch)
    return recorder.trace(tuple(batch.shape))


@contextmanager
def _undisturbed(network: nn.Module) -> Iterator[None]:
    """Leave modes and random numbers as they are, and run without gradients, but count changes of tensors."""
    training = [module for module in modules_of(network) if module.training]
    with torch.inference_mode(False), torch.no_grad(), ambient.drawing():
        try:
            if training:
                network.eval()
            yield
        finally:
            for module in training:
                module.training = True


class _Opened:
    """A module call that runs."""

    def __init__(self, place: int, layer: str, given: set[int], first: int) -> None:
        self.place, self.layer, self.given, self.first = place, layer, given, first
        self.left: set[int] = set()  # nodes whose values went out of PyTorch in it
        self.made: set[int] = set()
        self.shares = False


class _Makers:
    """Tensor → number of the node that made it. Tensors are held weakly, and told apart by being the same one."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}

    def get(self, tensor: Tensor) -> int | None:
        """Return who made a tensor, None if nobody was seen making it."""
        found = self._known.get(id(tensor))
        return None if found is None else found[1]

    def put(self, tensor: Tensor, maker: int) -> None:
        """Note who made a tensor."""
        key = id(tensor)
        found = self._known.get(key)
        if found is not None:
            self._known[key] = found[0], maker
            return
        known = self._known  # the reference must not keep all of this
        self._known[key] = weakref.ref(tensor, lambda _: known.pop(key, None)), maker

    def tensors(self) -> list[Tensor]:
        """Return those that are still there."""
        found = []
        for reference, _ in list(self._known.values()):
            tensor = reference()
            if tensor is not None:
                tensor._fix_weakref()  # type: ignore[attr-defined]  # one that C++ alone held is Python's again
                found.append(tensor)
        return found


class _Recorder(Listener):
    """Writes down which node made which tensor. Tensors are held weakly."""

    def __init__(self, network: nn.Module, batch: Tensor) -> None:
        self._makers = _Makers()  # of the tensors of the pass
        self._own = _Makers()  # tensors that belong to the network
        for tensor in _owned(network):
            self._own.put(tensor, _CONSTANT)
        self._makers.put(batch, INPUT)
        self._odd = [name for name, _ in named_modules(network) if ":" in name or "[" in name]
        self._nodes: list[Node] = []
        self._calls: list[Call | None] = []
        self._open: list[_Opened] = []
        self._finished = 0
        self._outputs: tuple[int, ...] = ()

    def trace(self, batch: tuple[int, ...]) -> Trace:
        """Return what was written down."""
        return Trace(tuple(call for call in self._calls if call), tuple(self._nodes), self._outputs, batch)

    def entered(self, frame: Frame, given: object) -> None:
        """Note that a module is called."""
        one = given[0] if isinstance(given, tuple) and len(given) == 1 else given  # most modules take one tensor
        sources = self._sources([one] if isinstance(one, Tensor) else [tensor for _, tensor in leaves(given)])
        layer = self._name(frame.path, frame.number)
        self._open.append(_Opened(len(self._calls), layer, sources, len(self._nodes)))
        self._calls.append(None)

    def left(self, frame: Frame, output: object) -> None:
        """Note what a module put out; where nobody in it made that, it is opaque."""
        layer = self._name(frame.path, frame.number)
        while self._open[-1].layer != layer:  # these raised, and somebody caught it
            self._close(self._open.pop(), "", (), opaque=False)
        call, found = self._open[-1], [("", output)] if isinstance(output, Tensor) else list(leaves(output))
        orphans = [tensor for _, tensor in found if self._maker(tensor) is None]
        if orphans and call.given:
            self._add(call.layer, "opaque", call.given, orphans)
        for tensor in orphans if not call.given else ():
            self._makers.put(tensor, _CONSTANT)
        self._open.pop()
        tensors = [tensor for _, tensor in found]
        call.made = self._sources(tensors)
        self._touches([one for tensor in tensors for one in (tensor, *self._aliases(tensor))], [call])
        shapes = tuple((self._name(frame.path, frame.number, leaf), tuple(tensor.shape)) for leaf, tensor in found)
        self._close(call, type(frame.module).__name__, shapes, opaque=bool(orphans and call.given))
        if not self._open:
            self._outputs = tuple(sorted(self._sources(tensor for _, tensor in found) - {INPUT}))

    def _close(
        self, call: _Opened, kind: str, shapes: tuple[tuple[str, tuple[int, ...]], ...], *, opaque: bool
    ) -> None:
        parent = self._open[-1].place if self._open else -1
        self._calls[call.place] = Call(
            call.layer,
            kind,
            parent,
            call.first,
            len(self._nodes),
            shapes,
            opaque,
            self._finished,
            tuple(sorted(call.given)),
            tuple(sorted(call.made)),
            call.shares,
        )
        self._finished += 1

    def ran(self, operation: Operation) -> None:
        """Note what an operation made of what."""
        sources = self._sources(operation.given)
        if operation.function in _LEAVING:
            self._open[-1].left |= sources
            return
        if operation.function in _RETURNING and not sources:
            sources = next((set(call.left) for call in reversed(self._open) if call.left), set())
        came = set(map(id, operation.given))
        put_out = operation.output
        all_made = [put_out] if isinstance(put_out, Tensor) else [tensor for _, tensor in leaves(put_out)]
        made = [tensor for tensor in all_made if id(tensor) not in came]
        written = [one for one in operation.changed if self._own.get(one) is None]
        if not sources:
            for tensor in made:
                self._makers.put(tensor, _CONSTANT)
        elif made or written:
            for one in written:
                aliases = self._aliases(one)
                self._touches([one, *aliases], self._open)
                sources |= self._sources(aliases)
                made += [one, *aliases]
            self._add(self._name(operation.name, operation.number), operation.function, sources, made)

    def _touches(self, tensors: Iterable[Tensor], calls: Iterable[_Opened]) -> None:
        """Note for calls whether tensors that they put out, or wrote to, were there before they began."""
        makers = {maker for tensor in tensors if (maker := self._maker(tensor)) not in (None, _CONSTANT)}
        for call in calls:
            call.shares |= any(maker < call.first for maker in makers if maker is not None)

    def _name(self, name: str, number: int, leaf: str = "") -> str:
        """Return what a call is as a viewing point."""
        if number == 1 and not leaf:
            return name
        return spell(name, number, leaf, self._odd) if self._odd else f"{name}:{number}{leaf}"

    def _add(self, layer: str, function: str, sources: set[int], made: list[Tensor]) -> None:
        shape = tuple(made[0].shape) if len(made) == 1 else _largest(tuple(tensor.shape) for tensor in made)
        self._nodes.append(Node(layer, function, self._open[-1].place, tuple(sorted(sources)), shape))
        for tensor in made:
            self._makers.put(tensor, len(self._nodes) - 1)

    def _maker(self, tensor: Tensor) -> int | None:
        """Return which node made a tensor; None if nobody was seen making it."""
        maker = self._makers.get(tensor)
        return self._own.get(tensor) if maker is None else maker

    def _sources(self, tensors: Iterable[Tensor]) -> set[int]:
        """Return the nodes that made tensors, constants left out."""
        makers = set()
        for tensor in tensors:
            maker = self._maker(tensor)
            makers.add(self._unseen(tensor) if maker is None else maker)
        makers.discard(_CONSTANT)
        return makers

    def _unseen(self, tensor: Tensor) -> int:
        """Return a node for a tensor that nobody was seen making: it may come from a function of TorchScript."""
        call = self._open[-1] if self._open else None
        self._makers.put(tensor, _CONSTANT)
        if call is not None and tensor.dim() > 1 and tensor.numel() >= _MANY:
            before = {len(self._nodes) - 1} if len(self._nodes) > call.first else call.given
            if before:
                self._add(f"{call.layer}.unseen" if call.layer else "unseen", "unseen", before, [tensor])
        made_by = self._makers.get(tensor)
        return _CONSTANT if made_by is None else made_by

    def _aliases(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of the pass that a write into one changed as well."""
        return [one for one in self._makers.tensors() if one is not tensor and _overlap(one, tensor)]


def _owned(network: nn.Module) -> Iterator[Tensor]:
    """Yield a network's parameters and buffers, and the tensors that modules keep as plain attributes."""
    for module in modules_of(network):
        yield from (tensor for tensor in module._parameters.values() if tensor is not None)
        yield from (tensor for tensor in module._buffers.values() if tensor is not None)
        for name, value in list(module.__dict__.items()):
            if name[:1] != "_" and type(value) not in _PLAIN and isinstance(value, _HOLDERS):
                yield from (tensor for _, tensor in leaves(value))


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors lie in the same memory; views that interleave without touching count as if they did."""
    if one.layout is not torch.strided or other.layout is not torch.strided or one.is_meta != other.is_meta:
        return False
    if one.untyped_storage()._cdata != other.untyped_storage()._cdata:
        return False
    (start, end), (first, last) = _span(one), _span(other)
    return start < last and first < end


def _span(tensor: Tensor) -> tuple[int, int]:
    start = int(tensor.storage_offset())
    steps = (max(size - 1, 0) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + int(sum(steps)) + 1


def _largest(shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of most values, the first of several."""
    return max(shapes, key=lambda shape: torch.Size(shape).numel(), default=())
