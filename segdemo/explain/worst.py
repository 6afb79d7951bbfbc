"""Many pictures, the worst first, and the channels that tell the failing ones from the good ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segdemo.archives import IGNORED, Archive, to_stderr
from segdemo.class_maps import ClassMap, index_table
from segdemo.engine import Engine, ShouldContinue, always
from segdemo.errors import InputError
from segdemo.evaluation import Evaluator, survey
from segdemo.questions import Run, facts_of
from segdemo.results import Result

Progress = Callable[[int, int], object]
PART = 3  # a third of the pictures is called failing, a third good
NAMED = 10  # channels


@dataclass(frozen=True)
class Scored:
    """One picture with its score.

    Args:
        name: of its file.
        score: its mean IoU over the classes that it has or was given, 0 to 1; without masks the mean entropy, bits.
        shares: name of each class in the mask with its share, in percent, largest first.
    """

    name: str
    score: float
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Telling:
    """A channel whose activity differs between failing and good pictures.

    Args:
        stage: its label.
        channel: its number.
        apart: mean absolute activation in failing pictures less that in good ones, in standard deviations over all of
            these pictures, from -2 to 2.
    """

    stage: str
    channel: int
    apart: float


@dataclass(frozen=True)
class Worst:
    """Many pictures, the worst first.

    Args:
        masked: whether the score is an IoU, of which little is bad, or an entropy, of which much is.
        pictures: the worst first.
        telling: the channels that tell the failing third from the good third, most telling first; empty with fewer
            than six pictures.
    """

    masked: bool
    pictures: tuple[Scored, ...]
    telling: tuple[Telling, ...]


def worst_first(
    engine: Engine,
    network: str,
    data: str | Path,
    *,
    masked: bool = True,
    mapping: ClassMap | None = None,
    size: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], object] = to_stderr,
    should_continue: ShouldContinue = always,
) -> Worst:
    """Run a network on every picture of an archive or a folder, and sort them.

    Args:
        engine: whom to ask.
        network: its name.
        data: path of a zip file, or of a folder, with ``images`` and ``masks``.
        masked: False where there are no masks: then pictures are sorted by the entropy of what the network says.
        mapping: needed when the archive has other classes than the network.
        size: input size in pixels; None takes the network's own.
        limit: take only this many pictures, spread evenly.
        progress: called after each picture with the number done and the number there is to do.
        say: called with a sentence wherever masks are understood in a way that a person may not expect.
        should_continue: False stops before the next layer.

    Raises:
        InputError: the archive or one of its files cannot be used, or the network is a classifier.
        Cancelled: ``should_continue`` said False.
    """
    facts = facts_of(engine, network)
    refuse_classifier(facts.task, facts.title)
    mapping = mapping or ClassMap(facts.names, {name: name for name in facts.names})
    table = index_table(facts.names, mapping)
    scored: list[Scored] = []
    activity: list[dict[str, np.ndarray]] = []
    with Archive(data, masked=masked) as file:
        pairs = file.some_pairs(limit)
        for name, picture, truth in _read(file, pairs, mapping, Path(data).name, say, masked=masked):
            result: Result = engine.answer(Run(network, engine.keep(picture), size), should_continue)
            score = (
                float(result.entropy.mean()) if truth is None else iou_of(truth, table[result.mask], mapping.classes)
            )
            scored.append(Scored(name, score, classes_in(result)))
            activity.append(activity_of(result))
            if progress:
                progress(len(scored), len(pairs))
    order = sorted(range(len(scored)), key=lambda index: scored[index].score if masked else -scored[index].score)
    return Worst(masked, tuple(scored[index] for index in order), telling_of([activity[index] for index in order]))


def refuse_classifier(task: str, title: str) -> None:
    """Refuse a network that has no mask to score.

    Raises:
        InputError: ``worst_classifier``.
    """
    if task == "classification":
        raise InputError(
            "worst_classifier",
            "{network} gives one answer for a whole picture, so there is no mask to score. Choose a network that "
            "segments.",
            network=title,
        )


def classes_in(result: Result) -> tuple[tuple[str, float], ...]:
    """Return the name of each class in a mask with its share, largest first."""
    return tuple(
        sorted(((one.name, one.percent) for one in result.classes if one.percent > 0), key=lambda one: -one[1])
    )


def activity_of(result: Result) -> dict[str, np.ndarray]:
    """Return the mean absolute activation of each channel, by the label of its stage."""
    return {label: layer.channels.mean_abs.copy() for label, layer in result.layers.items()}


def _read(
    file: Archive,
    pairs: list[tuple[str, str]],
    mapping: ClassMap,
    archive: str,
    say: Callable[[str], object],
    *,
    masked: bool,
) -> Iterator[tuple[str, Image.Image, np.ndarray | None]]:
    if not masked:
        yield from ((pair[0], file.picture(pair[0]), None) for pair in pairs)
        return
    reading = survey(file, pairs, len(mapping.classes))
    for note in reading.notes(archive):
        say(note)
    for pair in pairs:
        yield pair[0], *file.read(pair, reading)


def iou_of(truth: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> float:
    """Return the mean IoU of one picture, over the classes that it has or was given; 1 where nothing is to be scored.

    Args:
        truth: (H, W), 255 where nothing is to be scored.
        predicted: (H, W).
        classes: names, in index order.
    """
    if not (truth != IGNORED).any():
        return 1.0
    evaluator = Evaluator(classes)
    evaluator.add(truth, predicted)
    return evaluator.scores().miou


def telling_of(activity: list[dict[str, np.ndarray]]) -> tuple[Telling, ...]:
    """Return the channels that tell the first third of pictures from the last.

    Args:
        activity: of each picture, the worst first: label of a stage → mean absolute activation of each channel.
    """
    part = len(activity) // PART
    if part < 2:
        return ()
    found = []
    for label in activity[0]:
        bad, good = (
            np.stack([one[label] for one in some]).astype(np.float64) for some in (activity[:part], activity[-part:])
        )
        spread = np.concatenate([bad, good]).std(0)  # of all: that of near-equal pictures would say nothing
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.where(spread > 0, (bad.mean(0) - good.mean(0)) / spread, 0)
        found += [Telling(label, channel, float(value)) for channel, value in enumerate(apart) if np.isfinite(value)]
    return tuple(sorted(found, key=lambda one: -abs(one.apart))[:NAMED])
