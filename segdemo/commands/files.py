"""What the commands share: pictures listed and read, results named and saved, tables printed, refusals."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segdemo.errors import InputError
from segdemo.images import check_side, load_picture
from segdemo.inference import Segmenter
from segdemo.networks import DEFAULT

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm", ".pgm"}
ENDINGS = ("-mask.png", "-overlay.png", ".json")
UNTRAINED = "untrained: the weights are random and the result means nothing"


def segmenter_for(arguments: Namespace) -> Segmenter:
    """Load the network asked for, and refuse a working size that does not suit it before any picture is read."""
    segmenter = Segmenter(arguments.network or DEFAULT)
    check_side(segmenter.spec.rule, arguments.side)
    return segmenter


def listed(given: list[str]) -> list[Path]:
    """List the pictures given, those of a folder in place of it; a folder without any stays, to be refused later."""
    if not given:
        raise InputError(
            "no_picture", "No picture was given. At least one is needed. Name a picture file, or a folder of them."
        )
    pictures: list[Path] = []
    for path in map(Path, given):
        inside = sorted(entry for entry in path.iterdir() if _looks_like_a_picture(entry)) if path.is_dir() else []
        pictures.extend(inside or [path])
    return pictures


def _looks_like_a_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def open_picture(path: Path) -> Image.Image:
    """Read a picture, or refuse it in one sentence."""
    if path.is_dir():
        raise InputError(
            "folder_without_pictures",
            "The folder {path} holds no picture. Files ending in {endings} are looked for. Give another folder, or the "
            "files themselves.",
            path=path,
            endings=", ".join(sorted(SUFFIXES)),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is refused by its size, in our words
        return load_picture(path)


def names(pictures: list[Path], out: Path) -> Iterator[str]:
    """Name the results of each picture after it, so that none overwrites another's, or a picture."""
    inputs = {path.resolve() for path in pictures}
    used: set[str] = set()
    for path in pictures:
        number, name = 1, path.stem
        while name.casefold() in used or {(out / f"{name}{end}").resolve() for end in ENDINGS} & inputs:
            number += 1
            name = f"{path.stem}-{number}"
        used.add(name.casefold())
        yield name


def about(path: Path, error: InputError) -> str:
    """Make sure that a message says which file it speaks of."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def folder_for(name: str) -> Path:
    """Make the folder for the results."""
    with writing(Path(name)):
        Path(name).mkdir(parents=True, exist_ok=True)
    return Path(name)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Refuse a folder that cannot be written to."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "out_unwritable",
            "Nothing can be written to {folder}: {reason}. A folder with room and permission to write is needed. "
            "Choose another with --out.",
            folder=folder,
            reason=error.strerror or str(error),
        ) from error


def save(picture: Image.Image, path: str, facts: dict[str, Any]) -> None:
    """Write a PNG that carries what it is."""
    info = PngInfo()
    info.add_text("Software", "segdemo")
    info.add_text("Comment", f"{facts['network']}, {'trained' if facts['trained'] else UNTRAINED}")
    picture.save(path, "PNG", pnginfo=info, compress_level=3)


def print_table(rows: list[list[str]]) -> None:
    """Print rows in columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
