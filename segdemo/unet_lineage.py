"""U-Nets of the tutorial's lineage, recognised by the names and shapes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from segdemo.networks import unet
from segdemo.networks.blocks import BackgroundLogit, DoubleConv
from segdemo.networks.classes import SALIENT, declare
from segdemo.networks.network import Network, Preprocessing
from segdemo.networks.unet import UNet
from segdemo.weights import named

WIDEST = 1024  # channels of the first encoder: sixteen times those of the paper
FIRST, LAST = "inc.double_conv.0.weight", "outc.conv.weight"


class OneLogit(UNet):
    """A U-Net that answers with one logit, for the foreground, behind one of 0 for the background."""

    def __init__(self, n_channels: int, *, bilinear: bool, width: int) -> None:
        super().__init__(n_channels, 1, bilinear=bilinear, width=width)
        self.logits = BackgroundLogit()

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, 2, H, W) for a batch (B, C, H, W)."""
        return self.logits(super().forward(batch))


@dataclass(frozen=True)
class Build:
    """Makes a U-Net of a shape with random weights; can be pickled.

    Args:
        channels: of the batch.
        width: channels of the first encoder.
        bilinear: whether the decoder interpolates.
        one_logit: whether the network itself has one output, for the foreground.
        biased: whether convolutions have a bias, as in early versions.
    """

    channels: int
    width: int
    bilinear: bool
    one_logit: bool
    biased: bool

    def __call__(self, classes: int) -> UNet:
        """Make the network for K classes."""
        network: UNet
        if self.one_logit:
            network = OneLogit(self.channels, bilinear=self.bilinear, width=self.width)
        else:
            network = UNet(self.channels, classes, bilinear=self.bilinear, width=self.width)
        if self.biased:
            for block in network.modules():
                if isinstance(block, DoubleConv):
                    for conv in (block.double_conv[0], block.double_conv[3]):
                        assert isinstance(conv, nn.Conv2d)
                        conv.bias = nn.Parameter(torch.zeros(conv.out_channels, device=conv.weight.device))
        return network


def match(state: Mapping[str, Any]) -> Network | None:
    """Return the U-Net that a state dict is of, None where it is of none.

    Args:
        state: tensors by name, prefixes or not.
    """
    values = named(state, {FIRST, LAST})
    first, last = values.get(FIRST), values.get(LAST)
    if not isinstance(first, Tensor) or not isinstance(last, Tensor) or first.dim() != 4 or last.dim() != 4:
        return None
    width, channels, outputs = first.shape[0], first.shape[1], last.shape[0]
    if channels not in (1, 3) or not 1 <= outputs <= 65_535 or not 1 <= width <= WIDEST:
        return None
    bilinear = "up1.up.weight" not in values
    build = Build(channels, width, bilinear, one_logit=outputs == 1, biased="inc.double_conv.0.bias" in values)
    stages = unet.NETWORK.stages
    if outputs == 1:
        stages = (*stages[:-1], replace(stages[-1], layer="logits"))
    return replace(
        unet.NETWORK,
        name="unet_bilinear" if bilinear else "unet",
        title=f"U-Net{', bilinear' if bilinear else ''}, {width} channels",
        build=build,
        classes=SALIENT if outputs == 1 else declare([f"class {number}" for number in range(outputs)]),
        stages=stages,
        # The tutorial scales pictures to [0, 1], keeps their proportions, and subtracts nothing.
        preprocessing=Preprocessing(
            size=256, sizes=(128, 192, 256, 320, 384, 512, 640), stride=16, channels=1 if channels == 1 else 3
        ),
    )
