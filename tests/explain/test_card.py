"""The diagnosis card: complete in itself, bounded, and true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from segdemo.__main__ import main
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.card import LARGEST, card, confused
from segdemo.questions import Run
from segdemo.results import Result


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v2", "lenet", "unet_mobilenet_v2"])
def test_a_card_asks_for_nothing_and_is_bounded(engine: LocalEngine, name: str) -> None:
    picture = engine.keep(example("digit" if name == "lenet" else "astronaut"))
    content = card(engine, Run(name, picture), (8, 9))
    assert len(content.encode()) <= LARGEST
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', content)
    assert sources and all(source.startswith("data:") for source in sources)
    assert "http" not in content.replace("http-equiv", "")
    assert "default-src 'none'" in content
    for word in ("Segmentation", "Findings", "Stages", "One pixel", "dead", "saturated", "PixelAutopsy"):
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


def test_a_point_outside_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(InputError, match="There is no pixel"):
        card(engine, Run("unet_narrow", engine.keep(example("chelsea"))), (9999, 0))


def test_the_command_writes_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "card.html"
    words = [str(example("chelsea")), "--network", "unet_narrow", "--out", str(out), "--point", "20,30"]
    assert main(["card", *words]) == 0
    assert "Pixel (20, 30)" in out.read_text("utf-8") and str(out) in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [out]
