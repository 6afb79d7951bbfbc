"""How much smaller than the picture what a layer put out is, told from its shape alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

# What may put out a square of similarities or of weights, which is no map however many sides it has.
_NO_MAPS = {
    "matmul",
    "bmm",
    "baddbmm",
    "softmax",
    "einsum",
    "scaled_dot_product_attention",
    "multi_head_attention_forward",
}
_BY_CHANNEL_LAST = {"linear", "layer_norm", "permute", "roll"}  # of four dimensions, they leave or put channels last
_EXTRA = (0, 1, 2, 5)  # tokens beside those of places: of the class, of distillation, four registers
_FEW = 12  # tokens: fewer may be anything
_OFF = 0.3  # rows and columns may be this far from whole numbers
_NEAR = 0.15  # proportions that differ by this factor (log2) are equal
_FAR = 0.8  # those of maps that lost a border to convolutions without padding


def level_of(shape: Sequence[int], batch: Sequence[int], function: str = "") -> float | None:
    """Return how often the sides of a map were halved: log2 of the picture's side over its own.

    Args:
        shape: of what a layer put out, batch included.
        batch: shape of what went into the network, (B, C, H, W).
        function: of the operation that made it, for shapes that can be read in two ways.

    Returns:
        0 for a map of the picture's size; None for what is no map: vectors, one value a channel, attention weights.
    """
    sides = tuple(batch[2:])
    if not sides or len(shape) < 3 or 0 in (*shape, *sides):
        return None
    if shape[0] == batch[0] and len(shape) == len(sides) + 2:
        return _of_maps(tuple(shape), sides, function)
    if len(sides) != 2:
        return None
    if shape[0] == batch[0] and len(shape) == 3:
        return _of_places((shape[1], shape[2]), sides)
    if shape[0] > batch[0] and shape[0] % batch[0] == 0:  # windows, each a batch of its own
        return _of_places((shape[0] // batch[0] * math.prod(shape[1:-1]),), sides)
    return None


def _of_maps(shape: tuple[int, ...], sides: tuple[int, ...], function: str) -> float | None:
    first, last = shape[2:], shape[1:-1]  # as channels come first or last
    ways = [last, first] if function in _BY_CHANNEL_LAST else [first, last]
    fits = [way for way in ways if _rounded(way, sides)] or [way for way in ways if _apart(way, sides) <= _NEAR]
    if not fits and function not in _NO_MAPS:
        fits = [way for way in sorted(ways, key=lambda way: _apart(way, sides)) if _apart(way, sides) <= _FAR]
    if not fits or max(fits[0]) == 1 < max(sides):
        return None
    return _mean_level(fits[0], sides)


def _mean_level(way: Sequence[int], sides: Sequence[int]) -> float:
    return sum(math.log2(side / mine) for side, mine in zip(sides, way, strict=True)) / len(sides)


def _apart(way: Sequence[int], sides: Sequence[int]) -> float:
    """Return by how much two reductions of one map differ, as log2."""
    halvings = [math.log2(side / mine) for side, mine in zip(sides, way, strict=True)]
    return max(halvings) - min(halvings)


def _rounded(way: Sequence[int], sides: Sequence[int]) -> bool:
    """Whether sides are as proportions ask, but for rounding by less than a pixel."""
    ratio = max(side / mine for side, mine in zip(sides, way, strict=True))
    return all(abs(mine - side / ratio) < 1 for side, mine in zip(sides, way, strict=True)) and min(way) > 1


def _of_places(counts: tuple[int, ...], sides: tuple[int, ...]) -> float | None:
    """Read one of some numbers of tokens as rows times columns of the picture's proportions, the one that fits best."""
    found: list[tuple[float, float]] = []
    for count in counts:
        for extra in _EXTRA:
            ratio = math.sqrt(math.prod(sides) / max(count - extra, 1))
            exact = [side / ratio for side in sides]
            error = max(abs(side - round(side)) for side in exact)
            if count - extra >= _FEW and math.prod(map(round, exact)) == count - extra and error < _OFF:
                found.append((error, math.log2(ratio)))
    return min(found, key=lambda one: one[0])[1] if found else None
