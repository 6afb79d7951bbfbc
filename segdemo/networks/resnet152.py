"""ResNet-152: the deepest of the paper."""

from __future__ import annotations

from segdemo.networks.resnet18 import Bottleneck, ResNet, declare_resnet

COUNTS = (3, 8, 36, 3)


def build(classes: int) -> ResNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return ResNet(Bottleneck, COUNTS, classes)


NETWORK = declare_resnet(152, COUNTS, build)
