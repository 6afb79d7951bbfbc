"""ResNet-50: bottleneck blocks, cheaper for each channel, in place of basic ones."""

from __future__ import annotations

from segdemo.networks.resnet18 import Bottleneck, ResNet, declare_resnet

COUNTS = (3, 4, 6, 3)


def build(classes: int) -> ResNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return ResNet(Bottleneck, COUNTS, classes)


NETWORK = declare_resnet(50, COUNTS, build)
