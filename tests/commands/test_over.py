"""``segdemo layers --over``: statistics of channels over many pictures, held against sums over all their values."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo import Segmenter
from segdemo.__main__ import main
from segdemo.commands import over
from segdemo.commands.journal import NAME

STAGE = "Decoder 3"
COUNT = 5


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five square pictures of different brightness, and a broken one among them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray((one * (number + 1) / COUNT).astype(np.uint8)).save(folder / f"{number}.png")
    (folder / "1-broken.png").write_bytes(b"no picture")
    return folder


def look(pictures: Path, out: Path, *more: object) -> int:
    words = ["layers", "--over", pictures, "--network", "unet", "--side", "128", "--out", out, "--top", 2, *more]
    return main([str(word) for word in words])


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_figures_are_those_of_all_values_together(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(pictures, tmp_path / "out", "--stage", STAGE, "--report", tmp_path / "report.csv") == 2
    rows = table(tmp_path / "out" / "decoder-3.csv")
    segmenter, good = Segmenter("unet"), [pictures / f"{number}.png" for number in range(COUNT)]
    values = np.stack([segmenter.activation(path, STAGE, size=128) for path in good]).astype(np.float64)
    assert values.shape[2:] <= (96, 96)  # thumbnails, by which pictures are ranked, hold every value
    by_channel = values.transpose(1, 0, 2, 3).reshape(len(rows), -1)
    for name, expected in (
        ("mean", by_channel.mean(1)),
        ("std", by_channel.std(1)),
        ("zero_share", (by_channel == 0).mean(1)),
        ("minimum", by_channel.min(1)),
        ("maximum", by_channel.max(1)),
    ):
        assert np.allclose([float(row[name]) for row in rows], expected, rtol=1e-5, atol=1e-7), name
    assert [row["dead"] == "1" for row in rows] == (by_channel == 0).all(1).tolist()
    strongest = np.argsort(-np.abs(values).mean((2, 3)), axis=0, kind="stable")[:2]
    live = [channel for channel in range(len(rows)) if rows[channel]["dead"] == "0"]
    for channel in live:
        assert [Path(rows[channel][f"top_{n}"]).name for n in (1, 2)] == [f"{n}.png" for n in strongest[:, channel]]
    report = table(tmp_path / "report.csv")
    assert [bool(row["error"]) for row in report] == ["broken" in row["picture"] for row in report]
    assert len(report) == COUNT + 1
    assert f"over all {COUNT} pictures" in capsys.readouterr().out


def test_what_was_killed_is_completed_by_the_same_command(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    look(pictures, whole, "--report", tmp_path / "whole.csv")
    run, ran = over.Counting.run, []

    def dies(self: over.Counting, read: Image.Image) -> Any:
        ran.append(read)
        if len(ran) == COUNT:
            raise KeyboardInterrupt
        return run(self, read)

    monkeypatch.setattr(over, "SAVE", 2)
    monkeypatch.setattr(over.Counting, "run", dies)
    assert look(pictures, out, "--report", tmp_path / "report.csv") == 130
    assert [path.name for path in out.iterdir()] == [f"{NAME}.npz"]
    assert look(pictures, out, "--report", tmp_path / "report.csv") == 2
    assert len(ran) < 2 * COUNT  # not all of them anew
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    assert (tmp_path / "report.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_stages_that_are_none_and_options_that_are_for_many_are_refused(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(pictures, tmp_path / "out", "--stage", "Nowhere") == 2
    assert "Decoder 3" in capsys.readouterr().err
    assert main(["layers", str(pictures / "0.png"), "--engine", "auto", "--out", str(tmp_path / "out")]) == 2
    assert "--over" in capsys.readouterr().err
