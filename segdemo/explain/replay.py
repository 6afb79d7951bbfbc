"""A pass in which module calls put out what was kept of them, instead of running: bit for bit the same.

What a change does not reach need not be computed again. Whether the cut is exact is not believed but tried: before it
is used, a pass without any change has to give the logits of the whole network to the last bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.cut import Cut, Touched, cut_of
from segdemo.hooks import foreign_hooks, hooked, runs_eagerly
from segdemo.images import Placement
from segdemo.images import place as placed_in
from segdemo.leaves import parse
from segdemo.predictions import predict, reading_of
from segdemo.questions import Run, traced_at
from segdemo.results import Result
from segdemo.trace import Trace

LARGEST = 96 << 20  # bytes kept of one cut
PLAIN = (type(None), bool, int, float, str, torch.Size, torch.dtype)  # beside tensors, what an output may hold


@dataclass(frozen=True)
class PassTrace(Question):
    """Ask what feeds what in the pass of a batch of one size.

    Args:
        network: its name.
        shape: of the batch, (1, C, H, W).
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    shape: tuple[int, int, int, int]
    step: int | None = None

    def answer(self, bench: Bench) -> Trace:
        """Trace the network."""
        return traced_at(bench, self.shape)


@dataclass(frozen=True)
class Placed(Question):
    """Ask for a picture as a network takes it: of a large one that takes longer than what is left of many a pass.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        size: input size in pixels.
        step: of the training, for networks with snapshots; None is its end.
    """

    memory = "states"

    network: str
    picture: str
    size: int
    step: int | None = None

    def answer(self, bench: Bench) -> tuple[Tensor, Placement]:
        """Place it; whoever runs a network on it takes a copy, into which that may write."""
        return bench.batch, bench.placement


@dataclass(frozen=True)
class Kept:
    """What calls put out, for a cut.

    Args:
        outputs: place in the trace's calls → what is put out; of a call that nobody needs, shapes alone.
        odd: calls that put out what cannot be kept.
        exact: whether a pass with these gave the network's logits to the last bit.
    """

    outputs: Mapping[int, Any]
    odd: frozenset[int] = frozenset()
    exact: bool = False

    @property
    def nbytes(self) -> int:
        """Memory they take, in bytes."""
        tensors = (one for output in self.outputs.values() for one in tree_leaves(output) if isinstance(one, Tensor))
        return sum(one.nbytes for one in tensors if not _is_hollow(one))


@dataclass(frozen=True)
class Prefix(Question):
    """Ask for what calls of a pass put out, so that they need not run again.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        cut: which calls.
        size: input size in pixels.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    cut: Cut
    size: int
    step: int | None = None

    def answer(self, bench: Bench) -> Kept:
        """Run the network as far as the last of the calls, then try whether what was kept replaces them."""
        trace = bench.answer(PassTrace(self.network, _shape(bench), self.step))
        before: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        outputs: dict[int, Any] = {}
        checked = capture(bench.module, [], before=bench.check)
        with suppress(_Enough), _keeping(bench.module, trace, self.cut, outputs), checked:
            bench.module(bench.batch)
        odd = frozenset(place for place in self.cut.skipped if place not in outputs or outputs[place] is _ODD)
        if odd:
            return Kept({}, odd)
        kept = Kept(outputs)
        with replayed(bench.module, trace, self.cut, kept) as replay:
            logits = _logits(bench, self.size)
        exact = replay.as_traced and np.array_equal(logits, before.logits, equal_nan=True)
        return Kept(outputs, exact=True) if exact else Kept({})


@dataclass(frozen=True)
class Resumed:
    """How a changed pass can be run.

    Args:
        trace: of the unchanged one; None where it cannot be traced.
        cut: what need not run again; None where all of it has to.
        kept: what was put out there.
        why: why all of it has to run, None where it need not.
    """

    trace: Trace | None = None
    cut: Cut | None = None
    kept: Kept | None = None
    why: InputError | None = None

    @property
    def layers(self) -> tuple[int, int]:
        """How many calls of layers without parts run again, of how many."""
        if self.trace is None:
            return 0, 0
        inner = [place for place in range(1, len(self.trace.calls)) if not self.trace.children[place]]
        skipped = set(self.cut.skipped) if self.cut else set()
        again = [place for place in inner if skipped.isdisjoint(_with_above(self.trace, place))]
        return len(again), len(inner)

    def whole(self) -> Resumed:
        """Return the same with nothing left out."""
        return replace(self, cut=None, kept=None)


def resumed(bench: Bench, picture: str, touched: Touched | None, trace: Trace | None) -> Resumed:
    """Find out what of a pass need not run again, and have it kept.

    Args:
        bench: has the network and the picture; no change may be on.
        picture: fingerprint of the picture.
        touched: what is changed; None where that cannot be told.
        trace: of the unchanged pass, None where there is none.
    """
    title = bench.spec.title
    if touched is None or trace is None:
        return Resumed(
            trace,
            why=InputError(
                "cut_untraced",
                "What feeds what in {network} could not be followed, so all of it is computed again at every change.",
                network=title,
            ),
        )
    alone = frozenset(_alone(bench.module, trace))
    for _ in range(4):
        cut = cut_of(trace, touched, alone)
        if not cut.skipped:
            return Resumed(trace)
        size = sum(4 * _values(trace, place) for place in cut.needed)
        if size > LARGEST:
            return Resumed(
                trace,
                why=InputError(
                    "cut_large",
                    "What {network} puts out before this change takes {size} MB, too much to keep, so all of it is "
                    "computed again at every change. A smaller input size helps.",
                    network=title,
                    size=size >> 20,
                ),
            )
        kept: Kept = bench.answer(Prefix(bench.spec.name, picture, cut, bench.size, bench.opened.step))
        if kept.exact:
            return Resumed(trace, cut, kept)
        if not kept.odd:
            break
        alone |= kept.odd
    return Resumed(
        trace,
        why=InputError(
            "cut_inexact",
            "{network} does not give the same to the last bit when what comes before this change is left out, so all "
            "of it is computed again at every change.",
            network=title,
        ),
    )


class Replay:
    """Which calls of which module are left out, as a pass goes on.

    Args:
        sequences: of each module, in the order of its calls: what is put out, or ``RUN``.
    """

    def __init__(self, sequences: Mapping[nn.Module, list[Any]]) -> None:
        self._sequences = sequences
        self._done: Counter[nn.Module] = Counter()
        self._more = False

    @property
    def as_traced(self) -> bool:
        """Whether every module was called as often as in the trace in the last pass."""
        return not self._more and all(self._done[module] == len(calls) for module, calls in self._sequences.items())

    def begin(self) -> None:
        """Begin a pass."""
        self._done.clear()
        self._more = False

    def next(self, module: nn.Module) -> Any:
        """Return what a module puts out now, or ``RUN``."""
        calls, done = self._sequences[module], self._done[module]
        self._done[module] += 1
        if done >= len(calls):
            self._more = True
            return RUN
        return calls[done]


RUN = object()
_ODD = object()


class _Enough(Exception):
    """All that is to be kept was put out."""


@contextmanager
def replayed(network: nn.Module, trace: Trace, cut: Cut, kept: Kept) -> Iterator[Replay]:
    """Have calls put out what was kept of them, as long as the block lasts, in one pass or several.

    Hooks on the modules are called as ever. Of calls that nobody needs, what is put out holds NaN.

    Args:
        network: only the ``forward`` of its modules is touched, and only meanwhile.
        trace: of the unchanged pass.
        cut: the calls.
        kept: what they put out.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    remaining = _remaining(trace, cut)
    sequences: dict[nn.Module, list[Any]] = {}
    for place in cut.skipped:
        sequences.setdefault(module_of(modules, trace, place), [])
    for place in remaining:
        module = module_of(modules, trace, place)
        if module in sequences:
            sequences[module].append(kept.outputs[place] if place in cut.skipped else RUN)
    replay = Replay(sequences)

    def forward(module: nn.Module, own: Any, *arguments: Any, **keywords: Any) -> Any:
        value = replay.next(module)
        return own(*arguments, **keywords) if value is RUN else tree_map(_fresh, value)

    with ExitStack() as stack:
        stack.enter_context(runs_eagerly(network))
        stack.enter_context(hooked(network, network.register_forward_pre_hook, lambda *_: replay.begin()))
        for module in sequences:
            stack.enter_context(_instead(module, partial(forward, module, module.forward)))
        yield replay


@contextmanager
def _instead(module: nn.Module, forward: Any) -> Iterator[None]:
    """Give one module another ``forward``."""
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.__dict__["forward"] = own


@contextmanager
def _keeping(network: nn.Module, trace: Trace, cut: Cut, outputs: dict[int, Any]) -> Iterator[None]:
    """Keep what calls put out, and end the pass after the last of them."""
    modules = dict(network.named_modules(remove_duplicate=False))
    places: dict[nn.Module, list[int]] = {module_of(modules, trace, place): [] for place in cut.skipped}
    for place in range(1, len(trace.calls)):
        if (module := module_of(modules, trace, place)) in places:
            places[module].append(place)
    calls: Counter[nn.Module] = Counter()
    left = set(cut.skipped)

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        number, calls[module] = calls[module], calls[module] + 1
        place = places[module][number] if number < len(places[module]) else -1
        if place not in left:
            return
        whole = all(isinstance(one, (Tensor, *PLAIN)) for one in tree_leaves(output))
        outputs[place] = tree_map(exact_copy if place in cut.needed else _hollow, output) if whole else _ODD
        left.discard(place)
        if not left:
            raise _Enough

    with ExitStack() as stack:
        stack.enter_context(runs_eagerly(network))
        for module in places:
            stack.enter_context(hooked(module, module.register_forward_hook, keep))
        yield


def exact_copy(value: Any) -> Any:
    """Return a tensor's values in memory of their own that is laid out alike; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    if any(step == 0 and side > 1 for step, side in zip(value.stride(), value.shape, strict=True)):
        return value.clone()  # several of its places share one value
    made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
    return made.copy_(value)


def _fresh(value: Any) -> Any:
    """Return a copy that a later layer may write into; what holds nothing stays as it is."""
    return value if not isinstance(value, Tensor) or _is_hollow(value) else exact_copy(value)


def _hollow(value: Any) -> Any:
    """Return a tensor of the same shape that takes no memory, NaN everywhere."""
    if not isinstance(value, Tensor):
        return value
    nothing = float("nan") if value.is_floating_point() or value.is_complex() else 0
    return torch.full((), nothing, dtype=value.dtype, device=value.device).expand(value.shape)


def _is_hollow(value: Tensor) -> bool:
    return value.numel() > 1 and not any(value.stride())


def _remaining(trace: Trace, cut: Cut) -> Iterator[int]:
    """Yield the calls that are still made, those left out included, without those made in them."""
    out = set(cut.skipped)
    for place in range(1, len(trace.calls)):
        if out.isdisjoint(tuple(_with_above(trace, place))[1:]):
            yield place


def number_of(network: nn.Module, trace: Trace, cut: Cut | None, place: int) -> int:
    """Return which call of its module a call is when calls are left out, from 1."""
    modules = dict(network.named_modules(remove_duplicate=False))
    module = module_of(modules, trace, place)
    there = _remaining(trace, cut) if cut else range(1, len(trace.calls))
    return 1 + sum(1 for other in there if other < place and module_of(modules, trace, other) is module)


def _with_above(trace: Trace, place: int) -> Iterator[int]:
    while place >= 0:
        yield place
        place = trace.calls[place].parent


def module_of(modules: Mapping[str, nn.Module], trace: Trace, place: int) -> nn.Module:
    """Return the module of a call."""
    layer = trace.calls[place].layer
    if layer in modules:
        return modules[layer]
    key = parse(layer, modules)
    assert key is not None
    return modules[key.name]


def _alone(network: nn.Module, trace: Trace) -> Iterator[int]:
    """Yield the calls of modules that others have hung something on, or that cannot be left out."""
    modules = dict(network.named_modules(remove_duplicate=False))
    for place in range(1, len(trace.calls)):
        module = module_of(modules, trace, place)
        hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        if isinstance(module, torch.jit.ScriptModule) or (hooks and foreign_hooks(module)):
            yield place


def _values(trace: Trace, place: int) -> int:
    return sum(torch.Size(shape).numel() for _, shape in trace.calls[place].shapes)


def _shape(bench: Bench) -> tuple[int, int, int, int]:
    width, height = placed_in(bench.picture.size, bench.spec.preprocessing, bench.size).padded
    return 1, bench.spec.preprocessing.channels, height, width


def _logits(bench: Bench, size: int) -> np.ndarray:
    spec = bench.spec
    prediction = predict(bench.module, spec.preprocessing, bench.picture, size, reading=reading_of(spec))
    return prediction.result(spec).logits


def trace_of(bench: Bench) -> Trace | None:
    """Return the trace of the pass of a bench's batch; None where the network cannot be traced."""
    try:
        trace: Trace = bench.answer(PassTrace(bench.spec.name, _shape(bench), bench.opened.step))
    except InputError:
        return None
    return trace
