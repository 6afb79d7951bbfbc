"""How a network does on the pictures that the page of a person's own goes through, one by one, and on all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from segdemo.class_maps import ClassMap
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.worst import Scored, Worst, activity_of, classes_in, refuse_classifier, telling_of
from segdemo.gallery import Entry, Gallery
from segdemo.questions import Run
from segdemo.results import Result
from segdemo.truth import Agreed, Agreement


@dataclass(frozen=True)
class GalleryFacts:
    """Which pictures there are to go through.

    Args:
        names: of the pictures.
        masked: whether any has ground truth.
        source: path of the archive or folder that they come from, "" where there is none.
        mapping: from the network's classes to those of the ground truth; None where they are the same.
    """

    names: tuple[str, ...]
    masked: bool
    source: str
    mapping: ClassMap | None = None


@dataclass(frozen=True)
class Pictures(Question):
    """Ask which pictures there are to go through: those of the gallery, which a public server has not."""

    def answer(self, bench: Bench) -> GalleryFacts:
        """Name them."""
        gallery: Gallery = bench.gallery or Gallery()
        names = tuple(entry.name for entry in gallery.entries)
        return GalleryFacts(names, gallery.masked, gallery.source, gallery.mapping)


@dataclass(frozen=True)
class Photograph(Question):
    """Ask for a picture of the gallery itself.

    Args:
        name: of the picture.
    """

    name: str

    def answer(self, bench: Bench) -> Image.Image:
        """Read it; PIL, RGB.

        Raises:
            InputError: there is none of that name, or it cannot be read.
        """
        return _entry(bench, self.name).read()


def _entry(bench: Bench, name: str) -> Entry:
    gallery: Gallery = bench.gallery or Gallery()
    found = next((entry for entry in gallery.entries if entry.name == name), None)
    if found is None:
        raise InputError(
            "gallery_picture",
            "There is no picture called “{name}” to go through. Choose one of those that the page lists.",
            name=name[:60],
        )
    return found


@dataclass(frozen=True)
class Judged:
    """How a network does on one picture of the gallery.

    Args:
        name: of the picture.
        picture: its fingerprint.
        iou: mean over the classes that it has or was given, in [0, 1]; None without ground truth, or where all of that
            is left out.
        entropy: mean, bits.
        shares: name of each class in the mask with its share, in percent, largest first.
        activity: label of a stage → mean absolute activation of each channel.
    """

    name: str
    picture: str
    iou: float | None
    entropy: float
    shares: tuple[tuple[str, float], ...]
    activity: dict[str, np.ndarray]


@dataclass(frozen=True)
class Judge(Question):
    """Ask how a network does on one picture of the gallery.

    Args:
        network: its name.
        name: of the picture.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    name: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Judged:
        """Run the network on it, and compare.

        Raises:
            InputError: there is no such picture, it or its mask cannot be read, or the network is a classifier.
        """
        refuse_classifier(bench.spec.task, bench.spec.title)
        entry = _entry(bench, self.name)
        picture = bench.keep(entry.read(), entry.truth)
        asked = self.network, picture, self.size, self.step
        agreed: Agreed = bench.answer(Agreement(*asked))
        result: Result = bench.answer(Run(*asked))
        entropy = float(result.entropy.mean())
        return Judged(self.name, picture, agreed.mean, entropy, classes_in(result), activity_of(result))


@dataclass(frozen=True)
class WorstFirst(Question):
    """Ask which pictures of the gallery a network does worst on, by IoU if there is ground truth, else by entropy.

    Pictures without ground truth are left out where others have it.

    Args:
        network: its name.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Worst:
        """Go through all of them, as :class:`Judge` does.

        Raises:
            InputError: one of them cannot be used, or the network is a classifier.
        """
        names = bench.answer(Pictures()).names
        judged: list[Judged] = []
        for done, name in enumerate(names):
            bench.check()
            bench.report(done, len(names))
            judged.append(bench.answer(Judge(self.network, name, self.size, self.step)))
        masked = any(one.iou is not None for one in judged)
        scores = [(one.iou if masked else -one.entropy, one) for one in judged]
        order = sorted(((score, one) for score, one in scores if score is not None), key=lambda pair: pair[0])
        pictures = tuple(Scored(one.name, abs(score), one.shares) for score, one in order)
        return Worst(masked, pictures, telling_of([one.activity for _, one in order]))
