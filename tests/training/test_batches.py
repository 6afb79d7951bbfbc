"""Batches: picture and masks change together, and everything random follows from the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segdemo.archives import IGNORED
from segdemo.networks.network import Preprocessing
from segdemo.training.batches import Batches
from segdemo.training.data import Bytes, Sample
from segdemo.training.transforms import augment, augmentation, normalise

RULE = Preprocessing(size=32, sizes=(32,), stride=16)
PLAIN = Preprocessing(size=32, sizes=(32,), stride=16, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.5))


def soft(samples: list[Sample]) -> list[Bytes | None]:
    """What a teacher would say that is sure of the truth."""
    return [np.stack([255 * (sample.mask == index) for index in (0, 1)]).astype(np.uint8) for sample in samples]


def test_picture_and_mask_are_changed_alike() -> None:
    mask = torch.zeros(1, 40, 60, dtype=torch.uint8)
    mask[:, 10:30, 20:50] = 1
    picture = (mask * 200).expand(3, -1, -1).contiguous()
    for seed in range(20):
        changed, others = augment(augmentation(32), picture, mask, seed)
        assert changed.shape == (3, 32, 32) and others.shape == (1, 32, 32)
        assert set(others.flatten().tolist()) <= {0, 1}
        # smoothing blurs the outline alone
        assert ((changed[0] > 60) == (others[0] == 1)).float().mean() > 0.9


def test_the_same_seed_makes_the_same_change_and_leaves_other_randomness_alone() -> None:
    picture, mask = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8), torch.zeros(1, 40, 60, dtype=torch.uint8)
    before = torch.get_rng_state()
    first, again, other = (augment(augmentation(32), picture, mask, seed)[0] for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_pictures_are_normalised_as_the_rule_says() -> None:
    batch = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    assert normalise(batch, PLAIN)[0, :, 0, 0].tolist() == pytest.approx([5, 3, 1.4])


def test_every_picture_comes_once_in_an_epoch_in_an_order_of_its_own() -> None:
    shades = [
        Sample(str(shade), np.full((20, 20, 3), shade, np.uint8), np.full((20, 20), shade, np.uint8))
        for shade in range(8)
    ]
    batches = Batches(shades, None, RULE, size=4, seed=0)
    assert batches.per_epoch == 2
    orders = []
    for epoch in range(3):
        seen = torch.cat([batches.make(2 * epoch + place, 16).truth[:, 0, 0] for place in range(2)])
        assert sorted(seen.tolist()) == list(range(8))
        orders.append(seen.tolist())
    assert orders[0] != orders[1] != orders[2]


def test_parts_of_processes_make_up_the_whole_batch(samples: list[Sample]) -> None:
    whole = Batches(samples, soft(samples), RULE, size=4, seed=3).make(5, 32)
    parts = [Batches(samples, soft(samples), RULE, size=4, seed=3, part=(part, 2)).make(5, 32) for part in (0, 1)]
    assert whole.soft is not None
    for number, part in enumerate(parts):
        assert part.soft is not None
        assert torch.equal(part.pictures, whole.pictures[number::2])
        assert torch.equal(part.truth, whole.truth[number::2])
        assert torch.equal(part.soft, whole.soft[number::2])


def test_soft_labels_follow_the_mask(samples: list[Sample]) -> None:
    batch = Batches(samples, soft(samples), RULE, size=8, seed=0).make(0, 32)
    assert batch.soft is not None
    assert torch.equal(batch.soft.argmax(1), batch.truth)
    assert torch.equal(batch.soft.sum(1), torch.ones_like(batch.soft[:, 0]))


def test_soft_labels_may_be_coarser_than_the_picture(samples: list[Sample]) -> None:
    halves: list[Bytes | None] = [label[:, ::2, ::2] for label in soft(samples) if label is not None]
    batch = Batches(samples, halves, RULE, size=8, seed=0).make(0, 32)
    assert batch.soft is not None
    assert (batch.soft.argmax(1) == batch.truth).float().mean() > 0.9


def test_what_is_not_known_is_marked(samples: list[Sample]) -> None:
    labels = soft(samples)
    labels[:7] = [None] * 7
    unknown = [Sample(sample.name, sample.picture, None) for sample in samples]
    batch = Batches(unknown, labels, RULE, size=8, seed=0).make(0, 32)
    assert (batch.truth == IGNORED).all()
    assert batch.soft is not None and (batch.soft.sum((1, 2, 3)) > 0).sum() == 1


def test_batch_is_no_larger_than_what_there_is(samples: list[Sample]) -> None:
    batches = Batches(samples, None, RULE, size=32, seed=0)
    assert (batches.size, batches.per_epoch) == (8, 1)
