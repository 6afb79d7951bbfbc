"""Pictures whose class is known: a folder for each class, or the digits LeNet is tested on."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from segdemo.containers import MAX_FILE
from segdemo.errors import InputError
from segdemo.images import load_picture
from segdemo.masks import layout
from segdemo.pairing import left_behind

DIGITS = "digits"
Labelled = tuple[Callable[[], Image.Image], int]  # what reads a picture, and the index of its class


def read(source: str | Path, classes: Sequence[str], limit: int | None = None) -> list[Labelled]:
    """List labelled pictures.

    Args:
        source: ``"digits"``, or a folder that holds a folder of pictures for each class, named as the class is.
        classes: names, in index order.
        limit: take only this many pictures, spread evenly.

    Raises:
        InputError: the source cannot be used; names the file or the folder.
    """
    pictures = _read_digits(classes) if source == DIGITS else _read_folders(Path(source), classes)
    if limit is not None and limit < 1:
        raise InputError(
            "limit_too_small", "A limit of {limit} leaves no picture. Give at least 1, or no limit.", limit=limit
        )
    if limit is None or limit >= len(pictures):
        return pictures
    return [pictures[index * len(pictures) // limit] for index in range(limit)]


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Part scikit-learn's 1797 digits into those to learn from and a fifth to test on, the same each time.

    Returns:
        Pictures (B, 8, 8) float64 in [0, 16] and digits (B,) to learn from, then both for the test; equal shares of
        the ten digits.

    Raises:
        InputError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise InputError(
            "digits_missing",
            "The digits come with scikit-learn, which is not installed. Run `pip install scikit-learn`.",
        ) from None
    all_digits = load_digits()
    learn, test = train_test_split(
        np.arange(len(all_digits.target)), test_size=0.2, random_state=0, stratify=all_digits.target
    )
    return all_digits.images[learn], all_digits.target[learn], all_digits.images[test], all_digits.target[test]


def _read_digits(classes: Sequence[str]) -> list[Labelled]:
    """Take the test's digits as pictures of 8 × 8 pixels; the network's preprocessing enlarges them."""
    _, _, pictures, truth = digits()
    if tuple(classes) != tuple("0123456789"):
        raise InputError(
            "digits_other_classes",
            "The digits are for a network that tells 0 to 9 apart; this one knows {classes}. Choose another network.",
            classes=", ".join(classes),
        )
    codes = np.rint(pictures * 255 / 16).astype(np.uint8)
    return [(partial(_grey, code), int(index)) for code, index in zip(codes, truth, strict=True)]


def _grey(code: np.ndarray) -> Image.Image:
    return Image.fromarray(code).convert("RGB")


def _read_folders(folder: Path, classes: Sequence[str]) -> list[Labelled]:
    """List the pictures of a folder with a folder for each class; what no picture can be read from is refused now."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in inside if path.is_dir() and not left_behind(path.name)]
    names = {unicodedata.normalize("NFC", name): index for index, name in enumerate(classes)}
    unknown = [path.name for path in found if unicodedata.normalize("NFC", path.name) not in names]
    if not found or unknown:
        raise InputError(
            "labelled_folders",
            "{source} cannot be used: {came}. Needed is a folder that holds a folder of pictures for each class, named "
            "{classes}, or the word digits.",
            source=folder,
            came=f"there is no class {unknown[0]}" if unknown else "it holds no folders",
            classes=", ".join(classes),
        )
    files = [
        (path, names[unicodedata.normalize("NFC", inner.name)])
        for inner in found
        for path in sorted(inner.iterdir())
        if not left_behind(path.name)
    ]
    if not files:
        raise InputError("labelled_empty", "The folders of {source} hold no pictures. Put some in.", source=folder)
    for path, _ in files:
        _check_picture(path)
    return [(partial(load_picture, path), index) for path, index in files]


def _check_picture(path: Path) -> None:
    """Refuse a file whose head is not that of a picture, before any picture is scored."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ValueError(f"it takes more than {MAX_FILE // 1_000_000} million bytes")
        layout(data)
    except Exception as error:  # a damaged file can make the reader raise anything
        raise InputError(
            "labelled_unreadable",
            "{path} cannot be read as a picture: {reason}. The folders of the classes hold pictures alone. Replace it, "
            "or remove it.",
            path=path,
            reason=(str(error) or type(error).__name__).rstrip("."),
        ) from error
