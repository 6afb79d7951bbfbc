"""Two-layer networks whose answers can be worked out by hand, in an engine of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from segdemo.engine import LocalEngine
from segdemo.networks import Network, Preprocessing, Stage
from segdemo.networks.classes import declare

SIZE = 16  # pixels of the pictures' sides, and of the networks' input


class Linear(nn.Module):
    """Two channels, the red and the green of a pixel; two logits, 3 red + 1 green and 1 red + 2 green."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, kernel_size=1, bias=False)
        self.second = nn.Conv2d(2, 2, kernel_size=1, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]).view(2, 3, 1, 1))
            self.second.weight.copy_(torch.tensor([[3.0, 1], [1, 2]]).view(2, 2, 1, 1))

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, 2, H, W)."""
        return self.second(self.first(batch))


class Skipping(nn.Module):
    """What came in, times two and rectified in place, plus what came in over a skip connection."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.entrance = nn.Conv2d(3, 2, kernel_size=1, bias=False)
        self.doubled = nn.Conv2d(2, 2, kernel_size=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.join = Sum()
        with torch.no_grad():
            self.entrance.weight.copy_(torch.tensor([[1.0, 0, 0], [0, -1, 0]]).view(2, 3, 1, 1))
            self.doubled.weight.copy_(2 * torch.eye(2).view(2, 2, 1, 1))

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, 2, H, W)."""
        x = self.entrance(batch)
        return self.join(self.relu(self.doubled(x)), x)


class Sum(nn.Module):
    """Add two maps."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Return their sum."""
        return x + other


def network(name: str, build: type[nn.Module], stages: tuple[Stage, ...]) -> Network:
    """Describe a network of two classes that takes pictures as they are."""
    return Network(
        name=name,
        title=name.title(),
        task="segmentation",
        build=build,
        classes=declare(("one", "other")),
        stages=stages,
        preprocessing=Preprocessing(size=SIZE, sizes=(SIZE, 2 * SIZE), stride=SIZE),
        source="https://example.org",
    )


LINEAR = network("linear", Linear, (Stage("First", "first", 0, 0), Stage("Second", "second", 0, 1)))
SKIPPING = network(
    "skipping",
    Skipping,
    (
        Stage("Entrance", "entrance", 0, 0),
        Stage("Double", "doubled", 1, 0),
        Stage("Sum", "join", 0, 1, inputs=("Double",), skips=("Entrance",)),
    ),
)


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """Knows the two-layer networks and the built-in ones."""
    from segdemo.networks import NETWORKS

    engine = LocalEngine({**NETWORKS, "linear": LINEAR, "skipping": SKIPPING})
    yield engine
    engine.close()
