"""Pictures with masks, decoded once and kept in memory as 8-bit arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo.archives import IGNORED, Archive, to_stderr
from segdemo.errors import InputError
from segdemo.images import load_picture

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One picture to learn from.

    Args:
        name: where it came from, for messages and for the teacher's cache.
        picture: (H, W, 3) uint8, RGB.
        mask: (H, W) uint8, class of each pixel, 255 where nothing is known; None when nothing is known at all.
    """

    name: str
    picture: Bytes
    mask: Bytes | None


def read_pairs(
    source: str, classes: Sequence[str], short_side: int, say: Callable[[str], object] = to_stderr
) -> Iterator[Sample]:
    """Read pictures with masks, made smaller where they are larger than needed.

    All masks of an archive are looked through before the first pair is given.

    Args:
        source: path of a zip archive or of a folder, each with ``images`` and ``masks`` inside; or ``voc:ROOT`` or
            ``pets:ROOT``, a folder into which torchvision downloads Pascal VOC 2012 or the Oxford-IIIT Pets.
        classes: the network's class names. The indices in an archive or a folder are the network's own.
        short_side: shorter side to keep, in pixels.
        say: called with a sentence wherever masks are understood in a way that a person may not expect.

    Raises:
        InputError: something in it cannot be used; names the file.
    """
    kind, _, root = source.partition(":")
    if kind in DOWNLOADS and root:
        pairs = DOWNLOADS[kind](root, classes)
    else:
        pairs = _stored(source, len(classes), say)
    for name, picture, mask in pairs:
        size = _smaller(picture.size, short_side)
        small = np.array(picture.resize(size, Image.Resampling.BOX))
        drawn = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        yield Sample(f"{Path(root or source).name}/{name}", small, drawn)


def read_pictures(source: str, short_side: int) -> Iterator[Sample]:
    """Read pictures alone, for a teacher to teach on; masks beside them are not looked at.

    Args:
        source: path of a zip archive or of a folder with ``images`` inside.
        short_side: shorter side to keep, in pixels.

    Raises:
        InputError: something in it cannot be used; names the file.
    """
    with Archive(source, masked=False) as stored:
        for image, _ in stored.pairs:
            picture = stored.picture(image)
            small = picture.resize(_smaller(picture.size, short_side), Image.Resampling.BOX)
            yield Sample(f"{Path(source).name}/{image}", np.array(small), None)


def check_source(source: str, *, masked: bool) -> None:
    """Make sure that an archive can be opened and its names make pairs, before any of its pictures is read.

    Raises:
        InputError: it cannot be used.
    """
    kind, _, root = source.partition(":")
    if not (masked and kind in DOWNLOADS and root):
        with Archive(source, masked=masked):
            pass


def check_masks(samples: Sequence[Sample], *, alone: bool) -> None:
    """Make sure that there is something to learn from masks.

    Args:
        samples: with masks.
        alone: whether nothing else is learned from, so that a class beside the background has to occur.

    Raises:
        InputError: every pixel is 255, or nothing but the background occurs.
    """
    masks = [sample.mask for sample in samples if sample.mask is not None]
    beyond = int(alone)
    if not any(((mask != IGNORED) & (mask >= beyond)).any() for mask in masks):
        raise InputError(
            "train_masks_empty",
            "The {count} masks of --data hold nothing to learn: every pixel is {values}. Needed are masks in which "
            "classes are drawn. Check how they were saved.",
            count=len(masks),
            values="0, the background, or 255, not known" if alone else "255, not known",
        )


def fingerprint(samples: Sequence[Sample]) -> str:
    """Return a checksum of the samples' pictures, hex, by which a cache knows them again."""
    digest = hashlib.blake2b(digest_size=16)
    for sample in samples:
        digest.update(repr((sample.name, sample.picture.shape)).encode())
        digest.update(sample.picture[::8, ::8].tobytes())
    return digest.hexdigest()


def _stored(source: str, classes: int, say: Callable[[str], object]) -> Iterator[tuple[str, Image.Image, Bytes]]:
    with Archive(source) as stored:
        reading = stored.survey(stored.pairs, classes)
        for note in reading.notes(Path(source).name):
            say(note)
        for pair in stored.pairs:
            yield (pair[0], *stored.read(pair, reading))


def _smaller(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Return (width, height) with the shorter side at most as asked, proportions kept."""
    scale = min(1.0, short_side / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _voc(root: str, classes: Sequence[str]) -> Iterator[tuple[str, Image.Image, Bytes]]:
    """Pascal VOC 2012, its classes matched by name; those that the network lacks become the background."""
    from torchvision.datasets import VOCSegmentation

    from segdemo.networks.classes import VOC

    table = np.zeros(256, np.uint8)
    table[IGNORED] = IGNORED
    for index, name in enumerate(one.name for one in VOC):
        if name in classes:
            table[index] = list(classes).index(name)
        elif len(classes) == 2:  # one foreground: everything that VOC has a name for
            table[index] = 1
    with _fetching(f"voc:{root}"):
        dataset = VOCSegmentation(root, image_set="train", download=_missing(root, "VOCdevkit"))
    for path, (picture, mask) in zip(dataset.images, dataset, strict=True):
        yield Path(path).name, load_picture(picture), table[np.array(mask)]


def _pets(root: str, classes: Sequence[str]) -> Iterator[tuple[str, Image.Image, Bytes]]:
    """Oxford-IIIT Pets: the animal is cat, dog or foreground, as the network says; its outline is not scored."""
    from torchvision.datasets import OxfordIIITPet

    targets = ["binary-category", "segmentation"]
    with _fetching(f"pets:{root}"):
        dataset = OxfordIIITPet(root, target_types=targets, download=_missing(root, "oxford-iiit-pet"))
    for path, (picture, (species, trimap)) in zip(dataset._images, dataset, strict=True):
        name = ("cat", "dog")[species]
        index = list(classes).index(name) if name in classes else 1
        if name not in classes and len(classes) != 2:
            raise InputError(
                "pets_classes",
                "The pets are cats and dogs; the network's classes are {classes}. It needs these two, or two classes "
                "in all. Choose another network or other data.",
                classes=", ".join(classes),
            )
        table = np.array([0, index, 0, IGNORED], np.uint8)  # of the trimap: 1 animal, 2 background, 3 outline
        yield Path(path).name, load_picture(picture), table[np.array(trimap)]


@contextmanager
def _fetching(source: str) -> Iterator[None]:
    """Say that a data set cannot be downloaded or read, should that fail."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            "train_download",
            "{source} cannot be downloaded or read: {reason}. Needed is a folder with the whole data set, or one to "
            "download it into. Check the connection and the folder, or remove what is left of it there.",
            source=source,
            reason=(str(error) or type(error).__name__).rstrip("."),
        ) from error


def _missing(root: str, folder: str) -> bool:
    return not (Path(root) / folder).is_dir()


DOWNLOADS: dict[str, Callable[[str, Sequence[str]], Iterator[tuple[str, Image.Image, Any]]]] = {
    "voc": _voc,
    "pets": _pets,
}
