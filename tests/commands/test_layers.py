"""``segdemo layers``: exact values, and sheets of native pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo import NETWORKS, Segmenter, rendering
from tests.commands.conftest import SIDE, layers


def test_layers_writes_the_exact_values_and_a_sheet_of_native_pixels(
    cat: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert layers(cat, "--stage", "Stem", "--out", out) == 0
    with Image.open(cat) as picture:
        values = Segmenter().activation(picture, "Stem", size=int(SIDE))
    with np.load(out / "cat-stem.npz") as saved:
        assert saved["activation"].dtype == np.float32
        assert np.array_equal(saved["activation"], values)
        facts = json.loads(str(saved["metadata"]))
    assert facts == json.loads((out / "cat-stem.json").read_text("utf-8"))
    count, height, width = values.shape
    assert facts["shape"] == [count, height, width]
    assert (facts["minimum"], facts["maximum"]) == (values.min(), values.max())
    assert facts["scale"] == {"low": values.min(), "high": values.max(), "diverging": False}
    assert facts["scope"] == "layer"
    columns = facts["sheet"]["columns"]
    scale = rendering.scale_for(float(values.min()), float(values.max()))
    with Image.open(out / "cat-stem.png") as sheet:
        assert sheet.size == (columns * (width + 1) - 1, -(-count // columns) * (height + 1) - 1)
        channel = columns + 1  # second in the second row
        box = (width + 1, height + 1, 2 * width + 1, 2 * height + 1)
        assert sheet.crop(box).tobytes() == rendering.heat_map(values[channel], scale).tobytes()
    assert f"{count} × {height} × {width}" in capsys.readouterr().out


def test_layers_without_stage_writes_every_stage_of_the_figure(cat: Path, out: Path) -> None:
    assert layers(cat, "--scope", "channel", "--out", out) == 0
    stages = [stage.label for stage in NETWORKS["deeplabv3_mobilenet_v2"].stages]
    facts = [json.loads(path.read_text("utf-8")) for path in out.glob("*.json")]
    assert sorted(fact["stage"] for fact in facts) == sorted(stages)
    assert len(list(out.glob("*.png"))) == len(list(out.glob("*.npz"))) == len(stages)
    assert {fact["scope"] for fact in facts} == {"channel"}


def test_layers_takes_a_folder_too_and_goes_on_after_a_file_that_is_no_picture(
    cat: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "broken.png").write_text("no picture")
    (folder / "cat.png").write_bytes(cat.read_bytes())
    assert layers(folder, "--stage", "Stem", "--out", out) == 2
    assert "broken.png cannot be read as a picture" in capsys.readouterr().err
    assert (out / "cat-stem.npz").is_file()
