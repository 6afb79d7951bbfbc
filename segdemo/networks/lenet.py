"""LeNet: five layers that read a digit; where most courses on convolutional networks begin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdemo.networks.classes import DIGITS
from segdemo.networks.network import Network, Preprocessing, Stage

SIDE = 32  # of a picture, in pixels: the classifier fits no other


class LeNet(nn.Module):
    """LeNet-5 of LeCun, Bottou, Bengio and Haffner 1998, as it is mostly taught today.

    Paper: "Gradient-based learning applied to document recognition", https://doi.org/10.1109/5.726791

    Departures: 3×3 kernels in place of 5×5, ReLU in place of a scaled tangent, maximum in place of trainable average
    pooling, every map of the second convolution sees all of the first, and a linear layer answers, not distances to
    drawn digits. ReLUs work on a copy, so that what a layer put out can still be looked at.

    Args:
        num_classes: K, classes to tell apart.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 16, 3),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 6 * 6, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):  # Kaiming: see `initialise` in blocks.py
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K) for a batch (B, 1, 32, 32)."""
        x = self.features(batch)  # (B, 16, 6, 6), by way of (B, 6, 30, 30), (B, 6, 15, 15) and (B, 16, 13, 13)
        return self.classifier(torch.flatten(x, 1))  # (B, K)


NETWORK = Network(
    name="lenet",
    title="LeNet",
    task="classification",
    build=LeNet,
    classes=DIGITS,
    stages=(
        Stage("Conv 1", "features.1"),
        Stage("Pool 1", "features.2"),
        Stage("Conv 2", "features.4"),
        Stage("Pool 2", "features.5"),
        Stage("Full 1", "classifier.1"),
        Stage("Full 2", "classifier.3"),
        Stage("Logits", "classifier.4"),
    ),
    preprocessing=Preprocessing(size=SIDE, sizes=(SIDE,), stride=SIDE, shape="stretch", channels=1),
    source="https://doi.org/10.1109/5.726791",
)
