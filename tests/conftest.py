"""What many tests need: a small picture, a two-layer network, and no word to any other host."""

from __future__ import annotations

import os
from dataclasses import replace

# Before anything imports Gradio or the hub's client.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn


@pytest.fixture
def picture() -> Image.Image:
    """RGB, 48 × 32 (width, height): gradients in red and green, a bright square in blue; the same every time."""
    height, width = 32, 48
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    pixels[8:24, 12:28, 2] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def untrained_unet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the test lasts, the U-Net has no checkpoint."""
    from segdemo.networks import NETWORKS

    monkeypatch.setitem(NETWORKS, "unet", replace(NETWORKS["unet"], sha256="", snapshots=()))


class TwoLayers(nn.Module):
    """A convolution and an in-place ReLU: small enough to work out by hand, and it overwrites its first output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel_size=3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.relu(self.conv(batch))


@pytest.fixture
def two_layers() -> TwoLayers:
    """The two-layer network in evaluation mode, with the same random weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TwoLayers().eval()
