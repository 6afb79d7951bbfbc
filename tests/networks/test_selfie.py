"""Our port of the selfie network against the published graph, executed by scripts/reference_logits.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import data_dir
from torch import nn

from segdemo import Segmenter, checkpoints
from segdemo.networks.selfie import NETWORK, ConvAct, Gate, SelfieNet


@pytest.fixture(scope="module")
def trained() -> SelfieNet:
    network = SelfieNet(2).eval()
    assert checkpoints.load(network, NETWORK)
    return network


def astronaut() -> np.ndarray:
    """(256, 256, 3) uint8: every second pixel, as in scripts/reference_logits.py."""
    return np.asarray(Image.open(Path(data_dir) / "astronaut.png"))[::2, ::2]


def reference() -> np.ndarray:
    with np.load(Path(__file__).parent / "reference" / "selfie.npz") as file:
        return np.asarray(file["astronaut"])


def test_probabilities_are_those_of_the_published_graph(trained: SelfieNet) -> None:
    batch = torch.from_numpy(astronaut().copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        person = trained(batch).softmax(1)[0, 1].numpy()
    assert np.abs(person - reference()).max() < 1e-4
    assert 0.4 < (reference() > 0.5).mean() < 0.6


def test_a_picture_of_its_own_size_reaches_it_unchanged() -> None:
    result = Segmenter("selfie").run(Image.fromarray(astronaut()))
    assert result.trained and result.input_size == 256
    assert np.abs(result.probability("person") - reference()).max() < 1e-3


def test_parameters_count_as_in_the_graph() -> None:
    with torch.device("meta"):
        network = SelfieNet(2)
    # The graph holds 106,407 numbers: three enlargements say in two numbers each how large the result is.
    assert sum(parameter.numel() for parameter in network.parameters()) == 106_407 - 3 * 2


@pytest.mark.parametrize(("kernel", "first"), [(3, 0), (5, 1)])
def test_halving_pads_one_more_behind_than_before_as_tensorflow_does(kernel: int, first: int) -> None:
    layer = ConvAct(1, 1, kernel, stride=2)
    nn.init.zeros_(layer.conv.weight)
    assert layer.conv.bias is not None
    nn.init.zeros_(layer.conv.bias)
    layer.conv.weight.data[0, 0, first, first] = 1  # the tap that lies on the first pixel
    x = torch.arange(36.0).reshape(1, 1, 6, 6)
    with torch.inference_mode():
        assert torch.equal(layer(x), x[:, :, ::2, ::2])


def test_a_gate_adds_the_map_from_below_once_and_weighs_the_skip_alone() -> None:
    gate = Gate(2).eval()
    gate.weigh.register_forward_hook(lambda *_: torch.full_like(_[2], 0.25))
    deep, skip = torch.rand(1, 2, 4, 4), torch.rand(1, 2, 4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(gate(deep, skip), deep + skip / 4)


def test_softmax_over_two_classes_is_the_sigmoid_of_the_person(trained: SelfieNet) -> None:
    with torch.inference_mode():
        logits = trained(torch.rand(1, 3, 64, 96))
    assert logits.shape == (1, 2, 64, 96)
    assert not logits[:, 0].any()
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1], logits[:, 1].sigmoid())
