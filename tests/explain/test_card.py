"""The diagnosis card: complete in itself, bounded, and true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo import Segmenter
from segdemo.__main__ import main
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.card import LARGEST, card, confused, padding_effect, troubles
from segdemo.questions import Run, facts_of
from segdemo.results import Result
from tests.explain.conftest import SIZE


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v2", "lenet", "unet_mobilenet_v2"])
def test_a_card_asks_for_nothing_and_is_bounded(engine: LocalEngine, name: str) -> None:
    picture = engine.keep(example("digit" if name == "lenet" else "astronaut"))
    content = card(engine, Run(name, picture), (8, 9))
    assert len(content.encode()) <= LARGEST
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', content)
    assert sources and all(source.startswith(("data:", "#stage-")) for source in sources)
    assert "http" not in content.replace("http-equiv", "")
    assert "default-src 'none'" in content
    for word in ("Segmentation", "Findings", "The network", "Stages", "One pixel", "dead", "saturated", "PixelAutopsy"):
        assert word in content


def test_the_python_of_a_card_gives_what_the_card_says(engine: LocalEngine, tmp_path: Path) -> None:
    picture = engine.keep(example("chelsea"))
    content = card(engine, Run("unet_narrow", picture), (5, 6), file=str(example("chelsea")))
    code = re.search(r"<pre>(.*?)</pre>", content, re.DOTALL)
    assert code is not None
    lines = code[1].replace("&#x27;", "'").replace("print(answer)", "")
    names: dict[str, object] = {}
    exec(lines, names)
    answer = names["answer"]
    assert f"by {answer.margin:.3g} in logits" in content  # type: ignore[attr-defined]
    names["engine"].close()  # type: ignore[attr-defined]


def test_names_become_no_markup(engine: LocalEngine) -> None:
    content = card(engine, Run("unet_narrow", engine.keep(example("chelsea"))), None, "<script>alert(1)</script>.png")
    assert "<script>alert" not in content


def test_the_most_confused_pair_is_counted(engine: LocalEngine) -> None:
    result: Result = engine.answer(Run("unet_mobilenet_v2", engine.keep(example("chelsea"))))
    found = confused(result)
    assert found is not None
    odds = np.exp(result.logits) / np.exp(result.logits).sum(0)
    order = np.argsort(-odds, 0)
    totals = {
        (one, other): np.where((order[0] == one) & (order[1] == other), np.sort(odds, 0)[-2], 0).sum()
        for one in range(len(odds))
        for other in range(len(odds))
    }
    best = max(totals, key=lambda pair: totals[pair])
    assert found[:2] == (result.names[best[0]], result.names[best[1]])
    assert 0 < found[2] < 0.5


def test_the_figure_has_a_box_for_each_stage_an_arrow_for_each_input_and_opens_the_stages(engine: LocalEngine) -> None:
    content = card(engine, Run("unet_mobilenet_v2", engine.keep(example("chelsea"))))
    stages = Segmenter("unet_mobilenet_v2").figure.stages
    figure = content.split('<svg class="figure"')[1].split("</svg>")[0]
    assert figure.count('<rect class="box"') == figure.count("<image ") == len(stages) == 10
    labels = {stage.label for stage in stages}
    for kind, sources in (("data", "inputs"), ("skip", "skips")):
        count = sum(source in labels for stage in stages for source in getattr(stage, sources))
        assert figure.count(f'class="arrow {kind}"') == count > 3
    for number in range(10):
        assert f'href="#stage-{number}"' in figure and f'<details id="stage-{number}"' in content


def test_dead_channels_are_named_and_marked(engine: LocalEngine) -> None:
    run = Run("unet_mobilenet_v2", engine.keep(example("coffee")))
    result: Result = engine.answer(run)
    facts = facts_of(engine, run.network)
    dead = {stage.label: list(result.layers[stage.label].dead) for stage in facts.stages}
    assert any(dead.values())
    told = troubles(result, facts)
    for label, channels in dead.items():
        assert (
            (f"{len(channels)} dead (#{channels[0]}" in told[label]) if channels else "dead" not in told.get(label, "")
        )
    content = card(engine, run)
    assert content.count('class="mark"') == len(told) and "Dead or saturated channels" in content


def test_without_padding_nothing_differs_in_an_even_picture_and_with_padding_something_does(
    engine: LocalEngine,
) -> None:
    size = (SIZE, SIZE)
    assert padding_effect(engine, Run("linear", ""), size) == (0.0, 0.0)  # of 1 × 1 convolutions
    result: Result = engine.answer(Run("unet_narrow", engine.keep(Image.new("RGB", (100, 80), (128, 128, 128))), 128))
    other, varies = padding_effect(engine, Run("unet_narrow", "", 128), (100, 80))
    assert other == pytest.approx(100 * (result.mask != result.mask[40, 50]).mean())
    assert varies == pytest.approx(result.confidence.max() - result.confidence.min()) and varies > 0


def test_a_point_outside_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(InputError, match="There is no pixel"):
        card(engine, Run("unet_narrow", engine.keep(example("chelsea"))), (9999, 0))


def test_the_command_writes_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "card.html"
    words = [str(example("chelsea")), "--network", "unet_narrow", "--out", str(out), "--point", "20,30"]
    assert main(["card", *words]) == 0
    assert "Pixel (20, 30)" in out.read_text("utf-8") and str(out) in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [out]
