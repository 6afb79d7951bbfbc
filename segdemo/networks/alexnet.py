"""AlexNet: five convolutions and three full layers; with it deep networks began to see."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.blocks import initialise
from segdemo.networks.classes import IMAGENET
from segdemo.networks.network import Network, Preprocessing, Stage

CONVOLUTIONS = tuple(
    Stage(label, f"features.{number}")
    for label, number in (
        *(("Conv 1", 1), ("Pool 1", 2), ("Conv 2", 4), ("Pool 2", 5)),
        *(("Conv 3", 7), ("Conv 4", 9), ("Conv 5", 11), ("Pool 5", 12)),
    )
)


def convolutions(padding: int = 0) -> nn.Sequential:
    """Make the five convolutions of AlexNet, with their pooling.

    Args:
        padding: of the pooling, in pixels.
    """
    return nn.Sequential(
        nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=padding),
        nn.Conv2d(64, 192, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=padding),
        nn.Conv2d(192, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=padding),
    )


class AlexNet(nn.Module):
    """AlexNet of Krizhevsky 2014, https://arxiv.org/abs/1404.5997, with torchvision's names and shapes.

    That is the one-column form of Krizhevsky, Sutskever and Hinton 2012. Departures: no local response normalisation,
    an adaptive mean of 6 × 6 places, which lets pictures of other sizes in, and dropout before the full layers, all as
    in torchvision. ReLUs work on a copy, not in place, so that what a layer put out can still be looked at.

    Args:
        num_classes: K, classes to tell apart.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = convolutions()
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K) for a batch (B, 3, H, W). Sizes in the comments are for 224 pixels."""
        x = self.features(batch)  # (B, 256, 6, 6), by way of (B, 64, 55, 55), (B, 192, 27, 27) and (B, 256, 13, 13)
        x = self.flatten(self.avgpool(x))  # (B, 9216)
        return self.classifier(x)  # (B, K), by way of (B, 4096) twice


NETWORK = Network(
    name="alexnet",
    title="AlexNet",
    task="classification",
    build=AlexNet,
    classes=IMAGENET,
    stages=(
        *CONVOLUTIONS,
        Stage("Full 6", "classifier.2"),
        Stage("Full 7", "classifier.5"),
        Stage("Logits", "classifier.6"),
    ),
    preprocessing=Preprocessing(
        size=224,
        sizes=(128, 160, 224, 288),
        stride=32,
        shape="stretch",
        mean=(0.485, 0.456, 0.406),  # of ImageNet, as torchvision trained it
        std=(0.229, 0.224, 0.225),
    ),
    source="https://arxiv.org/abs/1404.5997",
    untrained=("classifier.",),
    official="alexnet",
)
