"""Layers that networks are built of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from segdemo.networks.blocks import Concat, ConvBNReLU


@torch.no_grad()
def test_conv_bn_relu_by_hand() -> None:
    layer = ConvBNReLU(1, 1, ks=1, padding=0).eval()
    nn.init.constant_(layer.conv.weight, 3)
    layer.bn.running_mean.fill_(1)  # type: ignore[union-attr]
    layer.bn.running_var.fill_(4)  # type: ignore[union-attr]
    out = layer(torch.tensor([[[[2.0, 0.0]]]]))  # 3 * 2 = 6 → (6 - 1) / 2 = 2.5; 0 → -0.5, which is rectified
    assert out.flatten().tolist() == pytest.approx([2.5, 0], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "side"), [({}, 9), ({"stride": 2}, 5), ({"padding": 0}, 7), ({"dilation": 2, "padding": 2}, 9)]
)
def test_conv_bn_relu_has_the_side_that_convolution_arithmetic_says(settings: dict[str, Any], side: int) -> None:
    assert ConvBNReLU(4, 6, **settings)(torch.rand(2, 4, 9, 9)).shape == (2, 6, side, side)


def test_conv_bn_relu_has_no_bias_that_normalisation_would_undo() -> None:
    assert sorted(name for name, _ in ConvBNReLU(2, 2).named_parameters()) == ["bn.bias", "bn.weight", "conv.weight"]


def test_concat_joins_along_the_channels_in_order() -> None:
    joined = Concat()(torch.zeros(1, 2, 3, 3), torch.ones(1, 1, 3, 3))
    assert joined[0, :, 0, 0].tolist() == [0, 0, 1]
