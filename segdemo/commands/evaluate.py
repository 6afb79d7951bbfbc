"""The command ``evaluate``: scores of a network on an archive of pictures with masks."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from functools import partial
from typing import Any

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import classification
from segdemo.commands.files import UNTRAINED, print_table, segmenter_for
from segdemo.errors import InputError
from segdemo.evaluation import ClassMap, evaluate, read_map
from segdemo.segmenter import Segmenter


def score(arguments: Namespace) -> int:
    """Print the scores of a network on an archive, or of a classifier on labelled pictures."""
    segmenter = segmenter_for(arguments)
    if segmenter.spec.task == "classification":
        if arguments.map:
            raise InputError(
                "map_for_classifier",
                "--map is for networks that segment; {network} classifies, and its folders are named as its classes "
                "are. Leave --map out.",
                network=segmenter.spec.name,
            )
        return _score_classifier(segmenter, arguments)
    mapping = read_map(arguments.map) if arguments.map else None
    _say_how_classes_are_read(segmenter, mapping)
    with tqdm(unit="picture", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        say = partial(tqdm.write, file=sys.stderr)  # beside the bar, on a line of its own
        scores = evaluate(_AtSide(segmenter, arguments.side), arguments.data, mapping, arguments.limit, progress, say)
    if arguments.json:
        content: dict[str, Any] = {
            "miou": scores.miou,
            "iou": scores.iou,
            "pixel_accuracy": scores.pixel_accuracy,
            "pictures": scores.pictures,
        }
        print(json.dumps(content if segmenter.trained else content | {"trained": False}, indent=1))
        return 0
    rows = [[name, "-" if iou is None else f"{iou:.4f}"] for name, iou in scores.iou.items()]
    accuracy = f"{scores.pixel_accuracy:.4f}"
    print_table([["class", "IoU"], *rows, ["mean", f"{scores.miou:.4f}"], ["pixel accuracy", accuracy]])
    print(f"{segmenter.spec.title}, {scores.pictures} pictures; - neither occurs nor is predicted")
    return 0


def _score_classifier(classifier: Segmenter, arguments: Namespace) -> int:
    """Print how often a classifier is right."""
    with tqdm(unit="picture", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        scores = classification.evaluate(classifier, arguments.data, arguments.limit, progress)
    if arguments.json:
        content = {"accuracy": scores.accuracy, "recall": scores.recall, "pictures": scores.pictures}
        print(json.dumps(content, indent=1))
        return 0
    rows = [[name, "-" if recall is None else f"{recall:.4f}"] for name, recall in scores.recall.items()]
    print_table([["class", "recall"], *rows, ["accuracy", f"{scores.accuracy:.4f}"]])
    print(f"{classifier.spec.title}, {scores.pictures} pictures")
    return 0


class _AtSide:
    """A segmenter that always works at one size."""

    def __init__(self, segmenter: Segmenter, side: int | None) -> None:
        self.classes = segmenter.classes
        self._segmenter = segmenter
        self._side = side

    def run(self, picture: Image.Image) -> Any:
        """Segment a picture at that size."""
        return self._segmenter.run(picture, self._side)


def _say_how_classes_are_read(segmenter: Segmenter, mapping: ClassMap | None) -> None:
    """Say on stderr in which order the archive's classes are taken to be, and whether the scores mean anything."""
    classes = mapping.classes if mapping else segmenter.classes
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
    source = "the class map's" if mapping else "the network's own, for want of a --map"
    print(f"Classes of the archive are {source}: {listed}", file=sys.stderr)
    if not segmenter.trained:
        print(f"{segmenter.spec.title} is {UNTRAINED}", file=sys.stderr)
