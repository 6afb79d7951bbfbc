"""A traced pass as a figure: its stages, where each stands, what feeds it, and over what skip connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Size

from segdemo.boxes import Box, boxes_of, labelled, merged
from segdemo.errors import InputError
from segdemo.levels import level_of
from segdemo.networks.network import Stage
from segdemo.places import (
    Kind,
    arranged,
    deepest_of,
    descendants,
    kind_of,
    ladder_columns,
    skips_into,
    u_columns,
)
from segdemo.trace import INPUT, Trace

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
        inner: layer and label of what is in those stages.
    """

    stages: tuple[Stage, ...]
    kind: Kind
    opened: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    inner: tuple[tuple[str, str], ...] = ()

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


def figure_of(
    trace: Trace,
    labels: Mapping[str, str] | None = None,
    opened: Sequence[str] = (),
    inner: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a network.

    Args:
        trace: one pass of it.
        labels: layer → label of the stages that its author chose; None finds stages by rule.
        opened: labels of boxes to open one level deeper, one after the other.
        inner: layer → label of what is in the stages, for when they are opened.

    Raises:
        InputError: ``unknown_box``, no box has such a label; ``box_closed``, there is nothing in it.
    """
    figure = Figure((), "chain", tuple(opened), tuple((labels or {}).items()), tuple((inner or {}).items()))
    boxes = _cut(trace, figure)
    stages, kind = _placed(trace, list(boxes), _words(figure))
    origins = [boxes[box] for box in _drawn(trace, list(boxes))]
    stages = tuple(replace(stage, within=within) for stage, within in zip(stages, origins, strict=True))
    return replace(figure, stages=stages, kind=kind)


def _words(figure: Figure) -> dict[str, str]:
    """Return the labels that boxes get; that of a box which was opened goes to none of what was in it."""
    return {layer: label for layer, label in (*figure.inner, *figure.labels) if label not in figure.opened}


def _cut(trace: Trace, figure: Figure) -> dict[Box, str]:
    """Return the boxes of a figure whose stages are not placed yet, each with the label of the one it came out of."""
    first = labelled(trace, dict(figure.labels), whole=True) if figure.labels else boxes_of(trace)
    boxes = dict.fromkeys(first, "")
    for place, label in enumerate(figure.opened):
        opened = _with_open(trace, list(boxes), label, replace(figure, opened=figure.opened[:place]))
        boxes = {box: boxes.get(box, label) for box in opened}
    return boxes


def with_inside(trace: Trace, figure: Figure) -> Figure:
    """Put into every box of a figure what it opens into, one level deeper, to be drawn within it.

    Args:
        trace: what the figure was made of.
        figure: the figure.
    """
    boxes = _drawn(trace, list(_cut(trace, figure)))
    taken = {stage.label for stage in figure.stages}
    stages = []
    for stage, box in zip(figure.stages, boxes, strict=True):
        inside = _within(trace, box, taken)
        taken |= {one.label for one in inside}
        stages.append(replace(stage, inside=inside))
    return replace(figure, stages=tuple(stages))


def _within(trace: Trace, box: Box, taken: set[str]) -> tuple[Stage, ...]:
    """Return what a box opens into, placed within it; what is looked at as the box itself is left out."""
    parts = _opened(trace, box)
    if not parts:
        return ()
    stages, _ = _placed(trace, parts, {})
    top = min(stage.row for stage in stages)
    own = {stage.label for stage in stages if stage.layer == box.parts[-1].layer or stage.label in taken}

    def siblings(labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(label for label in labels if label != BATCH and label not in own)

    return tuple(
        replace(stage, row=stage.row - top, inputs=siblings(stage.inputs), skips=siblings(stage.skips))
        for stage in stages
        if stage.label not in own
    )


def with_named_inside(trace: Trace, figure: Figure) -> Figure:
    """Put into every box of a figure what its author named in it, to be drawn within it.

    Args:
        trace: what the figure was made of.
        figure: the figure.
    """
    words = _words(figure)
    drawn = {stage.layer for stage in figure.stages}
    named = labelled(trace, [layer for layer, _ in figure.inner if layer in words and layer not in drawn])
    boxes = _drawn(trace, list(_cut(trace, figure)))
    stages = []
    for stage, box in zip(figure.stages, boxes, strict=True):
        inside = [one for one in named if box.first <= one.first and one.last <= box.last]
        stages.append(replace(stage, inside=arranged(_placed(trace, inside, words)[0]) if inside else ()))
    return replace(figure, stages=tuple(stages))


def opened(trace: Trace, figure: Figure, label: str) -> Figure:
    """Open one box of a figure one level deeper, down to single modules and operations.

    Args:
        trace: what the figure was made of.
        figure: the figure.
        label: of the box.

    Raises:
        InputError: ``unknown_box``, no box has that label; ``box_closed``, there is nothing in it.
    """
    return figure_of(trace, dict(figure.labels) or None, (*figure.opened, label), dict(figure.inner))


def links(trace: Trace, layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Tell which of some layers feed which, whatever unnamed lies between.

    Args:
        trace: one pass of the network.
        layers: names of modules or operations, none within another.

    Returns:
        Layer → those it takes from, in order; ``"input"`` is the batch.
    """
    boxes = labelled(trace, layers)
    names = [box.parts[-1].layer for box in boxes]
    feeds = _feeds(trace, boxes)
    return {
        name: tuple(BATCH if one == INPUT else names[one] for one in feeds[place]) for place, name in enumerate(names)
    }


def _with_open(trace: Trace, boxes: Sequence[Box], label: str, figure: Figure) -> list[Box]:
    words = _words(figure)
    shown = _drawn(trace, boxes)
    names = _names(shown, words)
    if label not in names:
        Figure(_placed(trace, boxes, words)[0], "chain").stage(label)
    box = shown[names.index(label)]
    if not box.inside:
        raise InputError(
            "box_closed",
            "There is nothing to open in {label!r}: it is a single module or operation.",
            label=label,
        )
    place = list(boxes).index(box)
    words.pop(box.parts[-1].layer, None)
    return [*boxes[:place], *_opened_to(trace, _opened(trace, box), words), *boxes[place + 1 :]]


def _opened_to(trace: Trace, boxes: Sequence[Box], words: Mapping[str, str]) -> list[Box]:
    """Open boxes without a label as long as there is something with one in them."""
    named = [box for box in labelled(trace, words)]
    found = []
    for box in boxes:
        holds = any(box.first <= one.first and one.last <= box.last and one != box for one in named)
        inside = _opened(trace, box) if holds and box.parts[-1].layer not in words else []
        found += _opened_to(trace, inside, words) if inside else [box]
    return found


def _opened(trace: Trace, box: Box) -> list[Box]:
    """Return the boxes that one opens into: several, unless there is nothing in it."""
    single = [Box((part,)) for part in box.inside]
    together = merged(trace, box.inside) if len(box.parts) == 1 else single
    return together if len(together) > 1 else single


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
    deepest = deepest_of(rows, feeds)
    below = descendants(deepest, feeds)
    skips = [skips_into(place, feeds, below, deepest) for place in range(len(boxes))]
    kind = kind_of(rows, feeds, skips, below, deepest)
    columns = u_columns(rows, feeds, below, deepest) if kind == "U" else ladder_columns(rows, feeds)
    stages = []
    for place, box in enumerate(boxes):
        last = box.parts[-1]
        shapes = trace.calls[last.call].shapes if last.call > 0 else ()
        told = {one: BATCH if one == INPUT else names[one] for one in feeds[place]}
        stages.append(
            Stage(
                label=names[place],
                layer=max(shapes, key=lambda one: Size(one[1]).numel())[0] if shapes else last.layer,
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
