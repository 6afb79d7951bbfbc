"""The command ``evaluate``: scores of a network on an archive of pictures with masks."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo.commands.files import UNTRAINED, print_table, segmenter_for
from segdemo.commands.options import add_network, add_side, positive
from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.evaluation import ClassMap
    from segdemo.segmenter import Segmenter

HELP = "score a network on pictures with masks"
DESCRIPTION = "Score a network on an archive of pictures with masks."
MAPS = """\
The archive holds images/<id>.webp and masks/<id>.png: a palette or grey picture with one class index per pixel, 255
where nothing is to be judged.

An archive numbers its classes but does not name them. Without --map its classes are the network's own, in the same
order. With --map CLASSES.json, names of the network's classes become names of the archive's; classes that the map does
not speak of become the background. The file holds the archive's classes in index order and the map:
  {"classes": ["background", "vehicle"], "map": {"car": "vehicle", "bus": "vehicle"}}
or the map alone, when it speaks of one of these lists:
  background, person, cat, dog, horse, cow, sheep
  background, salient foreground
  background, foreground

A network that classifies, lenet, takes a folder that holds a folder of pictures for each class, or the word digits:
the fifth of scikit-learn's digits that it was never shown.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo evaluate`` takes."""
    parser.description, parser.epilog = DESCRIPTION, MAPS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_network(parser)
    parser.add_argument("--data", required=True, metavar="ZIP", help="the archive, see below")
    parser.add_argument("--map", metavar="CLASSES.json", help="from the network's classes to the archive's")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="judge only N pictures, spread evenly over the archive"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: miou, iou by class, pixel_accuracy, pictures")
    add_side(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the scores of a network on an archive, or of a classifier on labelled pictures."""
    from segdemo.evaluation import evaluate, read_map

    segmenter = segmenter_for(arguments.network, arguments.side)
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


def _score_classifier(classifier: Segmenter, arguments: argparse.Namespace) -> int:
    """Print how often a classifier is right."""
    from segdemo import classification

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
