"""Networks of segmentation_models_pytorch: nothing is asked of a hub; the output is theirs, pixel by pixel."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch.nn import functional as F

from segdemo import Segmenter
from segdemo.images import to_batch
from segdemo.sources import network_of
from tests.sources.conftest import made


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks another host for something fails the test."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a host was asked for"))


def test_a_unet_answers_as_the_bare_network(noise: Image.Image) -> None:
    module = made(smp.Unet, "resnet18", encoder_weights=None, classes=3)
    segmenter = Segmenter(module)
    rule = segmenter.spec.preprocessing
    assert rule.stride == 32 and segmenter.spec.guesses == ("classes", "normalisation", "size")
    batch, placement = to_batch(noise, rule, 64)
    with torch.no_grad():
        out = module(batch)[:, :, : placement.resized[1], : placement.resized[0]]
    expected = F.interpolate(out, (50, 70), mode="bilinear", align_corners=False)[0].softmax(0).numpy()
    result = segmenter.run(noise, 64)
    for index, name in enumerate(result.names):
        assert np.allclose(result.probability(name), expected[index], atol=1e-5)


def test_the_stride_is_the_encoders() -> None:
    module = made(smp.DeepLabV3Plus, "mobilenet_v2", encoder_weights=None, encoder_output_stride=16)
    assert network_of(module).preprocessing.stride == 16


@pytest.mark.parametrize(
    ("settings", "names", "ending"),
    [
        ({"classes": 1}, ("background", "foreground"), "logits"),
        ({"classes": 1, "activation": "sigmoid"}, ("background", "foreground"), "shares"),
        ({"classes": 3, "activation": "softmax2d"}, ("class 0", "class 1", "class 2"), "shares"),
        ({"classes": 2, "aux_params": {"classes": 5}}, ("background", "foreground"), "logits"),
    ],
    ids=["one logit", "sigmoid", "softmax", "label beside the mask"],
)
def test_every_ending_of_the_library_is_read(settings: dict[str, Any], names: tuple[str, ...], ending: str) -> None:
    network = network_of(
        made(smp.Unet, "resnet18", encoder_depth=3, encoder_weights=None, decoder_channels=(16, 8, 8), **settings)
    )
    assert network.names == names and network.ending == ending and network.task == "segmentation"
