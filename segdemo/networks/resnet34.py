"""ResNet-34: the blocks of ResNet-18, twice as many."""

from __future__ import annotations

from segdemo.networks.resnet18 import BasicBlock, ResNet, declare_resnet

COUNTS = (3, 4, 6, 3)


def build(classes: int) -> ResNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return ResNet(BasicBlock, COUNTS, classes)


NETWORK = declare_resnet(34, COUNTS, build)
