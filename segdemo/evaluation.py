"""Score a network on an archive of pictures with masks.

An archive numbers its classes but does not name them. Without a class map they are the network's own. A class map gives
names of the archive's classes for names of the network's; the archive's classes are then the list in the map's file
(``{"classes": […], "map": {…}}``) or, when the file holds the map alone, the list in KNOWN_CLASSES it speaks of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo.archives import IGNORED, Archive, Reading, to_stderr
from segdemo.errors import InputError

MAX_MAP = 1_000_000  # bytes of a class map's file
KNOWN_CLASSES = (
    ("background", "person", "cat", "dog", "horse", "cow", "sheep"),
    ("background", "salient foreground"),
    ("background", "foreground"),
)


class _Result(Protocol):
    @property
    def mask(self) -> NDArray[np.uint8]: ...


class _Segmenter(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...

    def run(self, picture: Image.Image, /) -> _Result: ...


@dataclass(frozen=True)
class ClassMap:
    """How a network's classes become an archive's.

    Args:
        classes: the archive's class names, in the order of its mask indices; index 0 is the background.
        targets: name of a network's class → name of an archive's; classes not named become the background.
    """

    classes: tuple[str, ...]
    targets: Mapping[str, str]


@dataclass(frozen=True)
class Scores:
    """What a network reached on an archive.

    Args:
        miou: mean of ``iou`` over the classes that have one, 0 to 1.
        iou: by name of the archive's class, 0 to 1; None for a class that neither occurs nor is predicted.
        pixel_accuracy: share of the judged pixels whose class is right, 0 to 1.
        pictures: how many were judged.
    """

    miou: float
    iou: Mapping[str, float | None]
    pixel_accuracy: float
    pictures: int


def evaluate(
    segmenter: _Segmenter,
    archive: str | Path,
    mapping: ClassMap | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    say: Callable[[str], object] = to_stderr,
) -> Scores:
    """Run a network on the pictures of an archive and compare its masks with those there.

    Before the network sees the first picture, all masks are looked through, and what they mean is settled.

    Args:
        segmenter: has ``classes`` and ``run(picture).mask``, the mask in the picture's own size.
        archive: path of the zip file.
        mapping: needed when the archive has other classes than the network.
        limit: judge only this many pictures, spread evenly over the archive.
        progress: called after each picture with the number done and the number there is to do.
        say: called with a sentence wherever masks are understood in a way that a person may not expect.

    Returns:
        The scores over all judged pixels together.

    Raises:
        InputError: the archive, one of its files, or the map cannot be used; names the file or the class.
    """
    mapping = mapping or ClassMap(segmenter.classes, {name: name for name in segmenter.classes})
    table = _index_table(segmenter.classes, mapping)
    count = len(mapping.classes)
    confusion = np.zeros((count, count), np.int64)
    with Archive(archive) as file:
        pairs = file.some_pairs(limit)
        reading = survey(file, pairs, count)
        for note in reading.notes(Path(archive).name):
            say(note)
        for done, pair in enumerate(pairs, 1):
            picture, truth = file.read(pair, reading)
            confusion += confusion_matrix(truth, table[segmenter.run(picture).mask], count)
            if progress:
                progress(done, len(pairs))
    return scores_of(confusion, mapping.classes, len(pairs))


def survey(file: Archive, pairs: Sequence[tuple[str, str]], classes: int) -> Reading:
    """Find out how the masks of pairs are to be understood, and make sure that they have something to judge.

    Raises:
        InputError: a file cannot be used, what the masks mean cannot be told, or they leave every pixel out.
    """
    reading = file.survey(pairs, classes)
    if not reading.judged:
        _refuse_nothing(len(pairs))
    return reading


def _refuse_nothing(pictures: int) -> None:
    raise InputError(
        "evaluation_nothing_to_judge",
        "In the {pictures} masks every pixel is 255, which means not to be judged. Scores need at least one pixel "
        "with a class. Use an archive with labelled masks, or a higher limit.",
        pictures=pictures,
    )


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


def confusion_matrix(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Count the pixels of each pair of true and predicted class.

    Args:
        truth: (H, W) uint8, class of each pixel, 255 where it is not to be judged.
        predicted: (H, W) uint8, class of each pixel.
        classes: how many there are, K.

    Returns:
        (K, K) int64: row = true class, column = predicted class.
    """
    judged = truth != IGNORED
    places = truth[judged].astype(np.int64) * classes + predicted[judged]
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


def scores_of(confusion: NDArray[np.int64], classes: Sequence[str], pictures: int) -> Scores:
    """Work out the scores from a confusion matrix.

    Args:
        confusion: (K, K) counts of pixels: row = true class, column = predicted class.
        classes: K names.
        pictures: how many were counted.

    Raises:
        InputError: nothing was counted.
    """
    hits = confusion.diagonal()
    unions = confusion.sum(0) + confusion.sum(1) - hits
    total = int(confusion.sum())
    if total == 0:
        _refuse_nothing(pictures)
    iou = {name: float(hit / union) if union else None for name, hit, union in zip(classes, hits, unions, strict=True)}
    present = [value for value in iou.values() if value is not None]
    return Scores(sum(present) / len(present), iou, float(hits.sum() / total), pictures)


def _text(path: Path) -> str:
    """Read a small file; anything else might never end."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    if path.stat().st_size > MAX_MAP:
        raise ValueError(f"it takes more than {MAX_MAP} bytes")
    return path.read_text("utf-8-sig")


def _index_table(network: Sequence[str], mapping: ClassMap) -> NDArray[np.uint8]:
    """Make a table from the network's class indices to the archive's."""
    table = np.zeros(256, np.uint8)
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
