"""What tests of training need: an archive of eight small pictures, and a network that learns from them in no time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from segdemo.networks import NETWORKS, Network, Preprocessing, Stage
from segdemo.networks.classes import SALIENT
from segdemo.training.data import Sample

SIZES = ((40, 32), (32, 48), (36, 36), (50, 32), (32, 32), (44, 40), (32, 60), (33, 35))  # (width, height)


def pair(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A grey picture with a bright rectangle, and the mask of that."""
    width, height = SIZES[number]
    generator = np.random.default_rng(number)
    picture = generator.integers(20, 120, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    top, left = generator.integers(2, 10, 2)
    mask[top : top + 18, left : left + 16] = 1
    picture[mask == 1] += 110
    return picture, mask


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def files() -> dict[str, bytes]:
    """Eight pictures and their masks, by their names in an archive."""
    content = {}
    for number in range(len(SIZES)):
        picture, mask = pair(number)
        content[f"images/{number}.png"], content[f"masks/{number}.png"] = png(picture), png(mask)
    return content


@pytest.fixture
def archive(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A zip archive of the eight."""
    return zipped(tmp_path / "pairs.zip", files)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def samples() -> list[Sample]:
    """The eight, as training sees them."""
    return [Sample(f"pairs/{number}", *pair(number)) for number in range(len(SIZES))]


class Tiny(nn.Module):
    """Two convolutions; normalised by groups, so that a part of a batch gives what it gives in the whole."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.entrance = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU())
        self.outc = nn.Conv2d(8, classes, 3, padding=1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.outc(self.entrance(batch))


NETWORK = Network(
    name="tiny",
    title="Tiny",
    task="segmentation",
    build=Tiny,
    classes=SALIENT,
    stages=(Stage("Entrance", "entrance", 0, 0), Stage("Logits", "outc", 0, 1, inputs=("Entrance",))),
    preprocessing=Preprocessing(size=32, sizes=(16, 32), stride=16),
    source="",
)


@pytest.fixture
def tiny() -> Iterator[Network]:
    """The small network, in the table of networks while the test runs."""
    NETWORKS["tiny"] = NETWORK
    yield NETWORK
    del NETWORKS["tiny"]
