"""Picture ⇄ batch: the working size, padding and its exact undoing, normalisation."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from segdemo.encoded import FORMATS, MAX_PIXELS, MAX_SIDE
from segdemo.errors import InputError
from segdemo.networks.network import Preprocessing
from segdemo.pictures import PictureSource, Read, load_picture, read_picture

__all__ = [  # a picture is read in pictures.py; most who make a batch of one read it first
    "FORMATS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MAX_WORKING_SIDE",
    "PictureSource",
    "Placement",
    "Read",
    "check_input_size",
    "load_picture",
    "place",
    "read_picture",
    "to_batch",
    "to_picture",
]

MAX_WORKING_SIDE = 1024  # pixels; what two cores still do in seconds


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in its batch: at the top left, the rest is padding.

    Args:
        picture_size: (width, height) of the picture, pixels.
        resized: (width, height) it has inside the batch, pixels.
        padded: (width, height) of the batch, pixels.
    """

    picture_size: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]

    @property
    def valid(self) -> tuple[float, float]:
        """Shares (of the width, of the height) of the batch that the picture fills, in (0, 1]."""
        return self.resized[0] / self.padded[0], self.resized[1] / self.padded[1]

    def cell_at(self, point: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Return which value of a map lies over a pixel of the picture.

        Args:
            point: (x, y) of the pixel, in the picture.
            size: (width, height) of the map, which spans the batch, padding included.

        Returns:
            (column, row) in the map.
        """
        column, row = (
            int((place + 0.5) * part / whole * cells / batch)
            for place, whole, part, batch, cells in zip(
                point, self.picture_size, self.resized, self.padded, size, strict=True
            )
        )
        return min(column, size[0] - 1), min(row, size[1] - 1)

    def point_at(self, cell: tuple[int, int], size: tuple[int, int]) -> tuple[int, int] | None:
        """Return the pixel of the picture under the middle of a map's value, None where that is padding.

        Args:
            cell: (column, row) in the map.
            size: (width, height) of the map, which spans the batch, padding included.

        Returns:
            (x, y) in the picture.
        """
        places = []
        for place, whole, part, batch, cells in zip(
            cell, self.picture_size, self.resized, self.padded, size, strict=True
        ):
            found = int((place + 0.5) * batch / cells * whole / part)
            if found >= whole:
                return None
            places.append(found)
        return places[0], places[1]

    def part_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return how much of a map lies over the picture, at least one value in both directions; the rest is padding.

        Args:
            size: (width, height) of the map, which spans the batch.

        Returns:
            (columns, rows), counted from the top left.
        """
        column, row = self.cell_at((self.picture_size[0] - 1, self.picture_size[1] - 1), size)
        return column + 1, row + 1

    def pixels_under(self, size: tuple[int, int]) -> tuple[list[int], list[int]]:
        """Return the pixels of the picture under the middles of a map's values, as far as :meth:`part_of` says.

        Args:
            size: (width, height) of the map, which spans the batch.

        Returns:
            x of each column, y of each row; the last pixel where the middle of the last value is padding already.
        """
        x, y = (
            [min(int((place + 0.5) * batch / cells * whole / part), whole - 1) for place in range(count)]
            for count, whole, part, batch, cells in zip(
                self.part_of(size), self.picture_size, self.resized, self.padded, size, strict=True
            )
        )
        return x, y


def whole(value: object) -> int | None:
    """Return a whole number, also one of NumPy's, as Python's; None for anything else, True and 1.0 included."""
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def check_input_size(preprocessing: Preprocessing, size: int | None) -> int:
    """Return the working size to use, in pixels.

    Args:
        preprocessing: the network's preprocessing.
        size: asked-for working size in pixels, or None for the network's own.

    Raises:
        InputError: no whole number, not of the form stride * n + remainder, or outside the range worked on.
    """
    number = preprocessing.size if size is None else whole(size)
    if number is None:
        raise InputError(
            "side_kind",
            "A working size is a whole number of pixels, and {came} came. Give one such as {example}, or None for "
            "the network's own.",
            came=repr(size),
            example=preprocessing.size,
        )
    size = number
    smallest = preprocessing.stride + preprocessing.remainder
    largest = (
        MAX_WORKING_SIDE - preprocessing.remainder
    ) // preprocessing.stride * preprocessing.stride + preprocessing.remainder
    if len(preprocessing.sizes) == 1:  # the network fits no other
        smallest = largest = preprocessing.size
    nearest = (
        round((size - preprocessing.remainder) / preprocessing.stride) * preprocessing.stride + preprocessing.remainder
    )
    if size != nearest or not smallest <= size <= largest:
        raise InputError(
            "working_size",
            "The working size {side} does not suit this network: it must be of the form {stride} × n + "
            "{remainder}, from {smallest} to {largest} pixels. Try {nearest}.",
            side=size,
            stride=preprocessing.stride,
            remainder=preprocessing.remainder,
            smallest=smallest,
            largest=largest,
            nearest=min(max(nearest, smallest), largest),
        )
    return size


def place(picture_size: tuple[int, int], preprocessing: Preprocessing, size: int) -> Placement:
    """Work out the size of a picture inside its batch, and of the batch.

    Args:
        picture_size: (width, height) in pixels.
        preprocessing: the network's preprocessing.
        size: working size in pixels, allowed by the preprocessing.
    """
    if preprocessing.shape == "stretch":
        return Placement(picture_size, (size, size), (size, size))
    scale = size / max(picture_size)
    width, height = (max(1, round(length * scale)) for length in picture_size)
    if preprocessing.shape == "square":
        return Placement(picture_size, (width, height), (size, size))

    def allowed(length: int) -> int:
        return (
            -(-(length - preprocessing.remainder) // preprocessing.stride) * preprocessing.stride
            + preprocessing.remainder
        )

    return Placement(picture_size, (width, height), (allowed(width), allowed(height)))


def to_batch(picture: Image.Image, preprocessing: Preprocessing, size: int | None = None) -> tuple[Tensor, Placement]:
    """Resize, normalise and pad a picture as a network's preprocessing says.

    Args:
        picture: PIL, RGB, 8 bits.
        preprocessing: the network's preprocessing.
        size: working size in pixels; None takes the preprocessing's own.

    Returns:
        The batch (1, 3, H, W) float32, (1, 1, H, W) where the preprocessing asks for grey, and where the picture lies
        in it. Padding is 0.

    Raises:
        InputError: the working size does not suit the network.
    """
    placement = place(picture.size, preprocessing, check_input_size(preprocessing, size))
    resized = picture.resize(placement.resized, Image.Resampling.BILINEAR)
    array = np.atleast_3d(np.array(resized if preprocessing.channels == 3 else resized.convert("L")))
    values = torch.from_numpy(array).permute(2, 0, 1).unsqueeze(0).float() / 255  # (1, C, h, w)
    mean, std = _normalisation(preprocessing)
    right, bottom = (placement.padded[axis] - placement.resized[axis] for axis in (0, 1))
    return F.pad((values - mean) / std, (0, right, 0, bottom)), placement


def to_picture(batch: Tensor, preprocessing: Preprocessing) -> Image.Image:
    """Turn a batch back into the picture a network really saw, padding included.

    Args:
        batch: (1, C, H, W) float32, normalised as the preprocessing says.
        preprocessing: the network's preprocessing.

    Returns:
        PIL, RGB, 8 bits, (W, H).
    """
    mean, std = _normalisation(preprocessing)
    values = (batch * std + mean)[0].mul(255).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(values.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def _normalisation(preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, (1, C, 1, 1) each."""
    mean, std = (
        torch.tensor(numbers[: preprocessing.channels]).view(1, -1, 1, 1)
        for numbers in (preprocessing.mean, preprocessing.std)
    )
    return mean, std
