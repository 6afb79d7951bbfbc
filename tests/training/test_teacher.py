"""Soft labels: classes matched by name, each picture asked about once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segdemo.errors import InputError
from segdemo.networks import NETWORKS, Network
from segdemo.training import teacher as module
from segdemo.training.data import Sample
from segdemo.training.teacher import Teacher, match_classes, teach

SALIENT = NETWORKS["unet"].names
VOC = NETWORKS["deeplabv3_mobilenet_v2"].names
ANIMALS = ("background", "person", "cat", "dog", "horse", "cow", "sheep")


def test_classes_are_added_up_by_name_and_the_rest_becomes_background() -> None:
    table = match_classes(NETWORKS["deeplabv3_mobilenet_v2"], ANIMALS)
    assert table.shape == (21, 7) and torch.equal(table.sum(1), torch.ones(21))
    for index, name in enumerate(VOC):
        assert table[index, ANIMALS.index(name) if name in ANIMALS else 0] == 1


def test_teacher_has_to_know_every_class() -> None:
    with pytest.raises(InputError, match=r"u2netp cannot teach cat: it knows background, foreground") as refusal:
        match_classes(NETWORKS["u2netp"], ("background", "cat"))
    assert refusal.value.code == "teacher_class_unknown"


def test_untrained_network_cannot_teach(tiny: Network) -> None:
    with pytest.raises(InputError, match="tiny is untrained") as refusal:
        Teacher("tiny", tiny.names)
    assert refusal.value.code == "teacher_untrained"


class Halves(nn.Module):
    """Is sure that the left half of what it sees is foreground."""

    def __init__(self, classes: int) -> None:
        super().__init__()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(batch), 2, *batch.shape[2:])
        logits[:, 1, :, : batch.shape[3] // 2] = 20
        logits[:, 0, :, batch.shape[3] // 2 :] = 20
        return logits


def test_labels_are_probabilities_in_the_proportions_of_the_picture(
    tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdemo.checkpoints.load", lambda *_: True)
    teacher = Teacher("tiny", SALIENT)
    teacher.network = Halves(2)
    (label,) = teacher.labels([np.zeros((80, 120, 3), np.uint8)])
    assert label.shape == (2, 64, 96) and label.dtype == np.uint8
    assert (label[1, :, :44] == 255).all() and (label[0, :, 52:] == 255).all()
    assert np.abs(label.astype(int).sum(0) - 255).max() <= 1
    (small,) = teacher.labels([np.zeros((32, 48, 3), np.uint8)])
    assert small.shape == (2, 32, 48)


def test_teacher_is_asked_once_and_an_interruption_loses_one_chunk(
    tiny: Network, samples: list[Sample], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("segdemo.checkpoints.load", lambda *_: True)
    monkeypatch.setattr(module, "CHUNK", 3)
    teacher, asked = Teacher("tiny", SALIENT), []
    teacher.network.register_forward_hook(lambda *_: asked.append(1))
    first = teach(teacher, samples, tmp_path)
    assert len(first) == len(samples) == len(asked)
    again = teach(teacher, samples, tmp_path)
    assert len(asked) == len(samples)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    (folder,) = tmp_path.iterdir()
    (folder / "000003.npz").unlink()
    teach(teacher, samples, tmp_path)
    assert len(asked) == len(samples) + 3
