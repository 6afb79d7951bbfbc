"""What many tests need: a small picture, a two-layer network, and no word to any other host."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

# Before anything imports Gradio or the hub's client.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

T = TypeVar("T")
# Files that take a minute and more: begun first, so that neither of two processes is left alone with one at the end.
LONG = ("test_strangers.py", "test_ray.py", "test_server_flood.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def ports_of_its_own() -> None:
    """Let each test process look for free ports in a range of its own: two would find the same one free at once."""
    from gradio import http_server

    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    http_server.INITIAL_PORT_VALUE += http_server.TRY_NUM_PORTS * number


@pytest.fixture
def picture() -> Image.Image:
    """RGB, 48 × 32 (width, height): gradients in red and green, a bright square in blue; the same every time."""
    height, width = 32, 48
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    pixels[8:24, 12:28, 2] = 255
    return Image.fromarray(pixels)


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread of its own: once a browser is open, the tests' own thread has a loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def checkpoints_without(name: str, folder: Path) -> Path:
    """Fill a folder with links to the checkpoints and a manifest that knows nothing of one network; return it."""
    from segdemo import checkpoints

    manifest = json.loads((checkpoints.folder() / checkpoints.MANIFEST).read_text("utf-8"))
    del manifest[name]
    folder.mkdir()
    for path in checkpoints.folder().iterdir():
        if path.name != checkpoints.MANIFEST:
            (folder / path.name).symlink_to(path)
    (folder / checkpoints.MANIFEST).write_text(json.dumps(manifest), "utf-8")
    return folder


@pytest.fixture
def untrained_unet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As long as the test lasts, the U-Net has no checkpoint."""
    monkeypatch.setenv("SEGDEMO_CHECKPOINTS", str(checkpoints_without("unet", tmp_path / "checkpoints")))


def mixed_by_hand(
    picture: Image.Image, mask: np.ndarray, colours: list[str], opacity: float, hidden: set[int]
) -> np.ndarray:
    """Mix class colours into a picture pixel by pixel as the words say it, (H, W, 3) float64, before rounding.

    Args:
        picture: RGB, of size (W, H).
        mask: (H, W), class of each pixel.
        colours: ``"#rrggbb"`` of each class, in index order.
        opacity: of the colours, in [0, 1].
        hidden: classes that are left out.
    """
    mixed = np.array(picture, np.float64)
    for index in set(np.unique(mask).tolist()) - hidden:
        paint = np.array([int(colours[index][at : at + 2], 16) for at in (1, 3, 5)])
        mixed[mask == index] = mixed[mask == index] * (1 - opacity) + paint * opacity
    return mixed


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
