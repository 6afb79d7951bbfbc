"""Our port of DeepLabv3 against the published TensorFlow.js graph, executed by scripts/reference_logits.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from skimage.data import data_dir
from torch import Tensor

from segdemo import checkpoints
from segdemo.networks.deeplabv3_mobilenet_v2 import NETWORK, DeepLabV3MobileNetV2, InvertedResidual

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def reference() -> dict[str, Array]:
    with np.load(Path(__file__).parent / "reference" / "deeplabv3_mobilenet_v2.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def trained() -> DeepLabV3MobileNetV2:
    network = DeepLabV3MobileNetV2(len(NETWORK.classes)).eval()
    assert checkpoints.load(network, NETWORK)
    return network


def picture_and_side(name: str) -> tuple[Array, int]:
    """The pictures of scripts/reference_logits.py: no resizing, so that only the network is compared."""
    picture = np.asarray(Image.open(Path(data_dir) / f"{name}.png"))
    return (picture, 513) if name == "astronaut" else (picture[20:277, 100:357], 257)


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_answers_are_those_of_the_published_graph(
    name: str, trained: DeepLabV3MobileNetV2, reference: dict[str, Array]
) -> None:
    picture, side = picture_and_side(name)
    height, width, _ = picture.shape
    batch = torch.zeros(1, 3, side, side)
    batch[0, :, :height, :width] = torch.from_numpy(picture / 127.5 - 1).permute(2, 0, 1)
    small: list[Tensor] = []
    with trained.logits.register_forward_hook(lambda *_: small.append(_[2].clone())), torch.inference_mode():
        logits = trained(batch)
    expected = torch.from_numpy(reference[f"{name}_logits"]).permute(2, 0, 1)
    torch.testing.assert_close(small[0][0], expected, rtol=0, atol=1e-3)
    best, second = logits[0, :, :height, :width].topk(2, dim=0).values
    mask = logits[0, :, :height, :width].argmax(0)
    differs = mask != torch.from_numpy(reference[f"{name}_mask"])
    assert not differs[best - second > 1e-3].any()  # closer than the tolerance, either class may win


def test_reference_shows_a_person_and_a_cat(reference: dict[str, Array]) -> None:
    assert (reference["astronaut_mask"] == NETWORK.names.index("person")).mean() > 0.35
    assert (reference["chelsea_mask"] == NETWORK.names.index("cat")).mean() > 0.9


def test_input_rule_scales_to_minus_one_to_one() -> None:
    assert (
        NETWORK.preprocessing.mean == NETWORK.preprocessing.std == (0.5, 0.5, 0.5)
    )  # (x / 255 - 0.5) / 0.5 = x / 127.5 - 1


def test_parameters_count_as_in_the_graph() -> None:
    with torch.device("meta"):
        network = DeepLabV3MobileNetV2(21)
    # The graph's constants, with each depthwise scale multiplied into its kernel.
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_097_013


def test_map_is_kept_at_an_eighth_by_dilation(trained: DeepLabV3MobileNetV2) -> None:
    blocks = [block for block in trained.blocks if isinstance(block, InvertedResidual)]
    assert len(blocks) == 17
    assert [i for i, block in enumerate(blocks) if block.depthwise.conv.stride == (2, 2)] == [1, 3]
    assert [block.depthwise.conv.dilation[0] for block in blocks] == [1] * 7 + [2] * 7 + [4] * 3
    assert [i for i, block in enumerate(blocks) if block.adds_input] == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
    with torch.inference_mode():
        assert trained.blocks(trained.stem(torch.zeros(1, 3, 65, 65))).shape == (1, 320, 9, 9)


def test_image_pooling_tells_every_pixel_the_same(trained: DeepLabV3MobileNetV2) -> None:
    with torch.inference_mode():
        pooled = trained.aspp.image_pooling(torch.rand(1, 320, 5, 7))
    assert pooled.shape == (1, 256, 5, 7)
    assert torch.equal(pooled, pooled[:, :, :1, :1].expand_as(pooled))
