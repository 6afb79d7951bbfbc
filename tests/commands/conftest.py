"""A picture for the commands, a place for what they write, and the commands as functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from segdemo.__main__ import main
from segdemo.examples import example
from tests.training.conftest import archive, files, tiny

__all__ = ["archive", "files", "tiny"]  # fixtures of the tests of training, for `segdemo train`
SIDE = "97"  # pixels; enough to find the cat


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """A small photograph of a cat, 90 × 60."""
    path = tmp_path / "cat.png"
    with Image.open(example("chelsea")) as picture:
        picture.resize((90, 60)).save(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


def segment(*words: object, side: str = SIDE) -> int:
    return main(["segment", *map(str, words), "--side", side])


def layers(*words: object) -> int:
    return main(["layers", *map(str, words), "--side", SIDE])
