"""A picture for the labs, and settings of all kinds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.labs.controls import Cells, Choice, Control, Drawing, Number, Switch, Whole


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A picture in which no two places are alike, 60 × 40."""
    values = np.random.default_rng(4).integers(0, 256, (40, 60, 3), np.uint8)
    return Image.fromarray(values)


def some(control: Control, chance: random.Random) -> Any:
    """Return something that a control takes."""
    if isinstance(control, Choice):
        return chance.choice(control.options)
    if isinstance(control, Switch):
        return chance.random() < 0.5
    if isinstance(control, Whole):
        return chance.randint(control.least, control.most)
    if isinstance(control, Number):
        return round(chance.uniform(control.least, control.most), 3)
    if isinstance(control, Drawing):
        return f"{chance.getrandbits(control.side**2):0{control.side**2 // 4}x}"
    assert isinstance(control, Cells)
    return tuple(float(chance.randint(-9, 9)) for _ in range(9))
