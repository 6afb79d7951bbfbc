"""Losses: numbers worked out by hand, and what is not to be scored."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from segdemo.training.losses import Weights, cross_entropy, distillation, overlap_loss, segmentation_loss

SURE = 40.0  # a logit whose softmax is 1 in float32


def sure(*rows: list[int], classes: int = 2) -> torch.Tensor:
    """Logits (1, K, H, W) that are certain of the given classes."""
    return functional.one_hot(torch.tensor([rows]), classes).permute(0, 3, 1, 2).float() * SURE


def test_cross_entropy_is_a_mean_over_scored_pixels_and_then_over_pictures() -> None:
    logits = torch.zeros(2, 2, 1, 2)
    logits[0, 1, 0, 0] = math.log(3)  # probability 3/4 of class 1
    truth = torch.tensor([[[1, 255]], [[0, 1]]])
    expected = torch.tensor([math.log(4 / 3), math.log(2)])
    torch.testing.assert_close(cross_entropy(logits, truth), expected)


def test_picture_of_which_nothing_is_known_costs_nothing() -> None:
    logits, truth = torch.randn(1, 3, 4, 4), torch.full((1, 4, 4), 255)
    assert cross_entropy(logits, truth).item() == 0
    assert overlap_loss(logits, truth).item() == 0


def test_overlap_loss_is_one_minus_intersection_over_union() -> None:
    logits = sure([1, 1, 0, 0])
    truth = torch.tensor([[[1, 0, 0, 255]]])
    # class 0: one hit, union 2; class 1: one hit, union 2; the last pixel is not scored
    assert overlap_loss(logits, truth).item() == pytest.approx(0.5, abs=1e-5)
    assert overlap_loss(sure([1, 0, 0, 1]), truth).item() == pytest.approx(0, abs=1e-5)


def test_overlap_loss_leaves_out_classes_that_do_not_occur() -> None:
    truth = torch.tensor([[[0, 0, 0, 1]]])
    logits = sure([0, 0, 2, 1], classes=3)
    assert overlap_loss(logits, truth).item() == pytest.approx((1 / 3 + 0) / 2, abs=1e-5)


def test_distillation_is_zero_for_a_student_that_agrees_and_else_the_divergence() -> None:
    soft = torch.tensor([0.75, 0.25]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    assert distillation(soft.log() + 5, soft).item() == pytest.approx(0, abs=1e-6)
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert distillation(torch.zeros(1, 2, 2, 2), soft).item() == pytest.approx(expected, abs=1e-6)


def test_teacher_counts_fully_where_nothing_else_is_known_and_not_at_all_where_it_was_not_asked() -> None:
    weights = Weights(overlap=0, teacher=0.25)
    logits = torch.randn(3, 2, 4, 4)
    truth = torch.randint(0, 2, (3, 4, 4))
    truth[1] = 255
    soft = torch.rand(3, 2, 4, 4)
    soft[2] = 0
    hard, taught = cross_entropy(logits, truth), distillation(logits, soft)
    expected = (0.75 * hard[0] + 0.25 * taught[0] + taught[1] + hard[2]) / 3
    torch.testing.assert_close(segmentation_loss(logits, truth, soft, weights), expected)


def test_loss_of_a_batch_is_the_mean_of_the_losses_of_its_halves() -> None:
    logits, truth, soft = torch.randn(4, 3, 5, 5), torch.randint(0, 3, (4, 5, 5)), torch.rand(4, 3, 5, 5)
    truth[0, :3] = 255
    whole = segmentation_loss(logits, truth, soft, Weights())
    halves = [segmentation_loss(logits[part], truth[part], soft[part], Weights()) for part in (slice(2), slice(2, 4))]
    torch.testing.assert_close(whole, torch.stack(halves).mean())
