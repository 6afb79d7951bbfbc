"""ResNet-101: ResNet-50 with 17 more blocks in its third layer."""

from __future__ import annotations

from segdemo.networks.resnet18 import Bottleneck, ResNet, declare_resnet

COUNTS = (3, 4, 23, 3)


def build(classes: int) -> ResNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return ResNet(Bottleneck, COUNTS, classes)


NETWORK = declare_resnet(101, COUNTS, build)
