"""YOLO v1 against the figures of its paper, and how its grid becomes maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo import Segmenter
from segdemo.networks.yolo_v1 import NETWORK, Grid, YOLOv1

# Figure 3 of the paper, read by hand: kernel side and kernels of every convolution, in order.
PAPER = (
    [(7, 64), (3, 192), (1, 128), (3, 256), (1, 256), (3, 512)]
    + [(1, 256), (3, 512)] * 4
    + [(1, 512), (3, 1024)]
    + [(1, 512), (3, 1024)] * 2
    + [(3, 1024)] * 4
)


@pytest.fixture(scope="module")
def hollow() -> YOLOv1:
    with torch.device("meta"):
        return YOLOv1(20).eval()


def test_it_has_the_24_convolutions_of_the_paper_in_order(hollow: YOLOv1) -> None:
    found = [module for module in hollow.modules() if isinstance(module, nn.Conv2d)]
    assert len(PAPER) == 24
    assert [(conv.kernel_size[0], conv.out_channels) for conv in found] == PAPER
    assert [number for number, conv in enumerate(found) if conv.stride == (2, 2)] == [0, 21]
    assert sum(isinstance(module, nn.MaxPool2d) for module in hollow.modules()) == 4


def test_its_full_layers_are_those_of_the_paper(hollow: YOLOv1) -> None:
    full = [module for module in hollow.modules() if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in full] == [(7 * 7 * 1024, 4096), (4096, 7 * 7 * 30)]


@pytest.mark.parametrize("classes", [20, 3])
def test_it_answers_two_boxes_and_the_classes_for_each_of_49_cells(classes: int) -> None:
    with torch.device("meta"):
        network = YOLOv1(classes, hidden=8).eval()
        assert network(torch.empty(2, 3, 448, 448)).shape == (2, 2 * 5 + classes, 7, 7)


def test_numbers_of_a_cell_lie_side_by_side_in_the_row() -> None:
    row = torch.arange(2 * 49 * 12.0).reshape(2, -1)
    maps = Grid()(row)
    assert maps.shape == (2, 12, 7, 7)
    assert maps[1, 5, 3, 2] == 49 * 12 + (3 * 7 + 2) * 12 + 5


def test_the_mask_shows_the_best_class_of_each_cell_and_nothing_between_cells() -> None:
    segmenter = Segmenter("yolo_v1")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 140, 3), np.uint8))
    result = segmenter.run(picture)
    grid = segmenter.activation(picture, "Grid")
    assert grid.shape == (30, 7, 7)
    best = grid[10:].argmax(0)
    assert np.array_equal(result.mask, best.repeat(10, 0).repeat(20, 1))
    assert not result.trained and result.names == NETWORK.names and len(result.names) == 20
    assert result.answer == {}
