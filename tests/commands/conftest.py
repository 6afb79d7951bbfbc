"""A picture for the commands, a place for what they write, and the commands as functions."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
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


def kill_in_the_middle(words: Sequence[str], lines: int) -> None:
    """Start a command, and kill it for good once it has said so many lines.

    It cannot end before, for want of a reader, where it has more than 4096 bytes to say beyond them.
    """
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    with open(read, encoding="utf-8", buffering=1) as said, open(write, "wb") as room:
        command = subprocess.Popen([sys.executable, "-m", "segdemo", *words], stdout=room, stderr=subprocess.DEVNULL)
        room.close()
        for _ in range(lines):
            assert said.readline()
        command.kill()
        command.wait(60)
