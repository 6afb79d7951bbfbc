"""A traced pass as a figure: its stages, where each stands, what feeds it, and over what skip connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segdemo.boxes import Box, Part, boxes_of, merged
from segdemo.errors import InputError
from segdemo.levels import level_of
from segdemo.networks.network import Stage
from segdemo.trace import INPUT, Trace

Kind = Literal["U", "ladder", "chain"]
BATCH = "input"  # in place of a label: what goes into the network


@dataclass(frozen=True)
class Figure:
    """A network as boxes and arrows.

    Args:
        stages: in order; inputs and skips name earlier ones, or ``"input"``.
        kind: ``"U"``: maps become smaller, then larger again, with skips between equal sizes; ``"chain"``: one after
            the other; ``"ladder"``: anything else.
        opened: labels of the boxes that were opened, in order.
        labels: layer and label of the stages that their author named, if any.
    """

    stages: tuple[Stage, ...]
    kind: Kind
    opened: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def stage(self, label: str) -> Stage:
        """Return the stage of a label.

        Raises:
            InputError: ``unknown_box``, there is none.
        """
        for stage in self.stages:
            if stage.label == label:
                return stage
        raise InputError(
            "unknown_box",
            "The figure has no box called {label!r}. It has {labels}.",
            label=label,
            labels=", ".join(stage.label for stage in self.stages),
        )


def figure_of(trace: Trace, labels: Mapping[str, str] | None = None, opened: Sequence[str] = ()) -> Figure:
    """Draw a network.

    Args:
        trace: one pass of it.
        labels: layer → label of the stages that its author chose; None finds stages by rule.
        opened: labels of boxes to open one level deeper, one after the other.

    Raises:
        InputError: ``unknown_box``, no box has such a label; ``box_closed``, there is nothing in it.
    """
    boxes = boxes_of(trace) if labels is None else _labelled(trace, labels)
    named = {layer: label for layer, label in (labels or {}).items()}
    for label in opened:
        boxes = _with_open(trace, boxes, label, named)
    stages, kind = _placed(trace, boxes, named)
    return Figure(stages, kind, tuple(opened), tuple(named.items()))


def opened(trace: Trace, figure: Figure, label: str) -> Figure:
    """Open one box of a figure one level deeper, down to single modules and operations.

    Args:
        trace: what the figure was made of.
        figure: the figure.
        label: of the box.

    Raises:
        InputError: ``unknown_box``, no box has that label; ``box_closed``, there is nothing in it.
    """
    return figure_of(trace, dict(figure.labels) or None, (*figure.opened, label))


def links(trace: Trace, layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Tell which of some layers feed which, whatever unnamed lies between.

    Args:
        trace: one pass of the network.
        layers: names of modules or operations, none within another.

    Returns:
        Layer → those it takes from, in order; ``"input"`` is the batch.
    """
    boxes = _labelled(trace, dict.fromkeys(layers, ""))
    names = [box.parts[-1].layer for box in boxes]
    feeds = _feeds(trace, boxes)
    return {
        name: tuple(BATCH if one == INPUT else names[one] for one in feeds[place]) for place, name in enumerate(names)
    }


def _labelled(trace: Trace, labels: Mapping[str, str]) -> list[Box]:
    """Return the boxes of named layers."""
    found: list[Part] = []
    for place, call in enumerate(trace.calls):
        if call.layer in labels and call.first < call.last:
            found.append(Part(trace, place, call.first, call.last))
    for place, node in enumerate(trace.nodes):
        if node.layer in labels and node.function not in ("opaque", "unseen"):
            found.append(Part(trace, -1, place, place + 1))
    found.sort(key=lambda part: (part.first, -part.last))
    return [Box((part,)) for part in found]


def _with_open(trace: Trace, boxes: Sequence[Box], label: str, labels: Mapping[str, str]) -> list[Box]:
    shown = _drawn(trace, boxes)
    names = _names(shown, labels)
    if label not in names:
        Figure(_placed(trace, boxes, labels)[0], "chain").stage(label)
    box = shown[names.index(label)]
    if not box.inside:
        raise InputError(
            "box_closed",
            "There is nothing to open in {label!r}: it is a single module or operation.",
            label=label,
        )
    parts = [Box((part,)) for part in box.inside] if len(box.parts) > 1 else merged(trace, box.inside)
    place = list(boxes).index(box)
    return [*boxes[:place], *parts, *boxes[place + 1 :]]


def _drawn(trace: Trace, boxes: Sequence[Box]) -> list[Box]:
    """Leave out what only lays values out differently, and what nobody takes from."""
    shown = [box for box in boxes if not (len(box.parts) == 1 and box.parts[0].is_layout)]
    useful = [False] * len(trace.nodes)
    for place in range(len(trace.nodes) - 1, -1, -1):
        takers = trace.takers.get(place, ())
        useful[place] = place in trace.outputs or any(useful[one] for one in takers)
    return [box for box in shown if any(useful[box.first : box.last])] or list(boxes)


def _feeds(trace: Trace, boxes: Sequence[Box]) -> list[tuple[int, ...]]:
    """Return, for each box, the places of the boxes it takes from; ``INPUT`` is the batch."""
    owner: dict[int, int] = {}
    for place, box in enumerate(boxes):
        owner.update(dict.fromkeys(range(box.first, box.last), place))
    reached: dict[int, frozenset[int]] = {INPUT: frozenset([INPUT])}
    taken: list[set[int]] = [set() for _ in boxes]
    for place, node in enumerate(trace.nodes):
        sources = frozenset[int]().union(*(reached[one] for one in node.inputs))
        if place in owner:
            taken[owner[place]] |= sources - {owner[place]}
            reached[place] = frozenset([owner[place]])
        else:
            reached[place] = sources
    return [tuple(sorted(one)) for one in taken]


def _names(boxes: Sequence[Box], labels: Mapping[str, str]) -> list[str]:
    """Return one label for each box."""
    names: list[str] = []
    for box in boxes:
        layer = box.parts[-1].layer
        name = labels.get(layer) or (layer if len(box.parts) == 1 else _span(box.parts[0].layer, layer))
        name = name or "network"
        while name in names or name == BATCH:
            name = f"{name} ·"
        names.append(name)
    return names


def _span(first: str, last: str) -> str:
    """Name several layers at once: ``"features.0–2"``."""
    mine, theirs = first.split("."), last.split(".")
    shared = 0
    while shared < min(len(mine), len(theirs)) - 1 and mine[shared] == theirs[shared]:
        shared += 1
    return f"{first}–{'.'.join(theirs[shared:])}"


def _placed(trace: Trace, boxes: Sequence[Box], labels: Mapping[str, str]) -> tuple[tuple[Stage, ...], Kind]:
    """Work out rows, columns, inputs and skips."""
    boxes = _drawn(trace, boxes)
    names, feeds = _names(boxes, labels), _feeds(trace, boxes)
    rows = _rows(trace, boxes, feeds)
    deepest = _deepest(rows, feeds)
    below = _descendants(deepest, feeds)
    skips = [_skips(place, feeds, below, deepest) for place in range(len(boxes))]
    kind = _kind(rows, feeds, skips, below, deepest)
    columns = _u_columns(rows, below, deepest) if kind == "U" else _columns(rows, feeds)
    stages = []
    for place, box in enumerate(boxes):
        last = box.parts[-1]
        told = {one: BATCH if one == INPUT else names[one] for one in feeds[place]}
        stages.append(
            Stage(
                label=names[place],
                layer=last.layer,
                row=rows[place],
                column=columns[place],
                inputs=tuple(name for one, name in told.items() if one not in skips[place]),
                skips=tuple(name for one, name in told.items() if one in skips[place]),
                kind="module" if last.call >= 0 else "operation",
                shape=last.shape[1:] if last.shape[:1] == trace.batch[:1] else last.shape,
                opens=bool(box.inside),
            )
        )
    return tuple(stages), kind


def _rows(trace: Trace, boxes: Sequence[Box], feeds: Sequence[tuple[int, ...]]) -> list[int]:
    """Return how often what each box puts out is halved; what is no map stays where it comes from."""
    rows: list[int] = []
    for box, sources in zip(boxes, feeds, strict=True):
        part = box.parts[-1]
        level = level_of(part.shape, trace.batch, trace.nodes[part.last - 1].function)
        inherited = max((rows[one] for one in sources if one != INPUT), default=0)
        rows.append(inherited if level is None else max(0, round(level)))
    return rows


def _lengths(feeds: Sequence[tuple[int, ...]]) -> list[int]:
    """Return how many boxes the longest path from the input to each has before it."""
    lengths: list[int] = []
    for sources in feeds:
        lengths.append(max((lengths[one] + 1 for one in sources if one != INPUT), default=0))
    return lengths


def _deepest(rows: Sequence[int], feeds: Sequence[tuple[int, ...]]) -> int:
    """Return, of the boxes in the deepest row, the one that the longest path goes through, the last if several."""
    before, after = _lengths(feeds), [0] * len(rows)
    for place in range(len(rows) - 1, -1, -1):
        for one in feeds[place]:
            if one != INPUT:
                after[one] = max(after[one], after[place] + 1)
    return max(range(len(rows)), key=lambda one: (rows[one], before[one] + after[one], one))


def _descendants(start: int, feeds: Sequence[tuple[int, ...]]) -> set[int]:
    """Return the boxes that need another one."""
    found: set[int] = set()
    for place, sources in enumerate(feeds):
        if start in sources or found.intersection(sources):
            found.add(place)
    return found


def _skips(place: int, feeds: Sequence[tuple[int, ...]], below: set[int], deepest: int) -> set[int]:
    """Return what reaches a box over a skip: past another thing that it takes, or past the deepest point."""
    sources = set(feeds[place])
    needed: set[int] = set()
    todo = [one for one in sources if one != INPUT]
    while todo:
        for one in feeds[todo.pop()]:
            if one not in needed:
                needed.add(one)
                todo += [one] if one != INPUT else []
    past = {one for one in sources if one not in below and one != deepest}
    crossing = past if place in below and past != sources else set()
    return (sources & needed) | crossing


def _kind(
    rows: Sequence[int], feeds: Sequence[tuple[int, ...]], skips: Sequence[set[int]], below: set[int], deepest: int
) -> Kind:
    landings = {
        rows[place]
        for place in below
        for one in skips[place]
        if one != INPUT and one not in below and rows[one] == rows[place] < rows[deepest]
    }
    if len(landings) >= 2:
        return "U"
    takers = [one for sources in feeds for one in sources]
    alone = all(len(sources) <= 1 for sources in feeds) and len(set(takers)) == len(takers)
    return "chain" if alone else "ladder"


def _u_columns(rows: Sequence[int], below: set[int], deepest: int) -> list[int]:
    """Put the way down at the left, the deepest box in the middle, the way up at the right."""
    before = [place for place in range(len(rows)) if place not in below and place != deepest]
    middle = max((sum(rows[one] == row for one in before) for row in set(rows)), default=0)
    columns = dict(_counted(reversed(before), rows, lambda count: middle - 1 - count))
    columns[deepest] = middle
    columns |= _counted(sorted(below), rows, lambda count: middle + 1 + count)
    return [columns[place] for place in range(len(rows))]


def _counted(places: Iterable[int], rows: Sequence[int], column: Callable[[int], int]) -> dict[int, int]:
    seen: dict[int, int] = {}
    found = {}
    for place in places:
        found[place] = column(seen.get(rows[place], 0))
        seen[rows[place]] = seen.get(rows[place], 0) + 1
    return found


def _columns(rows: Sequence[int], feeds: Sequence[tuple[int, ...]]) -> list[int]:
    """Put each box below what it takes from, or right of it where both are in one row."""
    columns: list[int] = []
    taken: set[tuple[int, int]] = set()
    for place, sources in enumerate(feeds):
        column = max((columns[one] + (rows[one] == rows[place]) for one in sources if one != INPUT), default=0)
        while (rows[place], column) in taken:
            column += 1
        taken.add((rows[place], column))
        columns.append(column)
    return columns
