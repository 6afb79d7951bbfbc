"""Score a network: one that segments on an archive of pictures with masks, one that classifies on labelled pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo import labelled
from segdemo.archives import IGNORED, Archive, Pair, Reading, to_stderr
from segdemo.class_maps import ClassMap, index_table
from segdemo.errors import InputError

Progress = Callable[[int, int], object]  # told after each picture how many are done, and how many there are to do


class _Mask(Protocol):
    @property
    def mask(self) -> NDArray[np.uint8]: ...


class _Segmenter(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...

    def run(self, picture: Image.Image, /) -> _Mask: ...


class _Answer(Protocol):
    @property
    def answer(self) -> Mapping[str, float]: ...


class _Classifier(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...

    def run(self, picture: Image.Image, /) -> _Answer: ...


@dataclass(frozen=True)
class Scores:
    """What a network reached.

    What is scored are pixels where masks were compared, and whole pictures where their classes were.

    Args:
        miou: mean of ``iou`` over the classes that have one, 0 to 1.
        iou: by name of the class, 0 to 1; None for a class that neither occurs nor is predicted.
        accuracy: share of what was scored whose class is right, 0 to 1.
        recall: the same among what is of each class, 0 to 1; None for a class that does not occur.
        pictures: how many were scored.
    """

    miou: float
    iou: Mapping[str, float | None]
    accuracy: float
    recall: Mapping[str, float | None]
    pictures: int


def confusion(
    truth: NDArray[np.integer] | int, predicted: NDArray[np.integer] | int, classes: int
) -> NDArray[np.int64]:
    """Count in one picture which class was taken for which, (K, K): row = true class, column = predicted.

    Args:
        truth: (H, W) class of each pixel, 255 where it is not to be scored; or the class of the whole picture.
        predicted: the class of each pixel, or of the whole picture, likewise.
        classes: K.
    """
    true, guessed = np.asarray(truth), np.asarray(predicted)
    if true.ndim:
        scored = true != IGNORED
        true, guessed = true[scored], guessed[scored]
    places = (true.astype(np.int64) * classes + guessed).ravel()
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


class Evaluator:
    """Counts how often which class was taken for which, picture after picture.

    Args:
        classes: names, in index order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.pictures = 0
        self.confusion = np.zeros((len(classes), len(classes)), np.int64)  # row = true class, column = predicted

    def add(self, truth: NDArray[np.integer] | int, predicted: NDArray[np.integer] | int) -> None:
        """Take in one picture.

        Args:
            truth: (H, W) class of each pixel, 255 where it is not to be scored; or the class of the whole picture.
            predicted: the class of each pixel, or of the whole picture, likewise.
        """
        self.take(confusion(truth, predicted, len(self.classes)))

    def take(self, counts: NDArray[np.int64]) -> None:
        """Take in what :func:`confusion` counted in one picture."""
        self.confusion += counts
        self.pictures += 1

    def scores(self) -> Scores:
        """Work out the scores over all that was taken in.

        Raises:
            InputError: there was nothing to judge.
        """
        hits, true, predicted = self.confusion.diagonal(), self.confusion.sum(1), self.confusion.sum(0)
        if not hits.size or not true.any():
            _refuse_nothing(self.pictures)
        iou = self._shares(hits, true + predicted - hits)
        present = [value for value in iou.values() if value is not None]
        miou, accuracy = sum(present) / len(present), float(hits.sum() / true.sum())
        return Scores(miou, iou, accuracy, self._shares(hits, true), self.pictures)

    def _shares(self, hits: NDArray[np.int64], of: NDArray[np.int64]) -> dict[str, float | None]:
        return {
            name: float(hit / whole) if whole else None for name, hit, whole in zip(self.classes, hits, of, strict=True)
        }


def evaluate(
    segmenter: _Segmenter,
    archive: str | Path,
    mapping: ClassMap | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], object] = to_stderr,
    reading: Reading | None = None,
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
        reading: how the masks are to be understood, when :func:`survey` found that out before; nothing is said then.

    Returns:
        The scores over all scored pixels together.

    Raises:
        InputError: the archive, one of its files, or the map cannot be used; names the file or the class.
    """
    with Archive(archive) as file:
        task = settled(segmenter.classes, file, mapping, limit, say, reading)
        evaluator = Evaluator(task.classes)
        for pair in task.pairs:
            picture, truth = file.read(pair, task.reading)
            evaluator.add(truth, task.table[segmenter.run(picture).mask])
            if progress:
                progress(evaluator.pictures, len(task.pairs))
    return evaluator.scores()


@dataclass(frozen=True)
class Task:
    """What is to be scored, and how the masks are understood.

    Args:
        pairs: names of pictures and masks.
        reading: of the masks.
        classes: the archive's.
        table: index of the network's class → index of the archive's, uint16.
        broken: pairs that cannot be read, where these were asked for; they are among ``pairs``.
    """

    pairs: list[Pair]
    reading: Reading
    classes: tuple[str, ...]
    table: NDArray[np.uint16]
    broken: Mapping[Pair, InputError]


def settled(
    classes: tuple[str, ...],
    file: Archive,
    mapping: ClassMap | None,
    limit: int | None,
    say: Callable[[str], object],
    reading: Reading | None = None,
    broken: dict[Pair, InputError] | None = None,
) -> Task:
    """Settle what is to be scored; takes what :func:`evaluate` takes.

    Args:
        classes: the network's.
        file: the archive.
        mapping: from the network's classes to the archive's.
        limit: at most so many pictures.
        say: told what a person may not expect.
        reading: of the masks, where it is known.
        broken: as for :meth:`Archive.survey`.

    Raises:
        InputError: as for :func:`evaluate`.
    """
    mapping = mapping or ClassMap(classes, {name: name for name in classes})
    table = index_table(classes, mapping)
    pairs = file.some_pairs(limit)
    if reading is None:
        reading = survey(file, pairs, len(mapping.classes), broken)
        for note in reading.notes(file.name):
            say(note)
    return Task(pairs, reading, tuple(mapping.classes), table, broken or {})


def evaluate_labelled(
    classifier: _Classifier, source: str | Path, limit: int | None = None, progress: Progress | None = None
) -> Scores:
    """Run a classifier on pictures and compare its most probable class with the one they are of.

    Args:
        classifier: has ``classes`` and ``run(picture).answer``, a probability for each class in index order.
        source: ``"digits"``, or a folder that holds a folder of pictures for each class, named as the class is.
        limit: judge only this many pictures, spread evenly.
        progress: called after each picture with the number done and the number there is to do.

    Returns:
        The scores over all scored pictures together.

    Raises:
        InputError: the source cannot be used; names the file or the folder.
    """
    pictures = labelled.read(source, classifier.classes, limit)
    evaluator = Evaluator(classifier.classes)
    for read, truth in pictures:
        evaluator.add(truth, int(np.argmax(list(classifier.run(read()).answer.values()))))
        if progress:
            progress(evaluator.pictures, len(pictures))
    return evaluator.scores()


def survey(
    file: Archive,
    pairs: Sequence[Pair],
    classes: int,
    broken: dict[Pair, InputError] | None = None,
) -> Reading:
    """Find out how the masks of pairs are to be understood, and make sure that they have something to judge.

    Raises:
        InputError: a file cannot be used, what the masks mean cannot be told, or they leave every pixel out.
    """
    reading = file.survey(pairs, classes, broken)
    if broken and len(broken) == len(set(pairs)):
        raise broken[pairs[0]]
    if not reading.scored:
        _refuse_nothing(len(pairs))
    return reading


def _refuse_nothing(pictures: int) -> None:
    raise InputError(
        "evaluation_nothing_to_judge",
        "In the {pictures} masks every pixel is 255, which means not to be scored. Scores need at least one pixel "
        "with a class. Use an archive with labelled masks, or a higher limit.",
        pictures=pictures,
    )
