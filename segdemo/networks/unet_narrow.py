"""U-Net once more, half as wide again: small enough to ship as it was at many moments of its training."""

from __future__ import annotations

from dataclasses import replace

from segdemo.networks import unet
from segdemo.networks.unet import UNet


def build(classes: int) -> UNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return UNet(3, classes, width=8)


NETWORK = replace(
    unet.NETWORK,
    name="unet_narrow",
    title="U-Net, narrow",
    build=build,
)
