"""Pictures with masks, in zip archives that are read in place, or in folders.

An archive, or a folder in its place, holds ``images/<id>.webp`` and ``masks/<id>.png``; a mask holds one class index
per pixel, and 255 where nothing is to be judged.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo.errors import InputError
from segdemo.images import load_picture

IGNORED = 255  # in a mask: not to be judged

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class Archive:
    """An open archive: its pairs of names, and the picture and mask of each.

    Args:
        path: of the zip file, or of a folder with the same content.
        masked: False for pictures alone: masks are not looked for, and the second name of a pair is empty.

    Raises:
        InputError: the file is no such archive, or a picture or a mask in it has no partner.
    """

    def __init__(self, path: str | Path, *, masked: bool = True) -> None:
        path = Path(path)
        with _opening(path.name):
            self._files = _Folder(path) if path.is_dir() else zipfile.ZipFile(path)
        self.pairs = _pairs(self._files.namelist(), path.name, masked=masked)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def some_pairs(self, limit: int | None) -> list[tuple[str, str]]:
        """Return at most so many of the pairs, spread evenly over the archive; all of them without a limit."""
        count = len(self.pairs) if limit is None else min(limit, len(self.pairs))
        return [self.pairs[index * len(self.pairs) // count] for index in range(count)]

    def picture(self, image: str) -> Image.Image:
        """Read a picture by its name in ``pairs``; PIL RGB.

        Raises:
            InputError: it cannot be read.
        """
        with _reading(image):
            return load_picture(self._files.read(image))

    def read(self, pair: tuple[str, str], classes: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """Read a picture and its mask, and check that they belong together.

        Args:
            pair: names of the two files, one of ``pairs``.
            classes: how many class indices a mask may use, from 0.

        Returns:
            The picture, PIL RGB, and its mask, (H, W) uint8, in the picture's own size.

        Raises:
            InputError: one of the files cannot be read, their sizes differ, or the mask holds another class.
        """
        image, mask = pair
        picture = self.picture(image)
        with _reading(mask):
            drawn = Image.open(io.BytesIO(self._files.read(mask)))
        if drawn.size != picture.size:
            raise InputError(
                "archive_size_differs",
                "{mask} is {mask_width} × {mask_height} pixels, {image} {width} × {height}. A mask has the size of "
                "its picture. Make both again from the same original.",
                mask=mask,
                image=image,
                mask_width=drawn.width,
                mask_height=drawn.height,
                width=picture.width,
                height=picture.height,
            )
        with _reading(mask):
            if drawn.mode not in ("P", "L"):
                raise ValueError(f"its mode is {drawn.mode}; a mask is an 8-bit palette or grey picture")
            truth = np.array(drawn)
        _check_classes(truth, classes, mask)
        return picture, truth


def _check_classes(truth: NDArray[np.uint8], classes: int, mask: str) -> None:
    """Refuse a mask with an index that is no class."""
    beyond = truth[(truth >= classes) & (truth != IGNORED)]
    if beyond.size:
        raise InputError(
            "archive_class_unknown",
            "{mask} holds class {index}, but the classes are 0 to {last}, and 255 for pixels not to be judged. "
            "Correct the mask, or give a map with the archive's own classes.",
            mask=mask,
            index=int(beyond.max()),
            last=classes - 1,
        )


class _Folder:
    """A folder that answers like a zip file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def namelist(self) -> list[str]:
        return [str(PurePosixPath(*path.parts[-2:])) for path in self._path.glob("*/*") if path.is_file()]

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def close(self) -> None:
        """Nothing is held open."""


def _pairs(names: list[str], archive: str, *, masked: bool) -> list[tuple[str, str]]:
    """Match pictures with masks by name, in alphabetical order."""
    folders: dict[str, dict[str, str]] = {"images": {}, "masks": {}}
    for name in sorted(names):
        path = PurePosixPath(name)
        if len(path.parts) == 2 and path.parts[0] in folders and not name.endswith("/") and path.name[0] != ".":
            folders[path.parts[0]][path.stem] = name
    images, masks = folders["images"], folders["masks"]
    for stem in sorted(images.keys() ^ masks.keys()) if masked else ():
        raise InputError(
            "archive_pair_missing",
            "{archive} holds {present}, but no {missing}. Every picture needs its mask and every mask its picture. "
            "Add the missing file or remove the other.",
            archive=archive,
            present=images.get(stem) or masks[stem],
            missing=f"masks/{stem}.png" if stem in images else f"images/{stem}.webp",
        )
    if not images:
        raise InputError(
            "archive_empty",
            "{archive} holds no picture. An archive needs images/<id>.webp and masks/<id>.png. Check that its folders "
            "are called images and masks.",
            archive=archive,
        )
    return [(images[stem], masks[stem] if masked else "") for stem in sorted(images)]


@contextmanager
def _opening(file: str) -> Iterator[None]:
    """Say that an archive cannot be read, should opening it fail."""
    try:
        yield
    except _UNREADABLE as error:
        raise InputError(
            "archive_unreadable",
            "{file} cannot be read as an archive: {reason}. A zip file with images/<id>.webp and masks/<id>.png is "
            "needed. Check the path, or fetch the file again.",
            file=file,
            reason=_reason(error),
        ) from error


@contextmanager
def _reading(file: str) -> Iterator[None]:
    """Say that a file in an archive cannot be read, should reading it fail."""
    try:
        yield
    except _UNREADABLE as error:
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
