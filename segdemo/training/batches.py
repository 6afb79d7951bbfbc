"""Batches: which pictures a step learns from, changed at random, together with their masks and soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from segdemo.archives import IGNORED
from segdemo.errors import InputError
from segdemo.networks.network import Preprocessing
from segdemo.training.data import Bytes, Sample
from segdemo.training.transforms import augment, augmentation, normalise


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Args:
        pictures: (B, 3, side, side) float32, normalised.
        truth: (B, side, side) int64, 255 where nothing is known.
        soft: (B, K, side, side) float32, the teacher's probabilities, 0 where it was not asked; None without a teacher.
    """

    pictures: Tensor
    truth: Tensor
    soft: Tensor | None


class Batches:
    """All pictures, drawn in a new order in every epoch. The same seed and step always make the same batch.

    Args:
        samples: the pictures and their masks.
        labels: the teacher's soft labels, one for each sample, None where it was not asked; None without a teacher.
        preprocessing: how the network wants its pictures.
        size: pictures in a batch, over all processes together.
        seed: of all that is random.
        part: which part of each batch is made here, and of how many equal parts.

    Raises:
        InputError: there are fewer pictures than parts.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        labels: Sequence[Bytes | None] | None,
        preprocessing: Preprocessing,
        *,
        size: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._samples, self._labels, self._preprocessing = samples, labels, preprocessing
        self._seed, self._part = seed, part
        self.size = min(size, len(samples)) // part[1] * part[1]
        if not self.size:
            raise InputError(
                "train_few",
                "{count} pictures in a step cannot be shared by {processes} processes. Each needs one. Give more "
                "pictures, raise --batch, or start fewer processes.",
                count=min(size, len(samples)),
                processes=part[1],
            )
        self.per_epoch = len(samples) // self.size

    def make(self, step: int, side: int) -> Batch:
        """Make the batch of a step, counted from 0, of pictures of side × side pixels."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._samples))
        chosen = order[place * self.size : (place + 1) * self.size][self._part[0] :: self._part[1]]
        transform = augmentation(side)
        pictures, maps = [], []
        for index in chosen.tolist():
            picture = torch.from_numpy(self._samples[index].picture).permute(2, 0, 1)
            seed = hash((self._seed, epoch, index)) & 0x7FFFFFFF  # of whole numbers: the same in every process
            changed, others = augment(transform, picture, self._maps(index), seed)
            pictures.append(changed)
            maps.append(others)
        together = torch.stack(maps)  # (B, 1 + K, side, side)
        soft = None if self._labels is None else together[:, 1:].float() / 255
        return Batch(normalise(torch.stack(pictures), self._preprocessing), together[:, 0].long(), soft)

    def _maps(self, index: int) -> Tensor:
        """Stack the mask (first) and the soft labels of a picture in its size, (1 + K, h, w) uint8."""
        sample = self._samples[index]
        height, width = sample.picture.shape[:2]
        mask = torch.full((1, height, width), IGNORED, dtype=torch.uint8)
        if sample.mask is not None:
            mask = torch.from_numpy(sample.mask).unsqueeze(0)
        if self._labels is None:
            return mask
        label = self._labels[index]
        if label is None:
            return torch.cat([mask, torch.zeros(self._classes(), height, width, dtype=torch.uint8)])
        soft = torch.from_numpy(label).unsqueeze(0)
        return torch.cat([mask, functional.interpolate(soft, (height, width), mode="bilinear")[0]])

    def _classes(self) -> int:
        return next(len(label) for label in self._labels or () if label is not None)
