"""Where a linear read-out of a stage first says what the network decides in the end.

For each stage, a linear classifier is fitted on this picture alone: from the stage's channels to the network's own
final classes. Half of the picture's blocks, as on a chessboard, are for fitting; the other half, with the pixel asked
about in it, shows whether the read-out holds. The same with shuffled labels shows what is chance.

What it cannot say: a class that can be read out of a stage need not be what later stages read out of it; and a value of
a deep stage sees beyond its block, so that the halves are not independent.

Source: Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes",
    https://arxiv.org/abs/1610.01644
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.explain.autopsy import as_laid_out, check_point
from segdemo.explain.follow import keys_of
from segdemo.images import Placement
from segdemo.outputs import forwarding
from segdemo.questions import Run
from segdemo.results import Result
from segdemo.summaries import as_maps

BLOCKS = 8  # along the longest side of the picture
PLACES = 64  # looked at along the longest side of the picture
RIDGE = 1e-2  # weight of the penalty, for standardised channels and weights of mean 1
SHUFFLES = 5  # of the labels, for what is chance
APART = 0.1  # by which a read-out has to be better than one of shuffled labels, else it says nothing


@dataclass(frozen=True)
class StageReadout:
    """What a linear read-out of one stage says.

    Args:
        label: of the stage.
        layer: its dotted name.
        agreement: with the network's decision, over the half it was not fitted on, mean over classes, in [0, 1].
        chance: the same of read-outs fitted on shuffled labels, mean over several.
        says: name of the class that it gives the pixel; None where it is hardly better than chance.
    """

    label: str
    layer: str
    agreement: float
    chance: float
    says: str | None


@dataclass(frozen=True)
class Readout:
    """What linear read-outs of the stages say of one pixel.

    Args:
        point: (x, y) in the picture.
        winner: name of the class that the network gives the pixel.
        stages: in figure order; those that put out no maps are left out.
        fitted: places of the picture that each was fitted on…
        held: …and those that show whether it holds.
        first: label of the stage from which on all say the winner; None where not even the last does.
    """

    point: tuple[int, int]
    winner: str
    stages: tuple[StageReadout, ...]
    fitted: int
    held: int
    first: str | None


@dataclass(frozen=True)
class LinearReadout(Question):
    """Ask from which stage on a linear read-out says what the network decides at a pixel.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        point: (x, y) of the pixel in the picture.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    point: tuple[int, int]
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Readout:
        """Run the network once, then fit read-outs for each stage.

        Raises:
            InputError: ``point_outside``; ``readout_classifier``; ``readout_classes``: too little of the picture is of
                the pixel's class, or of any other.
        """
        if self.size is None:
            return bench.answer(replace(self, size=bench.size))
        check_point(self.point, bench.picture.size)
        result: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        if result.task != "segmentation" or min(result.logits.shape[1:]) < 2:
            raise InputError(
                "readout_classifier",
                "{network} gives no class to each pixel, so there is nothing to fit a read-out on. Choose a network "
                "that segments.",
                network=bench.spec.title,
            )
        places = places_of(result.size, self.point)
        labels = np.array([result.class_at((x, y)) for x, y in places])
        fitting = ~same_half(places, result.size, self.point)
        known = [index for index in np.unique(labels) if _in_both(labels == index, fitting)]
        winner = result.class_at(self.point)
        if winner not in known or len(known) < 2:
            raise InputError(
                "readout_classes",
                "A read-out needs “{name}” and another class in several parts of the picture, and this mask has too "
                "little of them. Point at a larger object, or take another picture.",
                name=result.names[winner],
            )
        taken = np.isin(labels, known)
        taken[0] = True  # the pixel itself
        stages = []
        for label, layer, values in _activations(bench, places[taken], result.placement):
            told = read_out(values, np.searchsorted(known, labels[taken]), fitting[taken])
            name = result.names[int(known[told[2]])] if told[0] - told[1] >= APART else None
            stages.append(StageReadout(label, layer, told[0], told[1], name))
        name = result.names[winner]
        return Readout(
            self.point,
            name,
            tuple(stages),
            int(fitting[taken].sum()),
            int((~fitting[taken]).sum()),
            first(stages, name),
        )


def places_of(size: tuple[int, int], point: tuple[int, int]) -> np.ndarray:
    """Return the pixels looked at, (N, 2) as (x, y), in a regular grid, the one asked about first.

    Args:
        size: (width, height) of the picture.
        point: (x, y) of the one asked about.
    """
    step = max(max(size) / PLACES, 1.0)
    axes = [((np.arange(max(int(side / step), 1)) + 0.5) * step).astype(int).clip(0, side - 1) for side in size]
    columns, rows = np.meshgrid(*axes)
    return np.concatenate([[point], np.stack([columns.ravel(), rows.ravel()], 1)])


def same_half(places: np.ndarray, size: tuple[int, int], point: tuple[int, int]) -> np.ndarray:
    """Return which places lie in the half of the blocks that a pixel lies in, as on a chessboard, (N,) bool."""
    block = max(max(size) / BLOCKS, 1.0)
    colour = (places // block).sum(1) % 2
    return np.asarray(colour == (np.array(point) // block).sum() % 2)


def read_out(values: np.ndarray, labels: np.ndarray, fitting: np.ndarray, seed: int = 0) -> tuple[float, float, int]:
    """Fit a linear read-out, and some of shuffled labels.

    Args:
        values: (N, C), what a stage put out at N places; the first is the pixel asked about.
        labels: (N,) of 0 … K−1.
        fitting: (N,) bool, which are fitted on.
        seed: of the shuffling.

    Returns:
        Agreement with the labels where it was not fitted, the same after shuffling, and the label of the first place.
    """
    usable = values.astype(np.float64)
    usable = np.where(np.isfinite(usable), usable, 0)
    mean, spread = usable[fitting].mean(0), usable[fitting].std(0)
    inputs = np.where(spread > 0, (usable - mean) / np.where(spread > 0, spread, 1), 0)
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], 1)
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(labels[fitting]) for _ in range(SHUFFLES)]
    said = _fitted(inputs, [labels[fitting], *shuffled], fitting)
    agreements = [agreement_of(one[~fitting], labels[~fitting]) for one in said]
    return agreements[0], float(np.mean(agreements[1:])), int(said[0][0])


def agreement_of(said: np.ndarray, labels: np.ndarray) -> float:
    """Return how much of each class is said to be of it, mean over classes, in [0, 1]."""
    return float(np.mean([(said[labels == label] == label).mean() for label in np.unique(labels)]))


def first(stages: list[StageReadout], winner: str) -> str | None:
    """Return the label of the stage from which on all read-outs say the winner, None where the last does not."""
    found = None
    for stage in reversed(stages):
        if stage.says != winner:
            break
        found = stage.label
    return found


def _in_both(there: np.ndarray, fitting: np.ndarray) -> bool:
    """Whether a class is found where a read-out is fitted and where it is held against the network."""
    return int((there & fitting).sum()) >= 4 and int((there & ~fitting)[1:].sum()) >= 4


def _fitted(inputs: np.ndarray, targets: list[np.ndarray], fitting: np.ndarray) -> list[np.ndarray]:
    """Fit least squares with a penalty, all classes weighing the same, and return the label of every place."""
    said = []
    used = inputs[fitting]
    penalty = RIDGE * len(used) * np.eye(inputs.shape[1])
    penalty[-1, -1] = 0
    for labels in targets:
        counts = np.bincount(labels)
        weights = (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels][:, None]
        wanted = np.eye(len(counts))[labels]
        solved = np.linalg.solve(used.T @ (weights * used) + penalty, used.T @ (weights * wanted))
        said.append((inputs @ solved).argmax(1))
    return said


def _activations(bench: Bench, places: np.ndarray, placement: Placement) -> list[tuple[str, str, np.ndarray]]:
    """Return label, layer and values (N, C) of every stage that puts out maps, at places of the picture."""
    labels = {stage.layer: stage.label for stage in bench.spec.stages}
    keys = keys_of(bench.module, labels)

    def taken(tensor: Tensor) -> np.ndarray | None:
        maps = as_maps(as_laid_out(bench, tensor))
        if min(maps.shape[1:]) < 2:
            return None
        size = maps.shape[2], maps.shape[1]
        columns, rows = zip(*(placement.cell_at((int(x), int(y)), size) for x, y in places), strict=True)
        return maps[:, list(rows), list(columns)].T.float().cpu().numpy()

    with (
        capture(bench.module, [key.name for key in keys], reduce=taken, before=bench.check) as seen,
        forwarding(bench.module, bench.batch, bench.spec.title),
        torch.no_grad(),
    ):
        bench.module(bench.batch)
    values = {keys[key]: seen[spoken] for spoken, key in seen._spoken.items() if key in keys}
    there = ((label, layer, values.get(layer)) for layer, label in labels.items())
    return [(label, layer, found) for label, layer, found in there if found is not None]
