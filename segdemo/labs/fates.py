"""What becomes of each tensor when a saved state is loaded: by names and shapes alone, of any network and file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from segdemo.labs.lab import Leaf

Shapes = Mapping[str, tuple[int, ...]]


def of_network(own: Shapes, handed: Shapes, gradients: Mapping[str, bool]) -> tuple[Leaf, ...]:
    """Tell of each of a network's tensors what became of it.

    Args:
        own: shape of each, by name.
        handed: shape of what comes from the file, by the name under which it is loaded.
        gradients: whether each parameter gets a gradient; buffers, which never do, are not in it.
    """
    return tuple(Leaf(key, _fate(shape, handed.get(key)), shape, gradients.get(key)) for key, shape in own.items())


def _fate(own: tuple[int, ...], handed: tuple[int, ...] | None) -> str:
    if handed is None:
        return "random"
    return "loaded" if handed == own else "other_shape"


def of_file(saved: Shapes, used: Collection[str], refused: Collection[str]) -> tuple[Leaf, ...]:
    """Tell of each tensor in a file what became of it.

    Args:
        saved: shape of each, by name.
        used: names of those that were loaded.
        refused: names of those that were handed over, but whose shape did not fit.
    """
    return tuple(
        Leaf(key, "used" if key in used else "other_shape" if key in refused else "unused", shape)
        for key, shape in saved.items()
    )


def together(leaves: Collection[Leaf]) -> tuple[str, str]:
    """Return a word for what became of several tensors, and how many of them are loaded, as ``"2/5"``."""
    fates = Counter(leaf.fate for leaf in leaves)
    loaded = fates["loaded"] + fates["used"]
    word = next(iter(fates)) if len(fates) == 1 else "other_shape" if fates["other_shape"] else "partly"
    return word, f"{loaded}/{len(leaves)}"
