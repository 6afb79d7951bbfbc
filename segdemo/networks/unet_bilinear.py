"""U-Net again, its decoder enlarging by interpolation, so that the two ways can be compared on one picture."""

from __future__ import annotations

from dataclasses import replace

from segdemo.networks import unet
from segdemo.networks.unet import UNet


def build(classes: int) -> UNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return UNet(3, classes, bilinear=True, width=16)


# Half as many of the deepest channels as in `unet`, and no kernels for enlarging: 0.56 of its parameters.
NETWORK = replace(
    unet.NETWORK,
    name="unet_bilinear",
    title="U-Net, bilinear",
    build=build,
)
