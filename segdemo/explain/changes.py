"""What becomes of what a layer puts out, or of what arrives over a skip connection, while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from segdemo import activations
from segdemo.calls import Listener, Operation, operation_of, watched
from segdemo.engine import Bench
from segdemo.errors import InputError
from segdemo.explain.cut import Touched
from segdemo.explain.replay import Resumed, module_of, number_of
from segdemo.hooks import hooked
from segdemo.leaves import leaves, parse
from segdemo.networks import Network
from segdemo.trace import Trace
from segdemo.traced import drawn, trace_of

LOUDEST = 2.0  # the greatest factor
Kind = Literal["factor", "mean", "noise"]


@dataclass(frozen=True)
class Change:
    """What one layer, or one skip connection, shall put out instead.

    Args:
        layer: label of a stage; or dotted name of a module, for all of its calls; ``"name:2"`` for the second,
            ``"name:1[0]"`` for one tensor of several; or the name of an operation, ``"up1.cat"``.
        into: label of the stage that the layer reaches over a skip connection: then what arrives there changes alone.
            None changes what the layer puts out, wherever it goes.
        factor: what it is multiplied with, in [0, 2].
        channels: those that change; empty for all.
        instead: ``"factor"``; ``"mean"``: each channel's own mean, times the factor; ``"noise"``: normal noise with the
            mean and the standard deviation of each channel, times the factor.
        seed: of the noise.
    """

    layer: str
    into: str | None = None
    factor: float = 1.0
    channels: tuple[int, ...] = ()
    instead: Kind = "factor"
    seed: int = 0


@dataclass(frozen=True)
class Skip:
    """A skip connection.

    Args:
        source: label of the stage that it comes from.
        into: label of the stage that it goes to.
        layer: dotted name of the source.
        joins: dotted names of the modules that take it in.
    """

    source: str
    into: str
    layer: str
    joins: tuple[str, ...]


def skips_of(spec: Network) -> tuple[Skip, ...]:
    """Return the skip connections of a network's figure."""
    figure = spec.stages if spec.foreign else drawn(spec, trace_of(spec)).stages
    stages = {stage.label: stage for stage in figure}
    return tuple(
        Skip(source, stage.label, stages[source].layer, (stage.layer, *(inner.layer for inner in stage.inside)))
        for stage in figure
        for source in stage.skips
        if source in stages
    )


class Point(NamedTuple):
    """What a change is hung on.

    Args:
        name: of a module or an operation.
        call: which of its calls; None for all.
        leaf: the way to one tensor of several, ``""`` for all.
        operation: whether it is an operation between modules.
    """

    name: str
    call: int | None
    leaf: str
    operation: bool

    def is_operation(self, name: str, number: int) -> bool:
        """Whether it is this call of this operation."""
        return self.operation and self.name == name and self.call in (None, number)


def point_of(network: nn.Module, layer: str) -> Point:
    """Return what a layer's name, as questions have it, stands for."""
    modules = dict(network.named_modules(remove_duplicate=False))
    key = parse(layer, modules)
    if key is not None:
        return Point(*key, operation=False)
    operation = operation_of(layer, modules)
    assert operation is not None  # else nobody would have let it pass
    return Point(operation.name, operation.call or 1, operation.leaf, operation=True)


@contextmanager
def mixing(bench: Bench, changes: tuple[Change, ...], resumed: Resumed | None = None) -> Iterator[None]:
    """Change what layers put out as long as the block lasts.

    Args:
        bench: has the network.
        changes: what is changed; of a layer that several name, one after the other.
        resumed: which calls are left out meanwhile.

    Raises:
        InputError: no such layer, channel or skip connection, or a factor out of range; when the block ends, a layer
            that did not run, or a skip connection that nobody took in.
    """
    points: list[tuple[Point, Change]] = []
    arriving: list[_Arriving] = []
    for change in changes:
        check_change(change)
        point = point_of(bench.module, bench.opened.layer_of(change.layer))
        if change.into is None:
            points.append((point, change))
        else:
            skip = skip_of(bench, change)
            arriving.append(_Arriving(bench.module, skip, change))
    with ExitStack() as stack:
        for one in arriving:
            stack.enter_context(one.listening(bench.module))
        done = stack.enter_context(activations.replace(bench.module, _replacements(bench.module, points, resumed)))
        operations = [(point, change) for point, change in points if point.operation]
        listener = _Operations(operations, arriving)
        if operations or any(one.at_operations for one in arriving):
            stack.enter_context(watched(bench.module, listener))
        yield
    silent = [name for name, times in done.items() if not times]
    silent += [change.layer for point, change in operations if point not in listener.done]
    if silent:
        raise InputError(
            "layer_silent",
            "The layer {layer!r} put out no tensor in this pass, which recorded {recorded}. Choose one that runs.",
            layer=silent[0],
            recorded="nothing of it",
        )
    for one in arriving:
        one.check()


def _replacements(
    network: nn.Module, points: list[tuple[Point, Change]], resumed: Resumed | None
) -> dict[str | nn.Module, activations.Replacement]:
    """Return what changes the outputs of modules, by name and number as they are when calls are left out."""
    found: dict[str, list[tuple[str, Change]]] = {}
    for point, change in points:
        if point.operation:
            continue
        key = point.name
        if point.call is not None:
            number = point.call
            if resumed is not None and resumed.trace is not None:
                places = places_of(network, resumed.trace, point)
                number = number_of(network, resumed.trace, resumed.cut, places[0]) if places else number
            key = f"{key}:{number}"
        found.setdefault(key, []).append((point.leaf, change))
    return {key: partial(_one_after_the_other, of_one) for key, of_one in found.items()}


def _one_after_the_other(changes: list[tuple[str, Change]], output: Any) -> Any:
    for leaf, change in changes:
        output = _changed_leaf(output, leaf, change)
    return output


def _changed_leaf(output: Any, leaf: str, change: Change) -> Any:
    """Change one tensor of an output, or the only one."""
    if not leaf:
        return changed(output, change)
    tensor = next((tensor for way, tensor in leaves(output) if way == leaf), None)
    instead = changed(tensor, change)
    return tree_map(lambda value: instead if value is tensor else value, output)


def places_of(network: nn.Module, trace: Trace, point: Point) -> list[int]:
    """Return the calls of a trace that a point stands for."""
    modules = dict(network.named_modules(remove_duplicate=False))
    calls = [
        place
        for place in range(1, len(trace.calls))
        if not point.operation and module_of(modules, trace, place) is modules[point.name]
    ]
    return calls if point.call is None else calls[point.call - 1 : point.call]


def _nodes_of(trace: Trace, point: Point) -> list[int]:
    """Return the operations of a trace that a point stands for."""
    names = {point.name: point.name}
    found = []
    for place, node in enumerate(trace.nodes):
        key = parse(node.layer, names)
        if key is not None and point.is_operation(key.name, key.call or 1):
            found.append(place)
    return found


def touched_by(bench: Bench, changes: tuple[Change, ...], trace: Trace) -> Touched:
    """Return what of a pass changes touch first.

    Raises:
        InputError: as :func:`mixing` says.
    """
    network = bench.module
    outputs: set[int] = set()
    inputs: set[int] = set()
    after: set[int] = set()
    into: set[int] = set()
    running: set[int] = set()

    def runs(point: Point) -> None:
        """Have all calls of an operation's module run, so that its operations keep their numbers."""
        module = Point(point.name.rpartition(".")[0], None, "", operation=False)
        running.update(places_of(network, trace, module) if module.name else ())

    for change in changes:
        check_change(change)
        point = point_of(network, bench.opened.layer_of(change.layer))
        if change.into is None:
            outputs.update(places_of(network, trace, point))
            if point.operation:
                after.update(_nodes_of(trace, point))
                runs(point)
            continue
        skip = skip_of(bench, change)
        running.update(trace.calls[place].parent for place in places_of(network, trace, point))
        for join in (point_of(network, name) for name in skip.joins):
            inputs.update(places_of(network, trace, join))
            if join.operation:
                into.update(_nodes_of(trace, join))
                runs(join)
        if point.operation:
            runs(point)
    return Touched(*map(frozenset, (outputs, inputs, after, into, running)))


def check_change(change: Change) -> None:
    """Refuse a change that cannot be.

    Raises:
        InputError: ``factor_range``, ``change_kind``.
    """
    if not 0 <= change.factor <= LOUDEST:  # also refuses what is no number
        raise InputError(
            "factor_range",
            "A layer can be turned down to 0 or up to {loudest}, and {came} came. Give a factor between.",
            loudest=LOUDEST,
            came=change.factor,
        )
    if change.instead not in ("factor", "mean", "noise"):
        raise InputError(
            "change_kind",
            "A layer can be changed by “factor”, “mean” or “noise”, and {came} came. Give one of these.",
            came=repr(change.instead),
        )


def changed(output: Any, change: Change) -> Tensor:
    """Return what is put out instead of one tensor.

    Args:
        output: what the layer put out, (B, C, …).
        change: what becomes of it.

    Raises:
        InputError: it is no tensor with channels, or has no such channel.
    """
    if not isinstance(output, Tensor) or output.dim() < 2:
        raise InputError(
            "change_no_channels",
            "The layer {layer!r} puts out no maps with channels, so it cannot be mixed. Choose another layer.",
            layer=change.layer,
        )
    wrong = [channel for channel in change.channels if not 0 <= channel < output.shape[1]]
    if wrong:
        raise InputError(
            "unknown_channel",
            "{layer} has no channel {channel}; its channels are 0 to {last}.",
            layer=change.layer,
            channel=wrong[0],
            last=output.shape[1] - 1,
        )
    if change.factor == 1 and change.instead == "factor":
        return output
    made = _made(output, change) * change.factor
    if not change.channels:
        return made
    chosen = torch.zeros(output.shape[1], dtype=torch.bool, device=output.device)
    chosen[list(change.channels)] = True
    return torch.where(chosen.view(1, -1, *[1] * (output.dim() - 2)), made, output)


def _made(output: Tensor, change: Change) -> Tensor:
    """Return what the factor multiplies."""
    if change.instead == "factor":
        return output
    over = tuple(range(2, output.dim()))
    mean = output.mean(over, keepdim=True) if over else output.mean(1, keepdim=True)
    if change.instead == "mean":
        return mean.expand_as(output)
    spread = output.std(over, keepdim=True, correction=0) if over else output.std(1, keepdim=True, correction=0)
    generator = torch.Generator().manual_seed(change.seed)
    noise = torch.randn(output.shape, generator=generator).to(output.device)
    return (mean + spread * noise).to(output.dtype)


def skip_of(bench: Bench, change: Change) -> Skip:
    """Return the skip connection that a change speaks of.

    Raises:
        InputError: ``unknown_skip``.
    """
    known = skips_of(bench.spec)
    layer = bench.opened.layer_of(change.layer)
    for skip in known:
        if layer == bench.opened.layer_of(skip.layer) and skip.into == change.into:
            return skip
    raise InputError(
        "unknown_skip",
        "{network} has no skip connection from {source!r} to {into!r}; it has {skips}.",
        network=bench.spec.title,
        source=change.layer,
        into=change.into,
        skips=", ".join(f"{one.source} → {one.into}" for one in known) or "none",
    )


class _Arriving:
    """What arrives over one skip connection, changed there and nowhere else.

    Args:
        network: it runs in.
        skip: the skip connection.
        change: what becomes of it.
    """

    def __init__(self, network: nn.Module, skip: Skip, change: Change) -> None:
        self._skip, self._change = skip, change
        self.source = point_of(network, skip.layer)
        self.joins = [point_of(network, name) for name in skip.joins]
        self._tensors: list[Tensor] = []
        self._taken = False

    @property
    def at_operations(self) -> bool:
        """Whether an operation puts it out, or takes it in."""
        return self.source.operation or any(join.operation for join in self.joins)

    @contextmanager
    def listening(self, network: nn.Module) -> Iterator[None]:
        """Listen to the modules at both ends."""
        modules = dict(network.named_modules(remove_duplicate=False))
        with ExitStack() as stack:
            if not self.source.operation:
                module = modules[self.source.name]
                stack.enter_context(hooked(module, module.register_forward_hook, self._module_put_out))
            for join in self.joins:
                if not join.operation:
                    register: Callable[..., Any] = partial(
                        modules[join.name].register_forward_pre_hook, with_kwargs=True
                    )
                    stack.enter_context(hooked(modules[join.name], register, self._module_takes, changes=True))
            yield

    def put_out(self, output: object) -> None:
        """Note what the source put out."""
        self._tensors = [tensor for way, tensor in leaves(output) if self.source.leaf in ("", way)]

    def instead(self, given: Any) -> Any:
        """Return what is handed over instead; the same object where the source is not in it."""
        if not any(tensor is source for _, tensor in leaves(given) for source in self._tensors):
            return given
        self._taken = True
        return tree_map(self._made, given)

    def check(self) -> None:
        """Refuse a skip connection that nobody took in.

        Raises:
            InputError: ``skip_not_found``.
        """
        if not self._taken:
            raise InputError(
                "skip_not_found",
                "What goes from {source} to {into} is not handed over as it was put out, so it cannot be turned up or "
                "down alone. Change the stage itself.",
                source=self._skip.source,
                into=self._skip.into,
            )

    def _made(self, value: Any) -> Any:
        return changed(value, self._change) if any(value is source for source in self._tensors) else value

    def _module_put_out(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.put_out(output)

    def _module_takes(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        given = (inputs, keywords)
        made = self.instead(given)
        return None if made is given else made


class _Operations(Listener):
    """Changes what operations put out, and what arrives at them.

    Args:
        changes: of operations.
        arriving: over skip connections.
    """

    def __init__(self, changes: list[tuple[Point, Change]], arriving: list[_Arriving]) -> None:
        self._changes, self._arriving = changes, arriving
        self.done: set[Point] = set()

    def taking(self, name: str, number: int, given: Any) -> Any:
        """Hand over what is changed on its way."""
        for one in self._arriving:
            if any(join.is_operation(name, number) for join in one.joins):
                given = one.instead(given)
        return given

    def putting_out(self, operation: Operation) -> object:
        """Put out what is changed."""
        output = operation.output
        for point, change in self._changes:
            if point.is_operation(operation.name, operation.number):
                self.done.add(point)
                output = _changed_leaf(output, point.leaf, change)
        for one in self._arriving:
            if one.source.is_operation(operation.name, operation.number):
                one.put_out(output)
        return output
