"""The Python that stands beside each view of the workspace gives, when it is run, what the view shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.questions import Activation, Layers, LayerSummary, Run
from segdemo.results import Result
from segdemo.ui.panels import channels, figure, segmentation


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("here") / "picture.jpg"
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(values).resize((80, 60)).save(path)
    return path


@pytest.fixture(scope="module")
def run(engine: LocalEngine, file: Path) -> Run:
    return Run("unet_narrow", engine.keep(file), 96)


@pytest.fixture
def printed(file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs code beside the picture, and gives what it would print."""
    monkeypatch.chdir(file.parent)

    def run_it(code: str) -> Any:
        said: list[Any] = []
        names: dict[str, Any] = {"print": said.append}
        exec(code, names)
        names["engine"].close()
        return said[0]

    return run_it


def test_each_view_of_the_segmentation_has_its_own(engine: LocalEngine, run: Run, printed: Any) -> None:
    result: Result = engine.answer(run)
    codes = segmentation.python_of(run, result)
    shown = {
        "mask": result.mask,
        "compare": result.mask,
        "probability": result.probability("foreground"),
        "confidence": result.confidence,
        "entropy": result.entropy,
        "seen": result.seen,
    }
    assert set(codes) == set(shown)
    for view in ("mask", "probability", "entropy", "seen"):
        code = codes[view].replace("{class}", json.dumps("foreground"))
        np.testing.assert_array_equal(printed(code), shown[view])
    digit = Run("lenet", engine.keep(Image.new("RGB", (32, 32))))
    codes = segmentation.python_of(digit, engine.answer(digit))
    assert set(codes) == {"seen", "picture"} and set(printed(codes["picture"])) == set("0123456789")


def test_the_figure_has_its_own_before_and_after_a_run(engine: LocalEngine, run: Run, printed: Any) -> None:
    drawn = figure.Figure(run.network, 96, None, run, None)
    before = printed(figure.python_of(replace(drawn, run=None)))
    assert before == engine.answer(Layers(run.network, 96))
    layers = printed(figure.python_of(drawn))
    truth = engine.answer(run).layers
    assert {label: one.mean for label, one in layers.items()} == {label: one.mean for label, one in truth.items()}


def test_the_sheet_of_channels_has_its_own_for_all_for_one_and_for_a_ranking(
    engine: LocalEngine, run: Run, printed: Any
) -> None:
    grid = channels.ChannelGrid(run, "Encoder 1")
    layer = engine.networks[run.network].stages[0].layer
    truth = engine.answer(LayerSummary(run.network, run.picture, layer, run.size)).channels
    np.testing.assert_array_equal(printed(channels.python_of(grid, layer)).mean_abs, truth.mean_abs)
    one = printed(channels.python_of(replace(grid, channel=3), layer))
    np.testing.assert_array_equal(one, engine.answer(Activation(run.network, run.picture, layer, 3, run.size)))
    scores = printed(channels.python_of(replace(grid, ranking="point", point=(5, 6)), layer))
    _, shown = channels.ranked(engine, replace(grid, ranking="point", point=(5, 6)), layer, None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(scores, shown)
