"""Where a pass can be cut: which module calls a change does not reach, and whose output is needed in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from segdemo.trace import Trace


@dataclass(frozen=True)
class Touched:
    """What of a pass changes touch first, by places in a trace.

    Args:
        outputs: calls whose output is changed when they are over.
        inputs: calls to which something else is handed.
        after: operations whose output is changed.
        into: operations to which something else is handed.
        running: calls that have to run, whatever is changed: somebody listens to what happens in them.
    """

    outputs: frozenset[int] = frozenset()
    inputs: frozenset[int] = frozenset()
    after: frozenset[int] = frozenset()
    into: frozenset[int] = frozenset()
    running: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Cut:
    """What need not run again.

    Args:
        skipped: places in ``calls``, ascending; none lies in another.
        needed: those of them whose output somebody takes who runs.
    """

    skipped: tuple[int, ...]
    needed: frozenset[int]


def cut_of(trace: Trace, touched: Touched, alone: Collection[int] = ()) -> Cut:
    """Find the largest module calls that changes do not reach.

    Args:
        trace: of the unchanged pass.
        touched: what is changed.
        alone: calls that cannot be left out by themselves, but together with one that they are made in.
    """
    running = _running(trace, touched, _dirty(trace, touched))
    cannot = {place for place, call in enumerate(trace.calls) if not call.shapes} | set(alone)
    while True:
        skipped = tuple(_outermost(trace, running, cannot))
        needed, leaking = _needed(trace, skipped)
        if not leaking:
            return Cut(skipped, frozenset(needed))
        cannot |= leaking


def above(trace: Trace, place: int) -> Iterator[int]:
    """Yield the calls that a call is made in, the innermost first."""
    while (place := trace.calls[place].parent) >= 0:
        yield place


def _dirty(trace: Trace, touched: Touched) -> set[int]:
    """Return the operations that work on anything else than before."""
    dirty = set(touched.into)
    for place in touched.outputs:
        call = trace.calls[place]
        dirty.update(taker for node in call.made for taker in trace.takers.get(node, ()) if taker >= call.last)
    for place in touched.inputs:
        dirty.update(range(trace.calls[place].first, trace.calls[place].last))
    for node in touched.after:
        dirty.update(trace.takers.get(node, ()))
    for place, one in enumerate(trace.nodes):
        if place not in dirty and not dirty.isdisjoint(one.inputs):
            dirty.add(place)
    return dirty


def _running(trace: Trace, touched: Touched, dirty: set[int]) -> set[int]:
    """Return the calls that run again, those included that nothing happens in but that hand on what was changed."""
    running = {*touched.inputs, *touched.running}
    changed = {*touched.after, *(node for place in touched.outputs for node in trace.calls[place].made)}
    first = min((trace.calls[place].last for place in touched.outputs), default=len(trace.nodes))
    first = min([first, *(node + 1 for node in touched.after)])
    for place, call in enumerate(trace.calls):
        works = {*range(call.first, call.last), *call.given}
        handed = call.first >= first and place not in touched.outputs and not changed.isdisjoint(call.given)
        if handed or not dirty.isdisjoint(works):
            running.add(place)
    for place in [*running, *touched.outputs]:
        running.update(above(trace, place))
    for node in (*touched.after, *touched.into):
        running.update((trace.nodes[node].call, *above(trace, trace.nodes[node].call)))
    running.add(0)
    return running


def _outermost(trace: Trace, running: set[int], cannot: set[int], place: int = 0) -> Iterator[int]:
    """Yield the outermost calls that can be left out."""
    for child in trace.children[place]:
        if child in running or child in cannot:
            yield from _outermost(trace, running, cannot, child)
        else:
            yield child


def _needed(trace: Trace, skipped: Collection[int]) -> tuple[set[int], set[int]]:
    """Return the calls whose output is taken by what runs, and those of which something else is taken.

    What a call put out in memory that was there before it, somebody may know under another name: as good as something
    else.
    """
    maker = {node: place for place in skipped for node in range(trace.calls[place].first, trace.calls[place].last)}
    taken = {node for place, one in enumerate(trace.nodes) if place not in maker for node in one.inputs}
    taken.update(trace.outputs)
    for place in _idle(trace, skipped):
        taken.update(trace.calls[place].given)
    needed, leaking = set(), set()
    for node in taken & maker.keys():
        needed.add(maker[node])
        if node not in trace.calls[maker[node]].made:
            leaking.add(maker[node])
    for place in skipped:
        call = trace.calls[place]
        if call.shares and (place in needed or not taken.isdisjoint(call.made)):
            leaking.add(place)
    return needed, leaking


def _idle(trace: Trace, skipped: Collection[int]) -> Iterator[int]:
    """Yield the calls that run and in which nothing is seen to happen: they may look at what they are given."""
    out = set(skipped)
    for place, call in enumerate(trace.calls):
        if call.first == call.last and out.isdisjoint((place, *above(trace, place))):
            yield place
