"""Which module calls and operations of a traced pass are worth a box in a figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from segdemo.levels import level_of
from segdemo.trace import INPUT, Trace

FEWEST, MOST = 8, 34  # boxes to aim for
_TINY = 5  # boxes: fewer are no figure
_LARGE = 0.4  # share of all operations that no box may hide
_FAR = 2  # levels between what goes into a box and what comes out

# Operations that only lay values out differently: no box is drawn for them between modules.
_LAYOUT = {
    *("view", "reshape", "reshape_as", "permute", "transpose", "flatten", "unflatten", "contiguous", "getitem"),
    *("chunk", "split", "split_with_sizes", "unbind", "unsqueeze", "squeeze", "to", "float", "half", "type", "type_as"),
    *("clone", "detach", "expand", "expand_as", "dropout", "T", "mT", "movedim", "swapaxes", "narrow", "select", "pad"),
    *("view_as", "alias", "data", "t", "cpu", "cuda", "bfloat16", "double", "roll", "moveaxis", "tensor_split", "copy"),
    *(
        "dropout2d",
        "feature_dropout",
        "positive",
        "index_select",
        "as_tensor",
        "numpy",
        "from_numpy",
        "constant_pad_nd",
    ),
}
_SAMPLING = ("conv", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")  # how these functions begin
_CONVOLUTIONS = {"Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear"}
_FOLLOWERS = {
    *("BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm", "SyncBatchNorm", "FrozenBatchNorm", "ReLU", "LeakyReLU"),
    *("PReLU", "ELU", "SELU", "GELU", "SiLU", "Swish", "Hardswish", "Hardtanh", "Mish", "Tanh", "Sigmoid", "ADN"),
    *("batch_norm", "instance_norm", "group_norm", "layer_norm", "relu", "leaky_relu", "elu", "gelu", "silu", "mish"),
    *("hardswish", "hardtanh", "relu6", "tanh", "sigmoid", "prelu", "selu"),
}
_JOINED = {"conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear"}  # as operations, not modules


@dataclass(frozen=True)
class Part:
    """A module call or an operation.

    Args:
        trace: the pass it is of.
        call: place of the call, -1 for an operation.
        first: place of its first node…
        last: …and of the first one after it.
    """

    trace: Trace = field(compare=False, repr=False)
    call: int
    first: int
    last: int

    @cached_property
    def inside(self) -> tuple[Part, ...]:
        """What it consists of, in order: the calls made directly in it and the operations between them."""
        trace = self.trace
        if self.call < 0 or trace.calls[self.call].opaque:
            return ()
        parts, place = [], self.first
        for child in trace.children[self.call]:
            call = trace.calls[child]
            parts += [Part(trace, -1, one, one + 1) for one in range(place, call.first)]
            if call.first < call.last:
                parts.append(Part(trace, child, call.first, call.last))
            place = max(place, call.last)
        parts += [Part(trace, -1, one, one + 1) for one in range(place, self.last)]
        return tuple(parts)

    @property
    def layer(self) -> str:
        """Its name as a viewing point."""
        return self.trace.calls[self.call].layer if self.call >= 0 else self.trace.nodes[self.first].layer

    @property
    def kind(self) -> str:
        """The class of the module, or the name of the function."""
        return self.trace.calls[self.call].kind if self.call >= 0 else self.trace.nodes[self.first].function

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what it put out, batch included."""
        if self.call >= 0 and self.trace.calls[self.call].shapes:
            return self.trace.calls[self.call].shape
        return self.trace.nodes[self.last - 1].shape

    @property
    def levels(self) -> set[int]:
        """How often each of its outputs is halved; those that are no maps left out."""
        shapes = [shape for _, shape in self.trace.calls[self.call].shapes] if self.call >= 0 else [self.shape]
        function = self.trace.nodes[self.last - 1].function
        found = (level_of(shape, self.trace.batch, function) for shape in shapes)
        return {round(level) for level in found if level is not None}

    @cached_property
    def sources(self) -> set[int]:
        """Nodes outside of it that it takes from."""
        taken = {one for node in self.trace.nodes[self.first : self.last] for one in node.inputs}
        return {one for one in taken if one < self.first}

    @property
    def is_layout(self) -> bool:
        """Whether it only lays out differently what one operation made."""
        node = self.trace.nodes[self.first]
        return self.call < 0 and node.function in _LAYOUT and len(node.inputs) == 1


@dataclass(frozen=True)
class Box:
    """One box: neighbours in time, seen as one. A stretch of time, it can never both feed and need another.

    Args:
        parts: in order; what the last of them puts out is what is looked at.
    """

    parts: tuple[Part, ...]

    @property
    def first(self) -> int:
        """Place of its first node."""
        return self.parts[0].first

    @property
    def last(self) -> int:
        """Place of the first node after it."""
        return self.parts[-1].last

    @property
    def inside(self) -> tuple[Part, ...]:
        """What it is opened into, nothing where it is a single module or operation."""
        parts = tuple(part for part in self.parts if not part.is_layout) or self.parts
        if len(parts) == 1:
            parts = opened(parts[0])
        return parts if len(parts) > 1 else ()


def network_of(trace: Trace) -> Part:
    """Return the whole network as one part."""
    return Part(trace, 0, 0, len(trace.nodes))


def boxes_of(trace: Trace) -> list[Box]:
    """Choose what to draw, opening the modules from the outside: 8 to 34 boxes where the network has that many."""
    cut = list(opened(network_of(trace)))
    cut = _open_large(trace, cut)
    cut = _open_deep(trace, cut)
    boxes = merged(trace, cut)
    while len(boxes) < FEWEST:
        for part in sorted(cut, key=lambda part: part.first - part.last):
            longer = _replaced(cut, part, opened(part))
            if len(longer) > len(cut) and len(boxes) < len(merged(trace, longer)) <= MOST:
                cut, boxes = longer, merged(trace, longer)
                break
        else:
            break
    return shortened(trace, boxes)


def operations_between(trace: Trace) -> list[int]:
    """Return the places of the nodes that are worth looking at and no module's own.

    Operations that only lay values out differently, and those that are all there is in a module, are left out.

    Args:
        trace: one pass of the network.
    """
    found: list[int] = []
    for place, call in enumerate(trace.calls):
        worth = _worth(Part(trace, place, call.first, call.last))
        if len(worth) > 1 or not place:
            found += [part.first for part in worth if part.call < 0 and part.kind not in ("opaque", "unseen")]
    return sorted(found)


def opened(part: Part) -> tuple[Part, ...]:
    """Return what is in a part, gone through as far as there is only one thing in it; the part if nothing is."""
    parts = _worth(part)
    while len(parts) == 1 and parts[0].call >= 0:
        parts = _worth(parts[0])
    return parts if len(parts) > 1 else (part,)


def _worth(part: Part) -> tuple[Part, ...]:
    """Leave out of what is in a part what only lays values out differently."""
    return tuple(one for one in part.inside if not one.is_layout)


def labelled(trace: Trace, layers: Iterable[str], *, whole: bool = False) -> list[Box]:
    """Return one box for each of some layers, none within another.

    Args:
        trace: one pass of the network.
        layers: names of modules or operations; those that did not run are left out.
        whole: put what leads to a layer, and to it alone, into its box as well.
    """
    wanted = set(layers)
    found: list[Part] = []
    for place, call in enumerate(trace.calls):
        if call.layer in wanted and call.first < call.last:
            found.append(Part(trace, place, call.first, call.last))
    for place, node in enumerate(trace.nodes):
        if node.layer in wanted and node.function not in ("opaque", "unseen"):
            found.append(Part(trace, -1, place, place + 1))
    found.sort(key=lambda part: (part.first, -part.last))
    if not whole:
        return [Box((part,)) for part in found]
    boxes, free = [], 0
    for part in found:
        start = _start(trace, part, free)
        boxes.append(Box((*_cover(network_of(trace), start, part.first), part)))
        free = max(free, part.last)
    return boxes


def _start(trace: Trace, part: Part, free: int) -> int:
    """Return the first of the nodes before a part that lead to it alone; those before ``free`` belong to others."""
    start = part.first
    while start > free and start - 1 not in trace.outputs:
        if any(not start <= one < part.last for one in trace.takers.get(start - 1, ())):
            break
        start -= 1
    return start


def _cover(part: Part, start: int, end: int) -> Iterator[Part]:
    """Yield the largest parts that a stretch of time consists of."""
    for one in part.inside:
        if start <= one.first and one.last <= end:
            yield one
        elif one.first < end and start < one.last:
            yield from _cover(one, start, end)


def _replaced(cut: Sequence[Part], part: Part, by: Iterable[Part]) -> list[Part]:
    place = cut.index(part)
    return [*cut[:place], *by, *cut[place + 1 :]]


def _open_large(trace: Trace, cut: list[Part]) -> list[Part]:
    """Open whatever has to be opened and can be, the largest first, as long as that is not too much to draw."""
    refused: set[Part] = set()
    while True:
        wanted = [part for part in cut if part not in refused and len(opened(part)) > 1 and _must_open(part)]
        if not wanted:
            return cut
        part = max(wanted, key=lambda part: part.last - part.first)
        longer = _replaced(cut, part, opened(part))
        if len(grouped(merged(trace, longer))) <= MOST or len(merged(trace, cut)) < _TINY:
            cut = longer
        else:
            refused.add(part)


def _must_open(part: Part) -> bool:
    """Whether a box would hide too much of the network: most of its operations, or several resolutions."""
    nodes, levels = part.trace.nodes, part.levels
    if part.last - part.first > _LARGE * len(nodes) or len(levels) > 1:
        return True
    sides = {round(level) for one in part.sources if (level := level_of_node(part.trace, one)) is not None}
    return any(abs(side - level) > _FAR for side in sides for level in levels)


def level_of_node(trace: Trace, place: int) -> float | None:
    """Return how often what a node put out is halved; 0 for the batch."""
    if place == INPUT:
        return 0.0
    node = trace.nodes[place]
    return level_of(node.shape, trace.batch, node.function)


def _open_deep(trace: Trace, cut: list[Part]) -> list[Part]:
    """Open boxes with something deeper inside than goes in or comes out, if there is room for all of them."""
    while True:
        deep = [part for part in cut if len(opened(part)) > 1 and _is_deep(part)]
        longer = [one for part in cut for one in (opened(part) if part in deep else (part,))]
        if not deep or len(merged(trace, longer)) > MOST:
            return cut
        cut = longer


def _is_deep(part: Part) -> bool:
    outside = {level_of_node(part.trace, one) for one in part.sources} | part.levels
    known = [level for level in outside if level is not None]
    nodes = part.trace.nodes
    sampled = [one for one in range(part.first, part.last) if nodes[one].function.startswith(_SAMPLING)]
    inside = [level_of_node(part.trace, one) for one in sampled]
    return bool(known) and max((level for level in inside if level is not None), default=0) > max(known) + 0.6


def merged(trace: Trace, cut: Sequence[Part]) -> list[Box]:
    """Put a normalisation and an activation into the box of the convolution before them.

    Never past an output of the network, nor past what somebody else takes from.
    """
    boxes: list[Box] = []
    for part in cut:
        before = boxes[-1] if boxes else None
        if before is not None and _follows(trace, before, part):
            boxes[-1] = Box((*before.parts, part))
        else:
            boxes.append(Box((part,)))
    return boxes


def _follows(trace: Trace, box: Box, part: Part) -> bool:
    if part.first != box.last or not _is_follower(part) or not _begins(box.parts[0]):
        return False
    inner = range(box.first, box.last)
    if set(inner) & set(trace.outputs):
        return False
    taken = {one for place in inner for one in trace.takers.get(place, ())}
    return part.sources <= set(inner) and all(box.first <= one < part.last for one in taken)


def _is_follower(part: Part) -> bool:
    plain = part.kind.rstrip("0123456789d") if part.call >= 0 else part.kind
    return (part.kind in _FOLLOWERS or plain in _FOLLOWERS) and part.last - part.first <= 6


def _begins(part: Part) -> bool:
    return part.kind in _CONVOLUTIONS | _JOINED or (
        part.call >= 0 and "Conv" in part.kind and part.last - part.first <= 3
    )


def grouped(boxes: list[Box], most: int = MOST) -> list[Box]:
    """Put blocks of one kind that follow each other into groups of equal length, if there are too many boxes."""
    runs: list[list[Box]] = []
    for box in boxes:
        if runs and _alike(runs[-1][-1], box):
            runs[-1].append(box)
        else:
            runs.append([box])
    longest = max(map(len, runs), default=1)
    for length in range(1, longest + 1):
        shorter = [run[place : place + length] for run in runs for place in range(0, len(run), length)]
        if len(shorter) <= most:
            break
    return [Box(tuple(part for box in group for part in box.parts)) for group in shorter] if boxes else boxes


def _alike(one: Box, other: Box) -> bool:
    mine, theirs = one.parts[-1], other.parts[-1]
    if len(one.parts) > 1 or len(other.parts) > 1 or mine.call < 0 or theirs.call < 0:
        return False
    calls = mine.trace.calls
    same = calls[mine.call].parent == calls[theirs.call].parent and mine.kind == theirs.kind
    return same and mine.levels == theirs.levels and bool(mine.inside) and mine.kind not in _CONVOLUTIONS


def shortened(trace: Trace, boxes: list[Box]) -> list[Box]:
    """Put neighbours into one box until there are few enough: blocks alike, then the smallest of one resolution."""
    boxes = grouped(boxes)
    while len(boxes) > MOST:
        place = min(range(len(boxes) - 1), key=lambda one: _cost(boxes[one], boxes[one + 1]))
        boxes = [*boxes[:place], Box((*boxes[place].parts, *boxes[place + 1].parts)), *boxes[place + 2 :]]
    return boxes


def _cost(one: Box, other: Box) -> tuple[bool, bool, int]:
    mine, theirs = one.parts[-1].levels, other.parts[-1].levels
    fed = any(one.first <= source < one.last for part in other.parts for source in part.sources)
    return (mine != theirs, not fed, other.last - one.first)
