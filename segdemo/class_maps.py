"""Class maps: how the classes of a network become those of an archive.

An archive numbers its classes but does not name them. A class map gives names of the archive's classes for names of the
network's; the archive's classes are then the list in the map's file (``{"classes": […], "map": {…}}``) or, when the
file holds the map alone, the list in KNOWN_CLASSES it speaks of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdemo.errors import InputError
from segdemo.masks import IGNORED

MAX_MAP = 1_000_000  # bytes of a class map's file
KNOWN_CLASSES = (
    ("background", "person", "cat", "dog", "horse", "cow", "sheep"),
    ("background", "salient foreground"),
    ("background", "foreground"),
)


@dataclass(frozen=True)
class ClassMap:
    """How a network's classes become an archive's.

    Args:
        classes: the archive's class names, in the order of its mask indices; index 0 is the background.
        targets: name of a network's class → name of an archive's; classes not named become the background.
    """

    classes: tuple[str, ...]
    targets: Mapping[str, str]


def read_map(path: str | Path) -> ClassMap:
    """Read a class map from a JSON file.

    Args:
        path: of a file that holds either the map alone, ``{"motorbike": "vehicle", …}``, or both the archive's classes
            and the map: ``{"classes": ["background", "vehicle"], "map": {"motorbike": "vehicle", …}}``.

    Returns:
        The map, with the archive's classes in the order of their mask indices.

    Raises:
        InputError: the file is no such JSON, or the archive's classes cannot be told from the map alone.
    """
    name = Path(path).name
    try:
        listed, targets = _parts(json.loads(_text(Path(path))))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            "map_unreadable",
            "{file} cannot be read as a class map: {reason}. A JSON object is needed that gives for names of the "
            "network's classes names of the archive's, such as {example}. Correct the file.",
            file=name,
            reason=str(error),
            example='{"cat": "animal"}',
        ) from error
    return ClassMap(listed or _classes_with(set(targets.values()), name), targets)


def index_table(network: Sequence[str], mapping: ClassMap) -> NDArray[np.uint16]:
    """Make a table from a network's class indices to an archive's.

    Args:
        network: names of the network's classes in index order.
        mapping: from them to the archive's.

    Returns:
        (K,) uint16, for the network's K classes; what the map does not speak of is 0, the background.

    Raises:
        InputError: the map speaks of a class that the network or the archive does not have.
    """
    table = np.zeros(len(network), np.uint16)
    for source, target in mapping.targets.items():
        if source not in network:
            raise InputError(
                "map_class_not_in_network",
                "The class map speaks of “{name}”, which the network does not have. It has: {classes}. "
                "Correct the name; perhaps {nearest}.",
                name=source,
                classes=", ".join(network),
                nearest=_nearest(source, network),
            )
        if target not in mapping.classes:
            raise InputError(
                "map_class_not_in_archive",
                "The class map speaks of “{name}”, which the archive does not have. It has: {classes}. "
                "Correct the name; perhaps {nearest}.",
                name=target,
                classes=", ".join(mapping.classes),
                nearest=_nearest(target, mapping.classes),
            )
        table[network.index(source)] = mapping.classes.index(target)
    return table


def _text(path: Path) -> str:
    """Read a small file; anything else might never end."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    if path.stat().st_size > MAX_MAP:
        raise ValueError(f"it takes more than {MAX_MAP} bytes")
    return path.read_text("utf-8-sig")


def _nearest(name: str, names: Sequence[str]) -> str:
    return ", ".join(get_close_matches(name, names, n=2, cutoff=0.4) or names[:1])


def _classes_with(names: set[str], file: str) -> tuple[str, ...]:
    """Find the archive's class list from the names a map uses: the known one that holds most of them."""
    shared = {known: len(names & set(known)) for known in KNOWN_CLASSES}
    best = [known for known, count in shared.items() if count == max(shared.values())]
    if len(best) != 1:
        raise InputError(
            "map_classes_unknown",
            "The class map {file} leaves open in which order the archive numbers its classes ({names}). That order "
            "is needed to read its masks. Write {example} with the archive's classes in index order.",
            file=file,
            names=", ".join(sorted(names)),
            example='{"classes": ["background", …], "map": {…}}',
        )
    return best[0]


def _parts(content: object) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """Take the archive's classes, if given, and the map out of a class map file's content."""
    listed, targets = None, content
    if isinstance(content, dict) and isinstance(content.get("map"), dict):
        listed, targets = content.get("classes"), content["map"]
    if not isinstance(targets, dict) or not all(isinstance(target, str) for target in targets.values()):
        raise ValueError("it is not an object of strings")
    if listed is None:
        return None, targets
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise ValueError("its classes are not a list of strings")
    if not 1 <= len(set(listed)) == len(listed) <= IGNORED:
        raise ValueError("its classes are not 1 to 255 different names")
    return tuple(listed), targets
