"""The pictures of a person's own that a page may go through: those given to ``explore``, or all of a folder.

An engine holds them in ``gallery``. The page of a public server has none: it reads no folder of its server's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from segdemo.archives import Archive, Reading, to_stderr
from segdemo.class_maps import ClassMap, index_table
from segdemo.evaluation import survey
from segdemo.images import load_picture


class GroundTruth(Protocol):
    """What one picture shows; :class:`segdemo.truth.Truth` is one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the indices in it."""

    def read(self) -> np.ndarray:
        """Return the class of each pixel, (H, W) uint8 in the picture's own size, 255 where nothing is to be scored."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a gallery.

    Args:
        name: unlike all others.
        read: gives the picture, PIL RGB; raises InputError where it cannot be read.
        truth: what it shows, None where that is not known, or known to the engine already.
    """

    name: str
    read: Callable[[], Image.Image]
    truth: GroundTruth | None = None


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures, some of them with ground truth.

    Args:
        entries: in the order in which they are gone through.
        masked: whether any has ground truth.
        source: path of the archive or folder that they come from, "" where there is none.
        mapping: how the classes of the network that they were opened for become those of the ground truth; None where
            they are the same.
    """

    entries: tuple[Entry, ...] = ()
    masked: bool = False
    source: str = ""
    mapping: ClassMap | None = None


def gallery_of(files: Mapping[str, Path], *, masked: bool) -> Gallery:
    """Make a gallery of single files, whose ground truth the engine knows.

    Args:
        files: by the name of the picture.
        masked: whether any has ground truth.
    """
    return Gallery(tuple(Entry(name, partial(load_picture, path)) for name, path in files.items()), masked)


def gallery_in(
    data: str | Path,
    classes: Sequence[str],
    *,
    masked: bool = True,
    mapping: ClassMap | None = None,
    limit: int | None = None,
    say: Callable[[str], Any] = to_stderr,
) -> Gallery:
    """Make a gallery of an archive or a folder, which stays open as long as the gallery is used.

    Args:
        data: path of a zip file, or of a folder, with ``images`` and ``masks``.
        classes: of the network, in index order; the masks have the same unless there is a map.
        masked: False where there are no masks.
        mapping: needed when the masks have other classes than the network.
        limit: take only this many pictures, spread evenly.
        say: called with a sentence wherever masks are understood in a way that a person may not expect.

    Raises:
        InputError: the archive or one of its masks cannot be used; the map speaks of a class that is not there.
    """
    if mapping is not None:
        index_table(classes, mapping)
        classes = mapping.classes
    archive = Archive(data, masked=masked)
    pairs = archive.some_pairs(limit)
    reading = survey(archive, pairs, len(classes)) if masked else None
    for note in reading.notes(Path(data).name) if reading else ():
        say(note)

    def truth_of(pair: tuple[str, str]) -> GroundTruth | None:
        return None if reading is None else _InArchive(archive, pair, reading, tuple(classes))

    entries = tuple(Entry(pair[0], partial(archive.picture, pair[0]), truth_of(pair)) for pair in pairs)
    return Gallery(entries, masked, str(data), mapping)


@dataclass(frozen=True, eq=False)
class _InArchive:
    """Ground truth that lies in an open archive; see :class:`GroundTruth`."""

    archive: Archive
    pair: tuple[str, str]
    reading: Reading
    classes: tuple[str, ...]

    def read(self) -> np.ndarray:
        return self.archive.read(self.pair, self.reading)[1]
