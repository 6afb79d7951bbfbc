"""Our port of the small U²-Net against the published ONNX graph, run by scripts/reference_logits.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import data_dir

from segdemo import checkpoints
from segdemo.networks.u2netp import NETWORK, REBNCONV, RSU, U2NetP


@pytest.fixture(scope="module")
def trained() -> U2NetP:
    network = U2NetP(2).eval()
    assert checkpoints.load(network, NETWORK)
    return network


def test_answers_are_those_of_the_published_graph(trained: U2NetP) -> None:
    picture = (
        np.asarray(Image.open(Path(data_dir) / "astronaut.png"))[:320, 60:380] / 255
    )  # as in scripts/reference_logits.py: no resizing
    batch = (
        torch.from_numpy((picture - NETWORK.preprocessing.mean) / NETWORK.preprocessing.std)
        .permute(2, 0, 1)[None]
        .float()
    )
    with torch.inference_mode():
        logits = trained(batch)
    with np.load(Path(__file__).parent / "reference" / "u2netp.npz") as file:
        expected, mask = torch.from_numpy(file["astronaut_logits"]), torch.from_numpy(file["astronaut_mask"])
    torch.testing.assert_close(logits[0, 1, ::2, ::2], expected, rtol=0, atol=1e-3)
    differs = logits[0].argmax(0).bool() != mask
    assert not differs[logits[0, 1].abs() > 1e-3].any()  # closer to 0 than the tolerance, either class may win
    assert 0.4 < mask.float().mean() < 0.6


def test_softmax_over_two_classes_is_the_sigmoid_of_the_fused_map(trained: U2NetP) -> None:
    with torch.inference_mode():
        logits = trained(torch.rand(1, 3, 64, 64))
    assert not logits[:, 0].any()
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1], logits[:, 1].sigmoid())


def test_parameters_count_as_in_the_paper_before_folding() -> None:
    with torch.device("meta"):
        network = U2NetP(2)
    folded = sum(parameter.numel() for parameter in network.parameters())
    normalised = [module.conv_s1 for module in network.modules() if isinstance(module, REBNCONV)]
    assert len(normalised) == 112
    assert folded == 1_125_485
    # Each batch normalisation adds a scale and a shift a channel. 1.13 million, as the authors’ code has.
    assert folded + sum(2 * conv.out_channels for conv in normalised) == 1_131_181


def test_residual_block_adds_its_input_convolution_to_its_output() -> None:
    block = RSU(4, 3, 2, 5).eval()
    x = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        whole, entrance = block(x), block.rebnconvin(x)
        block.get_submodule("rebnconv1d").register_forward_hook(lambda *_: torch.zeros_like(_[2]))
        assert torch.equal(block(x), entrance)
    assert not torch.equal(whole, entrance)


def test_more_classes_give_each_its_own_map_before_the_background() -> None:
    with torch.inference_mode():
        logits = U2NetP(4).eval()(torch.rand(1, 3, 32, 32))
    assert logits.shape == (1, 4, 32, 32)
    assert not logits[:, 0].any() and logits[:, 1:].any()


def test_sides_that_are_no_multiple_of_the_stride_still_fit_together(trained: U2NetP) -> None:
    with torch.inference_mode():
        assert trained(torch.rand(1, 3, 37, 50)).shape == (1, 2, 37, 50)
