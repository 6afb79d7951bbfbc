"""Pictures with masks, in zip archives that are read in place, or in folders.

An archive, or a folder in its place, holds ``images/<id>.webp`` and ``masks/<id>.png``; a mask holds one class index
per pixel, and 255 where nothing is to be scored. How its masks are meant is found out by a survey of all that are
used, before any of them is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo import encoded
from segdemo.containers import open_container
from segdemo.errors import InputError
from segdemo.images import load_picture
from segdemo.masks import IGNORED, Layout, Mask, counts, decode, layout, turn
from segdemo.pairing import find_pairs, shown

__all__ = ["IGNORED", "Archive", "Pair", "Reading", "to_stderr"]

MAX_MEMORY = 400_000_000  # bytes while a picture is read, with its mask
OTHERS = 2000  # pairs beside those asked for that a survey looks at, at most, where these leave something open
Pair = tuple[str, str]


@dataclass(frozen=True)
class Reading:
    """How the masks of an archive are to be understood.

    Args:
        classes: how many class indices they may use, from 0.
        counts: pixels of each value, 0 to 255, in the masks that were looked at, before 255 was understood.
        white: 255 is the foreground, class 1; otherwise pixels that are not to be scored.
        stored: of masks of which the size cannot tell: whether they lie as their pictures are stored, and are to be
            turned as EXIF turns these; None where there are no such masks.
        turned: how many lie as their pictures are stored.
    """

    classes: int
    counts: tuple[int, ...]
    white: bool = False
    stored: bool | None = None
    turned: int = 0

    @property
    def scored(self) -> int:
        """How many pixels have a class."""
        return sum(self.counts) if self.white else sum(self.counts[:IGNORED])

    def notes(self, archive: str) -> list[str]:
        """Say what a person may not expect, a sentence each."""
        said = []
        if self.white:
            said.append(f"The masks of {archive} hold 0 and 255 alone: 255 is read as class 1, the foreground.")
        elif self.counts[IGNORED]:
            share = self.counts[IGNORED] / sum(self.counts)
            said.append(f"The masks of {archive} leave {share:.1%} of the area out, by 255: it is not scored.")
        if not self.white and self.scored and not any(self.counts[1:IGNORED]):
            said.append(f"The masks of {archive} hold nothing but class 0: no other class can be found right.")
        if self.scored and not self.counts[0]:
            said.append(f"The masks of {archive} hold no class 0, the background: classes count from 0.")
        if self.turned:
            said.append(
                f"The masks of {archive} lie as their pictures are stored: {self.turned} are turned as EXIF turns "
                "their pictures."
            )
        return said


def to_stderr(text: str) -> None:
    """Say something beside the results."""
    print(text, file=sys.stderr, flush=True)


class Archive:
    """An open archive: its pairs of names, and the picture and mask of each.

    Args:
        path: of the zip file, or of a folder with the same content.
        masked: False for pictures alone: masks are not looked for, and the second name of a pair is empty.

    Raises:
        InputError: the file is no such archive, a picture or a mask in it has no partner, or one is packed in a way
            that is not read.
    """

    def __init__(self, path: str | Path, *, masked: bool = True) -> None:
        self.name = Path(path).name or str(path)
        with _opening(self.name):
            self._files = open_container(Path(path))
        self._places: dict[str, int] = {}
        self.pairs: list[Pair] = []
        try:
            for image, mask in find_pairs(self._files.names, self.name, masked=masked):
                self.pairs.append((self._placed(image), "" if mask is None else self._placed(mask)))
        except BaseException:
            self._files.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def some_pairs(self, limit: int | None) -> list[Pair]:
        """Return at most so many of the pairs, spread evenly over the archive; all of them without a limit.

        Raises:
            InputError: the limit is below 1.
        """
        if limit is not None and limit < 1:
            raise InputError(
                "limit_too_small", "A limit of {limit} leaves no picture. Give at least 1, or no limit.", limit=limit
            )
        return _spread(self.pairs, len(self.pairs) if limit is None else limit)

    def picture(self, image: str) -> Image.Image:
        """Read a picture by its name in ``pairs``; PIL RGB.

        Raises:
            InputError: it cannot be read.
        """
        data = self._bytes(image)
        with _reading(image):
            return load_picture(data, name=image)

    def survey(self, pairs: Sequence[Pair], classes: int, broken: dict[Pair, InputError] | None = None) -> Reading:
        """Look through the masks of pairs, and find out how they are to be understood.

        Every mask is decoded, of every picture the head is read. Where these leave open what 255 means or how a mask
        lies, up to ``OTHERS`` further pairs are looked at, spread evenly, until that is settled.

        Args:
            pairs: that will be read, some of ``self.pairs``.
            classes: how many class indices a mask may use, from 0.
            broken: where given, takes the pairs that cannot be read, which are left out instead of being refused.

        Raises:
            InputError: a file cannot be read, a mask does not fit its picture, holds another class, or what it means
                cannot be told.
        """
        found = _Findings(np.zeros(256, np.int64))
        for pair in pairs:
            try:
                values, mask, picture = self._looked_at(pair, classes)
            except InputError as error:
                if broken is None:
                    raise
                broken[pair] = error
            else:
                found.add(pair, counts(values), mask, picture)
        chosen = set(pairs)
        for pair in _spread([pair for pair in self.pairs if pair not in chosen], OTHERS):
            if not found.open:
                break
            try:
                values, mask, picture = self._looked_at(pair, classes)
                found.add(pair, counts(values), mask, picture, used=False)
            except InputError:  # it will not be read
                continue
        return found.reading(classes, self.name)

    def read(self, pair: Pair, reading: Reading) -> tuple[Image.Image, NDArray[np.uint8]]:
        """Read a picture and its mask.

        Args:
            pair: names of the two files, one of ``pairs``.
            reading: from :meth:`survey`.

        Returns:
            The picture, PIL RGB, and its mask, (H, W) uint8, in the picture's own size.

        Raises:
            InputError: one of the files cannot be read, their sizes differ, or the mask holds another class.
        """
        values, mask, picture = self._looked_at(pair, reading.classes)
        lies = _lies_stored(mask, picture)
        if reading.stored if lies is None else lies:
            values = turn(values, picture.orientation)
        if reading.white:
            np.copyto(values, 1, where=values == IGNORED)
        return self.picture(pair[0]), values

    def _placed(self, index: int) -> str:
        self._files.check(index)
        name = shown(self._files.names[index])
        self._places[name] = index
        return name

    def _bytes(self, name: str) -> bytes:
        with _reading(name):
            return self._files.read(self._places[name])

    def _looked_at(self, pair: Pair, classes: int) -> tuple[Mask, Layout, Layout]:
        """Read a mask, and how it and its picture lie in their files; make sure that they fit."""
        image, mask = pair
        data = self._bytes(image)
        with _reading(image):
            picture = layout(data, image)
        data = self._bytes(mask)
        with _reading(mask):
            values, drawn = decode(data, classes, mask)
        encoded.check_memory(picture.memory + values.size, image, MAX_MEMORY)  # the mask is held meanwhile
        size = (values.shape[1], values.shape[0])
        if size != picture.upright and (size != picture.stored or drawn.orientation != 1):
            raise InputError(
                "archive_size_differs",
                "{mask} is {mask_width} × {mask_height} pixels, {image} {width} × {height}. A mask has the size of "
                "its picture. Make both again from the same original.",
                mask=mask,
                image=image,
                mask_width=size[0],
                mask_height=size[1],
                width=picture.upright[0],
                height=picture.upright[1],
            )
        return (values if values.flags.writeable else values.copy()), drawn, picture


class _Findings:
    """What a survey has seen so far."""

    def __init__(self, seen: NDArray[np.int64]) -> None:
        self._counts = seen  # of the masks that will be read
        self._further = np.zeros(256, np.int64)  # of all
        self._stored = self._upright = self._turned = 0
        self._doubtful: list[Pair] = []

    @property
    def open(self) -> bool:
        """Whether further masks could say more: what 255 means, or how a mask lies."""
        white = self._further[IGNORED] and not self._further[1:IGNORED].any()
        return bool(white or (self._doubtful and not (self._stored and self._upright)))

    def add(self, pair: Pair, seen: NDArray[np.int64], mask: Layout, picture: Layout, *, used: bool = True) -> None:
        """Take in one pair."""
        self._further += seen
        lies = _lies_stored(mask, picture)
        if picture.orientation != 1 and mask.orientation == 1:
            self._stored += lies is True
            self._upright += lies is False
        if used:
            self._counts += seen
            self._turned += lies is True
            if lies is None:
                self._doubtful.append(pair)

    def reading(self, classes: int, archive: str) -> Reading:
        """Settle how the masks are to be understood.

        Raises:
            InputError: that cannot be told.
        """
        white = bool(self._further[0] and self._further[IGNORED] and not self._further[1:IGNORED].any())
        if white and classes != 2:
            raise InputError(
                "archive_white",
                "All masks of {archive} hold 0 and 255 alone, as masks of a foreground do, but there are {count} "
                "classes, and 255 means not to be scored. Save class indices from 0 to {last}, or choose two classes.",
                archive=archive,
                count=classes,
                last=classes - 1,
            )
        if self._doubtful and bool(self._stored) == bool(self._upright):
            raise InputError(
                "archive_turned",
                "{image} is turned by EXIF, and its mask may be drawn on the picture as stored or as shown; their "
                "sizes do not tell. Save the picture upright, without EXIF orientation, and the mask to match it.",
                image=self._doubtful[0][0],
            )
        stored = bool(self._stored) if self._doubtful else None
        turned = self._turned + (len(self._doubtful) if stored else 0)
        return Reading(classes, tuple(self._counts.tolist()), white, stored, turned)


def _lies_stored(mask: Layout, picture: Layout) -> bool | None:
    """Tell whether a mask lies as its picture is stored, and is to be turned with it; None: the sizes do not tell."""
    if picture.orientation == 1 or mask.orientation != 1:
        return False
    if picture.stored == picture.upright:
        return None
    return mask.stored == picture.stored


def _spread(pairs: list[Pair], limit: int) -> list[Pair]:
    count = min(limit, len(pairs))
    return [pairs[index * len(pairs) // count] for index in range(count)]


@contextmanager
def _opening(file: str) -> Iterator[None]:
    """Say that an archive cannot be read, should opening it fail."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged archive can make zipfile raise anything
        raise InputError(
            "archive_unreadable",
            "{file} cannot be read as an archive: {reason}. A zip file, or a folder, with images/<id>.webp and "
            "masks/<id>.png is needed. Check the path, fetch the file again, or unpack it and give the folder.",
            file=file,
            reason=_reason(error),
        ) from error


@contextmanager
def _reading(file: str) -> Iterator[None]:
    """Say that a file in an archive cannot be read, should reading it fail."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise InputError(
            "archive_file_unreadable",
            "In the archive, {file} cannot be read: {reason}. Every file in it has to be a whole picture. Replace it, "
            "or remove it together with its partner.",
            file=file,
            reason=_reason(error),
        ) from error


def _reason(error: BaseException) -> str:
    """Say what went wrong, without a full stop."""
    return (str(error) or type(error).__name__).rstrip(".")
