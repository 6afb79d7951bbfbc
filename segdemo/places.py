"""Where the boxes of a figure stand: in a U, in a ladder, in lines within a box. Rows are given, columns are found.

Boxes are told by their numbers; ``feeds`` has, for each, the numbers of those it takes from, ``INPUT`` for the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import ceil
from typing import Literal

from segdemo.networks.network import Stage
from segdemo.trace import INPUT

Kind = Literal["U", "ladder", "chain"]
_ABREAST = 6  # what is drawn within one box side by side


def arranged(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Place what is drawn within one box: a chain in lines, anything else as it came, from the first row on."""
    labels = {stage.label for stage in stages}
    top = min(stage.row for stage in stages)
    own = [
        replace(
            stage,
            row=stage.row - top,
            inputs=tuple(label for label in stage.inputs if label in labels),
            skips=tuple(label for label in stage.skips if label in labels),
        )
        for stage in stages
    ]
    nested = _nested(own)
    if nested:
        return nested
    after = [stage.inputs[0] if stage.inputs else "" for stage in own]
    if after != ["", *(stage.label for stage in own[:-1])]:
        return tuple(own)
    return tuple(  # what a sum takes in past the chain stands for no box of its own
        replace(stage, row=row, column=column, skips=())
        for row, line in enumerate(_lines(own))
        for column, stage in enumerate(line)
    )


def _nested(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Place a chain whose skips lie within each other as a U, each skip one row deeper; nothing if it is none."""
    places = {stage.label: place for place, stage in enumerate(stages)}
    skips = sorted((places[label], place) for place, stage in enumerate(stages) for label in stage.skips)
    is_within = all(one[0] < other[0] and one[1] > other[1] for one, other in pairwise(skips))
    if len(skips) < 2 or not is_within:
        return ()
    rows = [sum(start < place < end for start, end in skips) for place in range(len(stages))]
    deepest = max(range(len(stages)), key=lambda place: (rows[place], place))
    chain = [(), *((place,) for place in range(len(stages) - 1))]
    columns = u_columns(rows, chain, set(range(deepest + 1, len(stages))), deepest)
    return tuple(
        replace(stage, row=row, column=column) for stage, row, column in zip(stages, rows, columns, strict=True)
    )


def _lines(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Break a chain into lines: one for each of several modules side by side, else as few of equal length as fit."""
    groups = [list(group) for _, group in groupby(stages, key=lambda stage: _above(stage.layer))]
    parents = {_above(_above(stage.layer)) for stage in stages}
    if len(groups) > 1 and len(parents) == 1 and all(len(group) > 1 for group in groups):
        return groups
    length = ceil(len(stages) / ceil(len(stages) / _ABREAST))
    return [list(stages[place : place + length]) for place in range(0, len(stages), length)]


def _above(layer: str) -> str:
    return layer.rpartition(".")[0]


def _lengths(feeds: Sequence[tuple[int, ...]]) -> list[int]:
    """Return how many boxes the longest path from the input to each has before it."""
    lengths: list[int] = []
    for sources in feeds:
        lengths.append(max((lengths[one] + 1 for one in sources if one != INPUT), default=0))
    return lengths


def deepest_of(rows: Sequence[int], feeds: Sequence[tuple[int, ...]]) -> int:
    """Return, of the boxes in the deepest row, the one that the longest path goes through, the last if several."""
    before, after = _lengths(feeds), [0] * len(rows)
    for place in range(len(rows) - 1, -1, -1):
        for one in feeds[place]:
            if one != INPUT:
                after[one] = max(after[one], after[place] + 1)
    return max(range(len(rows)), key=lambda one: (rows[one], before[one] + after[one], one))


def descendants(start: int, feeds: Sequence[tuple[int, ...]]) -> set[int]:
    """Return the boxes that need another one."""
    found: set[int] = set()
    for place, sources in enumerate(feeds):
        if start in sources or found.intersection(sources):
            found.add(place)
    return found


def skips_into(place: int, feeds: Sequence[tuple[int, ...]], below: set[int], deepest: int) -> set[int]:
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


def kind_of(
    rows: Sequence[int], feeds: Sequence[tuple[int, ...]], skips: Sequence[set[int]], below: set[int], deepest: int
) -> Kind:
    """Return what a figure is: a U has skips that land on two levels or more, each from a box of equal level."""
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


def u_columns(rows: Sequence[int], feeds: Sequence[tuple[int, ...]], below: set[int], deepest: int) -> list[int]:
    """Put the way down at the left, the deepest box in the middle, the way up at the right."""
    before = [place for place in range(len(rows)) if place not in below and place != deepest]
    down = ladder_columns([rows[one] for one in before], [_among(before, feeds[one]) for one in before])
    columns = dict(zip(before, down, strict=True))
    columns[deepest] = middle = max(down, default=-1) + 1
    columns |= _counted(sorted(below), rows, lambda count: middle + 1 + count)
    return [columns[place] for place in range(len(rows))]


def _among(places: Sequence[int], sources: Iterable[int]) -> tuple[int, ...]:
    """Return sources by their numbers among some boxes alone."""
    return tuple(places.index(one) for one in sources if one in places)


def _counted(places: Iterable[int], rows: Sequence[int], column: Callable[[int], int]) -> dict[int, int]:
    seen: dict[int, int] = {}
    found = {}
    for place in places:
        found[place] = column(seen.get(rows[place], 0))
        seen[rows[place]] = seen.get(rows[place], 0) + 1
    return found


def ladder_columns(rows: Sequence[int], feeds: Sequence[tuple[int, ...]]) -> list[int]:
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
