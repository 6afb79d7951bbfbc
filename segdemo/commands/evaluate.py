"""The command ``evaluate``: scores of a network on an archive of pictures with masks."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo.commands.files import UNTRAINED, print_table, segmenter_for
from segdemo.commands.options import add_device, add_network, add_side, positive
from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.class_maps import ClassMap
    from segdemo.evaluation import Scores
    from segdemo.segmenter import Segmenter

HELP = "score a network on pictures with masks"
DESCRIPTION = "Score a network on an archive of pictures with masks."
MAPS = """\
The archive holds images/<id>.webp and masks/<id>.png: a palette or grey picture with one class index per pixel, 255
where nothing is to be scored.

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
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the scores of a network on an archive, or of a classifier on labelled pictures."""
    from segdemo.class_maps import read_map
    from segdemo.evaluation import evaluate, evaluate_labelled
    from segdemo.predictions import Predictor

    segmenter = segmenter_for(arguments.network, arguments.side, None, arguments.device, arguments.precision)
    precision = segmenter.precision
    spec = segmenter.spec
    classifies = spec.task == "classification"
    if classifies and arguments.map:
        raise InputError(
            "map_for_classifier",
            "--map is for networks that segment; {network} classifies, and its folders are named as its classes "
            "are. Leave --map out.",
            network=spec.name,
        )
    mapping = read_map(arguments.map) if arguments.map else None
    if not classifies:
        _say_how_classes_are_read(segmenter, mapping)
    if precision != "float32":
        print(f"Computed in {precision}, wherever PyTorch thinks it safe", file=sys.stderr)
    predictor = Predictor(segmenter.network, spec, arguments.side, precision=precision)
    with tqdm(unit="picture", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        if classifies:
            scores = evaluate_labelled(predictor, arguments.data, arguments.limit, progress)
        else:
            say = partial(tqdm.write, file=sys.stderr)  # beside the bar, on a line of its own
            scores = evaluate(predictor, arguments.data, mapping, arguments.limit, progress, say)
    if arguments.json:
        content = _facts(scores, classifies=classifies)
        content |= {} if precision == "float32" else {"precision": precision}
        print(json.dumps(content if segmenter.trained or classifies else content | {"trained": False}, indent=1))
    else:
        _print_table(scores, spec.title, classifies=classifies)
    return 0


def _facts(scores: Scores, *, classifies: bool) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    if classifies:
        return {"accuracy": scores.accuracy, "recall": scores.recall, "pictures": scores.pictures}
    return {
        "miou": scores.miou,
        "iou": scores.iou,
        "pixel_accuracy": scores.accuracy,
        "pictures": scores.pictures,
    }


def _print_table(scores: Scores, title: str, *, classifies: bool) -> None:
    """Print the scores by class and over all, for a person."""
    by_class = scores.recall if classifies else scores.iou
    rows = [[name, "-" if share is None else f"{share:.4f}"] for name, share in by_class.items()]
    accuracy = f"{scores.accuracy:.4f}"
    if classifies:
        print_table([["class", "recall"], *rows, ["accuracy", accuracy]])
        print(f"{title}, {scores.pictures} pictures")
    else:
        print_table([["class", "IoU"], *rows, ["mean", f"{scores.miou:.4f}"], ["pixel accuracy", accuracy]])
        print(f"{title}, {scores.pictures} pictures; - neither occurs nor is predicted")


def _say_how_classes_are_read(segmenter: Segmenter, mapping: ClassMap | None) -> None:
    """Say on stderr in which order the archive's classes are taken to be, and whether the scores mean anything."""
    classes = mapping.classes if mapping else segmenter.classes
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
    source = "the class map's" if mapping else "the network's own, for want of a --map"
    print(f"Classes of the archive are {source}: {listed}", file=sys.stderr)
    if not segmenter.trained:
        print(f"{segmenter.spec.title} is {UNTRAINED}", file=sys.stderr)
