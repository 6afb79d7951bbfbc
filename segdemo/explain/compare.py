"""Two runs side by side: where their masks disagree, what each class takes, and how alike their stages are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from segdemo.activations import capture
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.questions import Run
from segdemo.results import Result

GRID = 24  # places along each side at which stages are compared


@dataclass(frozen=True)
class StageSamples(Question):
    """Take what every stage puts out at the same places of the picture.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
        turned: by how many degrees the picture was turned anticlockwise: places go along, and those that come to lie
            outside give what is at the border.
    """

    network: str
    picture: str
    size: int | None = None
    step: int | None = None
    turned: float = 0.0

    def answer(self, bench: Bench) -> dict[str, np.ndarray]:
        """Return label → (places, channels) float32, for the stages that put out maps."""
        width, height = bench.placement.valid
        middles = (np.arange(GRID) + 0.5) / GRID  # of equal parts
        y, x = np.meshgrid(middles, middles, indexing="ij")
        places = _turned(x, y, bench.placement.picture_size, self.turned)
        at = torch.from_numpy(np.stack([places[0] * width, places[1] * height], -1)).float() * 2 - 1

        def sample(tensor: Tensor) -> Tensor | None:
            if tensor.dim() != 4:
                return None
            grid = at[None].to(tensor.device)
            found = F.grid_sample(tensor.float(), grid, align_corners=False, padding_mode="border")
            return found[0].flatten(1).T.contiguous().cpu()

        layers = {stage.layer: stage.label for stage in bench.spec.stages}
        with capture(bench.module, layers, reduce=sample, before=bench.check) as seen:
            bench.module(bench.batch)
        return {label: seen[layer].numpy() for layer, label in layers.items() if seen[layer] is not None}


@dataclass(frozen=True)
class Compare(Question):
    """Put two runs side by side: of two networks, of two steps of one, or of one on two pictures.

    Args:
        left: one run.
        right: the other.
        turned: by how many degrees the right picture is turned anticlockwise against the left one: its mask is turned
            back before they are compared.
    """

    left: Run
    right: Run
    turned: float = 0.0

    def answer(self, bench: Bench) -> Comparison:
        """Ask for both runs, and compare them.

        Raises:
            InputError: ``nothing_in_common``: the networks share no class.
        """
        left, right = (bench.answer(run) for run in (self.left, self.right))
        pair = (bench.spec_of(self.left.network), bench.spec_of(self.right.network))
        common = [name for name in pair[0].names if name in pair[1].names]
        if not common:
            raise InputError(
                "nothing_in_common",
                "{left} and {right} have no class in common, so their masks cannot be compared. Choose two networks "
                "that tell the same things apart.",
                left=pair[0].title,
                right=pair[1].title,
            )
        mask, compared = turned_back(right.at(left.size).mask, self.turned)
        samples = [
            bench.answer(StageSamples(run.network, run.picture, run.size, run.step, turned))
            for run, turned in ((self.left, 0.0), (self.right, self.turned))
        ]
        return Comparison(
            left=left,
            right=right,
            disagreement=(_named(left, left.mask) != _named(right, mask)) & compared,
            compared=compared,
            common=tuple(common),
            stages=(tuple(samples[0]), tuple(samples[1])),
            likeness=likeness(samples[0], samples[1]),
        )


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Args:
        left: one result.
        right: the other.
        disagreement: (H, W) bool in the left picture's size, the right mask laid over it: pixels whose classes have
            other names.
        compared: (H, W) bool, the pixels that both pictures have: all, unless one is turned.
        common: names of the classes that both networks know.
        stages: labels of the stages of either that put out maps.
        likeness: (left stages, right stages) float64, linear CKA in [0, 1]; NaN where a stage is even.
    """

    left: Result
    right: Result
    disagreement: np.ndarray
    compared: np.ndarray
    common: tuple[str, ...]
    stages: tuple[tuple[str, ...], tuple[str, ...]]
    likeness: np.ndarray

    @property
    def percent(self) -> float:
        """Share of the pixels compared that disagree, in [0, 100]."""
        return 100 * float(self.disagreement.sum() / max(1, self.compared.sum()))

    @property
    def matched(self) -> tuple[tuple[str, str, float], ...]:
        """Each left stage with the right stage that is most like it, and how much."""
        rows = np.nan_to_num(self.likeness, nan=-1.0)
        best = rows.argmax(1) if rows.size else []
        return tuple(
            (label, self.stages[1][column], float(self.likeness[row, column]))
            for row, (label, column) in enumerate(zip(self.stages[0], best, strict=True))
        )

    @property
    def shares(self) -> tuple[tuple[str, float | None, float | None], ...]:
        """Name of each class with its share in either, in percent; None where the network does not know it."""
        one, other = ({share.name: share.percent for share in result.classes} for result in (self.left, self.right))
        return tuple((name, one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other]))


def _named(result: Result, mask: np.ndarray) -> np.ndarray:
    """Return a mask with the names of the classes."""
    return np.array(result.names)[mask]


def turned_back(mask: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn a map back that belongs to a picture that was turned anticlockwise about its middle.

    Args:
        mask: (H, W).
        degrees: by how many the picture was turned.

    Returns:
        The map as the picture lay before, (H, W), and (H, W) bool, where there is something of it.
    """
    height, width = mask.shape
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    right, down = _turned(x, y, (width, height), degrees)
    inside = (right >= 0) & (right < 1) & (down >= 0) & (down < 1)
    rows, columns = (np.clip(at * side, 0, side - 1).astype(int) for at, side in ((down, height), (right, width)))
    return mask[rows, columns], inside


def _turned(x: np.ndarray, y: np.ndarray, size: tuple[int, int], degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where places come to lie when a picture is turned anticlockwise; all as shares of its sides."""
    if not degrees:
        return x, y
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    right, down = (x - 0.5) * size[0], (y - 0.5) * size[1]
    return (cosine * right + sine * down) / size[0] + 0.5, (cosine * down - sine * right) / size[1] + 0.5


def likeness(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> np.ndarray:
    """Return the linear CKA of every stage with every other.

    Args:
        left: label → (places, channels).
        right: likewise, of the same places.
    """
    return np.array([[linear_cka(one, other) for other in right.values()] for one in left.values()])


def linear_cka(one: np.ndarray, other: np.ndarray) -> float:
    """Return linear centred kernel alignment: 1 where one is a rotation and scaling of the other; NaN where even.

    Args:
        one: (n, p), n examples.
        other: (n, q), the same examples.

    Source: Kornblith, Norouzi, Lee and Hinton 2019, https://arxiv.org/abs/1905.00414
    """
    x, y = (values.astype(np.float64) - values.mean(0, dtype=np.float64) for values in (one, other))
    if x.shape[1] > len(x) or y.shape[1] > len(y):  # by the smaller products
        k, m = x @ x.T, y @ y.T
        between, of_one, of_other = (k * m).sum(), np.linalg.norm(k), np.linalg.norm(m)
    else:
        between = np.linalg.norm(y.T @ x) ** 2
        of_one, of_other = np.linalg.norm(x.T @ x), np.linalg.norm(y.T @ y)
    return float(between / (of_one * of_other)) if of_one > 0 and of_other > 0 else float("nan")


ANGLE = 30.0  # degrees that a picture is turned anticlockwise at most
ALTERATIONS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "blurred": lambda picture, amount: picture.filter(ImageFilter.GaussianBlur(amount * max(picture.size) / 50)),
    "darkened": lambda picture, amount: ImageEnhance.Brightness(picture).enhance(1 - amount),
    "rotated": lambda picture, amount: picture.rotate(ANGLE * amount, Image.Resampling.BICUBIC),
    "noisy": lambda picture, amount: _noisy(picture, 64 * amount),
}


def altered(picture: Image.Image, how: str, amount: float = 0.5) -> Image.Image:
    """Return a picture blurred, darkened, rotated or noisy, to see how a network takes it.

    Args:
        picture: PIL, RGB.
        how: a key of ``ALTERATIONS``.
        amount: in [0, 1]; 0 leaves it as it is, 1 blurs it with a deviation of a fiftieth of its longer side, makes it
            black, turns it by ``ANGLE``, or adds normal noise with a deviation of 64 of 255.

    Raises:
        InputError: ``unknown_alteration``, ``alteration_amount``.
    """
    if how not in ALTERATIONS:
        raise InputError(
            "unknown_alteration",
            "A picture can be {known}, and {came} came. Give one of these.",
            known=", ".join(ALTERATIONS),
            came=repr(how),
        )
    if not 0 <= amount <= 1:  # also refuses what is no number
        raise InputError(
            "alteration_amount",
            "A picture is altered by an amount from 0 to 1, and {came} came. Give one between.",
            came=amount,
        )
    return ALTERATIONS[how](picture, amount) if amount else picture


def _noisy(picture: Image.Image, deviation: float) -> Image.Image:
    pixels = np.asarray(picture, np.float64)
    noise = np.random.default_rng(0).normal(0, deviation, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).round().astype(np.uint8))
