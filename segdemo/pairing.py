"""Which picture of an archive belongs to which mask, by their names alone.

Archives are packed by many tools. Found are folders named images and masks, in upper or lower case, at the top or
below other folders; names with backslashes, with ``./`` or ``/`` before them, and in either Unicode form; masks named
like their picture or with one of ``SUFFIXES`` after that. What operating systems and notebooks leave is passed over.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from segdemo.errors import InputError

SUFFIXES = ("_mask", "-mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt")
KINDS = ("images", "masks")
_LEFT_BEHIND = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("icon\r", "__macosx", "@eadir"),
}
Named = dict[str, list[int]]  # the part of a name that picture and mask share → places of the files so named
Place = tuple[str, ...]  # the folders above images and masks


def left_behind(name: str) -> bool:
    """Tell whether a file or folder of this name was left by an operating system or a notebook, or is hidden.

    Args:
        name: without its folder.
    """
    return name.startswith(".") or name.casefold() in _LEFT_BEHIND


def find_pairs(names: Sequence[str], archive: str, *, masked: bool = True) -> list[tuple[int, int | None]]:
    """Match pictures with masks, in alphabetical order.

    Args:
        names: of all files in the archive.
        archive: its name, for messages.
        masked: False for pictures alone: masks are not looked for.

    Returns:
        For each picture its place in ``names`` and that of its mask; None where masks are not looked for.

    Raises:
        InputError: there are no pictures, one has no partner, or two files have the same name.
    """
    found = _chosen(_sorted(names), names, archive, masked=masked)
    images = _single(found["images"], names, archive)
    if not masked:
        return [(images[stem], None) for stem in sorted(images)]
    masks = _renamed(_single(found["masks"], names, archive), images)
    for stem in sorted(images.keys() ^ masks.keys()):
        raise InputError(
            "archive_pair_missing",
            "{archive} holds {present}, but no {missing}. Every picture needs its mask and every mask its picture. "
            "Add the missing file or remove the other.",
            archive=archive,
            present=shown(names[images[stem] if stem in images else masks[stem]]),
            missing=f"masks/{stem}.png" if stem in images else f"images/{stem}.webp",
        )
    return [(images[stem], masks[stem]) for stem in sorted(images)]


def shown(name: str) -> str:
    """Return a name as messages show it: slashes between its parts, and nothing before the first."""
    return "/".join(_parts(name))


def _parts(name: str) -> Place:
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _sorted(names: Sequence[str]) -> dict[Place, dict[str, Named]]:
    """Sort files by the folders above images and masks, by which of both they are in, and by name."""
    places: dict[Place, dict[str, Named]] = {}
    for index, name in enumerate(names):
        parts = _parts(name)
        if name.endswith(("/", "\\")) or ".." in parts or any(map(left_behind, parts)):
            continue
        at = next((at for at, part in enumerate(parts[:-1]) if part.casefold() in KINDS), None)
        if at is not None:
            inner = at + 1
            while inner < len(parts) - 1 and parts[inner].casefold() == parts[at].casefold():
                inner += 1  # a folder packed once more in one of its own name
            stem = str(PurePosixPath(*parts[inner:]).with_suffix(""))
            kinds = places.setdefault(parts[:at], {kind: {} for kind in KINDS})
            kinds[parts[at].casefold()].setdefault(unicodedata.normalize("NFC", stem), []).append(index)
    return places


def _chosen(
    places: dict[Place, dict[str, Named]], names: Sequence[str], archive: str, *, masked: bool
) -> dict[str, Named]:
    """Choose the place that holds what is looked for: the one nearest to the top."""
    partly = [place for place, found in places.items() if any(found[kind] for kind in KINDS[: 1 + masked])]
    whole = [place for place in partly if all(places[place][kind] for kind in KINDS[: 1 + masked])]
    nearest = min((len(place) for place in whole or partly), default=0)
    chosen = sorted(place for place in whole or partly if len(place) == nearest)
    if not chosen:
        raise InputError(
            "archive_empty",
            "{archive} holds no picture in a folder named images; it holds {found}. An archive needs images/<id>.webp "
            "and masks/<id>.png. Name its folders images and masks.",
            archive=archive,
            found=_tops(names),
        )
    if len(chosen) > 1:
        raise InputError(
            "archive_several",
            "{archive} holds several sets of pictures: {sets}. One is needed, so that none is mixed with another. "
            "Unpack it and give one of the folders, or pack each by itself.",
            archive=archive,
            sets=", ".join("/".join((*place, "images")) for place in chosen[:5]),
        )
    return places[chosen[0]]


def _tops(names: Iterable[str]) -> str:
    """Name what an archive holds at its top."""
    tops = sorted({_parts(name)[0] for name in names if _parts(name)})
    return ", ".join(tops[:5]) + (", …" if len(tops) > 5 else "") if tops else "nothing"


def _single(found: Named, names: Sequence[str], archive: str) -> dict[str, int]:
    """Make sure that every name is there once."""
    for stem in sorted(found):
        if len(found[stem]) > 1:
            first, second = (shown(names[index]) for index in found[stem][:2])
            raise InputError(
                "archive_same_name",
                "{archive} holds both {first} and {second}. A picture and its mask find each other by their name "
                "without its ending, so that each may be there only once. Rename or remove one.",
                archive=archive,
                first=first,
                second=second,
            )
    return {stem: found[stem][0] for stem in found}


def _renamed(masks: dict[str, int], images: dict[str, int]) -> dict[str, int]:
    """Give masks the name of their picture where they have it with a suffix."""
    renamed = {stem: index for stem, index in masks.items() if stem in images}
    for stem, index in masks.items():
        if stem not in images:
            bare = next((stem[: -len(end)] for end in SUFFIXES if stem.casefold().endswith(end)), stem)
            renamed[bare if bare in images and bare not in renamed else stem] = index
    return renamed
