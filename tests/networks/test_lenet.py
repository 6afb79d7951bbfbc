"""LeNet: shapes, its embedded weights, and that it reads digits it has never seen."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from segdemo import checkpoints
from segdemo.networks.lenet import NETWORK, LeNet


def test_shapes_are_those_of_the_figure() -> None:
    network = LeNet().eval()
    shapes = {}
    for stage in NETWORK.stages:
        layer = network.get_submodule(stage.layer)
        layer.register_forward_hook(lambda *_, label=stage.label: shapes.update({label: tuple(_[2].shape)}))
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 32, 32)).shape == (2, 10)
    assert shapes == {
        "Conv 1": (2, 6, 30, 30),
        "Pool 1": (2, 6, 15, 15),
        "Conv 2": (2, 16, 13, 13),
        "Pool 2": (2, 16, 6, 6),
        "Full 1": (2, 120),
        "Full 2": (2, 84),
        "Logits": (2, 10),
    }


def test_parameters_count_as_worked_out_by_hand() -> None:
    kernels = 6 * 9 + 6 + 16 * 6 * 9 + 16
    matrices = 576 * 120 + 120 + 120 * 84 + 84 + 84 * 10 + 10
    assert sum(parameter.numel() for parameter in LeNet().parameters()) == kernels + matrices


def test_layers_start_with_the_variance_that_keeps_relus_alive() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = LeNet().classifier[0]
    assert isinstance(layer, nn.Linear)
    assert layer.weight.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.02)


def test_embedded_weights_read_digits_never_learned_from() -> None:
    pytest.importorskip("sklearn")
    from scripts.train_lenet import accuracy, read_digits

    network = LeNet()
    assert checkpoints.load(network, NETWORK)
    _, _, pictures, truth = read_digits()
    assert len(truth) == 360
    assert accuracy(network, pictures, truth) >= 0.98


def test_card_names_the_checksum() -> None:
    path = checkpoints.path_of(NETWORK)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == checkpoints.shipped(NETWORK).sha256
    card = path.with_suffix(".md").read_text("utf-8")
    assert checkpoints.shipped(NETWORK).sha256 in card and "licence" in card.lower()
