"""A command that is killed in the middle, and the same command again: all is there, as if nothing had happened."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo.__main__ import main
from segdemo.commands.journal import NAME
from tests.commands.conftest import kill_in_the_middle

COUNT = 40  # pictures; what the command says of them is more than a pipe holds


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of small pictures, the third of them broken, as named from the folder it is in."""
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.chdir(tmp_path)
    folder = Path("pictures-" + "x" * 60)
    folder.mkdir()
    for number, one in enumerate(np.random.default_rng(0).integers(0, 256, (COUNT, 6, 8, 3), np.uint8)):
        Image.fromarray(one).save(folder / f"{number:02}.png")
    (folder / "02.png").write_bytes(b"no picture")
    return str(folder)


def results() -> dict[str, bytes]:
    """What there is beside the pictures, and set it aside."""
    found = {
        str(path): path.read_bytes()
        for path in Path().rglob("*")
        if path.is_file() and path.parts[0] in ("out", "report.csv")
    }
    shutil.rmtree("out")
    Path("report.csv").unlink()
    return found


def test_segment_that_was_killed_is_completed_by_the_same_command(pictures: str) -> None:
    words = ["segment", pictures, "--network", "unet_narrow", "--side", "32", "--out", "out", "--report", "report.csv"]
    assert main(words) == 2
    expected = results()
    assert len(expected) == 3 * (COUNT - 1) + 1
    kill_in_the_middle(words, 5)
    assert not Path("report.csv").exists()
    known = Path("out", NAME).read_bytes().count(b"\n") - 1
    assert 5 <= known < COUNT - 1
    done = {path: path.stat().st_mtime_ns for path in sorted(Path("out").glob("0*"))[:12]}
    assert main(words) == 2
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())  # not worked out again
    assert results() == expected
    assert [path.name for path in Path().iterdir()] == [pictures]  # nothing half written is left
