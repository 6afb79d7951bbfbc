"""A picture of every colour, and the networks of libraries small enough for a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn


@pytest.fixture
def noise() -> Image.Image:
    """RGB, 70 × 50 (width, height): noise."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8))


def made(build: Any, *arguments: Any, **settings: Any) -> nn.Module:
    """Build a network with the same random weights every time, ready to run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = build(*arguments, **settings)
    return network.eval()
