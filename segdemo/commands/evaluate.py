"""The command ``evaluate``: scores of a network on an archive of pictures with masks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo.commands.ahead import Work, outcomes_of
from segdemo.commands.files import UNTRAINED, print_table, say, segmenter_for
from segdemo.commands.options import add_device, add_engine, add_network, add_report, add_side, positive
from segdemo.commands.rows import report
from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.archives import Pair
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

With --report, a file that cannot be read is a row of the report and left out of the scores; without, it ends the
command. The report has the IoU of each class in each picture, or the probabilities that a classifier gives.
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
    add_report(parser)
    add_engine(parser)
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the scores of a network on an archive, or of a classifier on labelled pictures."""
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
    if precision != "float32":
        print(f"Computed in {precision}, wherever PyTorch thinks it safe", file=sys.stderr)
    scores, broken = _labelled(segmenter, arguments) if classifies else _masks(segmenter, arguments)
    if arguments.json:
        content = _facts(scores, classifies=classifies)
        content |= {} if precision == "float32" else {"precision": precision}
        print(json.dumps(content if segmenter.trained or classifies else content | {"trained": False}, indent=1))
    else:
        _print_table(scores, spec.title, classifies=classifies)
    return 2 if broken else 0


def _masks(segmenter: Segmenter, arguments: argparse.Namespace) -> tuple[Scores, int]:
    """Score masks; what cannot be read ends it, unless there is a report to say so in."""
    from segdemo.archives import Archive
    from segdemo.class_maps import read_map
    from segdemo.commands.scoring import Asked, Masks
    from segdemo.evaluation import settled

    mapping = read_map(arguments.map) if arguments.map else None
    _say_how_classes_are_read(segmenter, mapping)
    aside: dict[Pair, InputError] | None = {} if arguments.report else None
    with Archive(arguments.data) as file:
        task = settled(segmenter.classes, file, mapping, arguments.limit, partial(say, error=True), broken=aside)
    asked = Asked(segmenter.spec.name, arguments.side, arguments.device, arguments.precision)
    make = partial(Masks, asked, arguments.data, task.reading, task.table, task.classes)
    items = {pair: pair[0] for pair in task.pairs}
    return _scores(make, items, task.broken, task.classes, arguments)


def _labelled(segmenter: Segmenter, arguments: argparse.Namespace) -> tuple[Scores, int]:
    """Score the answers of a classifier."""
    from segdemo import labelled
    from segdemo.commands.scoring import Answers, Asked, name_of

    pictures = labelled.read(arguments.data, segmenter.classes, arguments.limit)
    asked = Asked(segmenter.spec.name, arguments.side, arguments.device, arguments.precision)
    classes = segmenter.classes
    make = partial(Answers, asked, arguments.data, arguments.limit, classes)
    items = {number: name_of(picture, number) for number, (picture, _) in enumerate(pictures)}
    return _scores(make, items, {}, classes, arguments)


def _scores(
    make: Callable[[], Work],
    items: Mapping[Any, str],
    broken: Mapping[Any, InputError],
    classes: tuple[str, ...],
    arguments: argparse.Namespace,
) -> tuple[Scores, int]:
    """Work through all pictures, and return the scores and how many pictures could not be read.

    Args:
        make: makes the work.
        items: what it is given → name of the picture, in order.
        broken: of them, what is known to be unreadable.
        classes: names, in index order.
        arguments: of the command.

    Raises:
        InputError: a picture cannot be read, and no report was asked for.
    """
    from segdemo.evaluation import Evaluator

    evaluator, failed = Evaluator(classes), 0
    good = [item for item in items if item not in broken]
    outcomes = outcomes_of(make, good, arguments.engine)
    bar = tqdm(total=len(items), disable=sys.stderr is None, unit="picture", file=sys.stderr)
    with bar, report(arguments.report, classes) as table, closing(outcomes):
        for item, name in items.items():
            outcome = broken[item] if item in broken else next(outcomes)
            if isinstance(outcome, InputError):
                if not arguments.report:
                    raise outcome
                failed += 1
                say(f"segdemo: {outcome}", error=True)
                table({"picture": name, "error": str(outcome)})
            else:
                evaluator.take(outcome[0])
                table(outcome[1])
            bar.update()
    return evaluator.scores(), failed


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
