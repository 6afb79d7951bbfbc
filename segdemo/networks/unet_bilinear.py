"""U-Net again, its decoder enlarging by interpolation, so that the two ways can be compared on one picture."""

from __future__ import annotations

from dataclasses import replace

from segdemo.networks import unet
from segdemo.networks.unet import UNet


def build(classes: int) -> UNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return UNet(3, classes, bilinear=True, width=16)


# Half as many of the deepest channels as in `unet`, and no kernels for enlarging: 0.56 of its parameters.
SPEC = replace(
    unet.SPEC,
    name="unet_bilinear",
    title="U-Net, bilinear",
    build=build,
    sha256="4a443135a29a4b952d13873ba37e4d62c95f3c2bc83a9a37e765d5d742aa5d6f",
)
