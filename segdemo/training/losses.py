"""What a network is told it did wrong. Every loss is a mean over pictures, so that processes can share a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from segdemo.archives import IGNORED


@dataclass(frozen=True)
class Weights:
    """How much each part of the loss counts.

    Args:
        overlap: of one minus the soft intersection over union, beside the cross entropy.
        teacher: of the teacher's soft labels where the truth is known too; where it is not, they count fully.
    """

    overlap: float = 0.5
    teacher: float = 0.4


def segmentation_loss(logits: Tensor, truth: Tensor, soft: Tensor | None, weights: Weights) -> Tensor:
    """Compare logits with the truth and, where there is one, with what a teacher thinks.

    Args:
        logits: (B, K, H, W) float32.
        truth: (B, H, W) int64, class of each pixel, 255 where nothing is known.
        soft: (B, K, H, W) float32, the teacher's probabilities; sums to 0 where the teacher was not asked.
        weights: of the parts.

    Returns:
        A scalar: mean over the pictures.
    """
    hard = cross_entropy(logits, truth) + weights.overlap * overlap_loss(logits, truth)  # (B,)
    if soft is None:
        return hard.mean()
    known = (truth != IGNORED).flatten(1).any(1).float()
    taught = (soft.sum((1, 2, 3)) > 0).float()
    share = taught * torch.where(known > 0, weights.teacher, 1.0)  # of the teacher in the picture's loss
    return ((1 - share) * hard + share * distillation(logits, soft)).mean()


def cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the cross entropy of each picture, (B,): mean over its scored pixels, 0 if there is none."""
    each = functional.cross_entropy(logits, truth, ignore_index=IGNORED, reduction="none").flatten(1)
    scored = (truth != IGNORED).flatten(1).sum(1)
    return each.sum(1) / scored.clamp(min=1)


def overlap_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return one minus the soft intersection over union of each picture, (B,).

    It is the mean over the classes that occur in the picture's truth, 0 where nothing is known. Cross entropy alone
    counts pixels; the score to reach counts overlaps, where a small object weighs as much as a large one.

    Source: Rahman and Wang 2016, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation",
        https://doi.org/10.1007/978-3-319-50835-1_22
    """
    classes = logits.shape[1]
    scored = (truth != IGNORED).unsqueeze(1)
    probabilities = logits.softmax(1) * scored
    targets = functional.one_hot(truth.where(truth != IGNORED, 0), classes).movedim(-1, 1) * scored
    both = (probabilities * targets).sum((2, 3))
    either = (probabilities + targets - probabilities * targets).sum((2, 3))
    occurs = (targets.sum((2, 3)) > 0).float()
    losses = (1 - both / either.clamp(min=1e-6)) * occurs
    return losses.sum(1) / occurs.sum(1).clamp(min=1)


def distillation(logits: Tensor, soft: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each picture's probabilities from the teacher's, (B,).

    Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network",
        https://arxiv.org/abs/1503.02531
    """
    target = soft / soft.sum(1, keepdim=True).clamp(min=1e-6)
    each = functional.kl_div(logits.log_softmax(1), target, reduction="none").sum(1)  # (B, H, W)
    return each.flatten(1).mean(1)
