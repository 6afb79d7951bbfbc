"""``segdemo segment``: what it writes and says, held against what the package computes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo import Segmenter
from segdemo.__main__ import main
from segdemo.examples import example
from tests.commands.conftest import SIDE, segment
from tests.conftest import mixed_by_hand


def test_segment_writes_mask_overlay_and_shares(cat: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(cat, "--out", out) == 0
    with Image.open(cat) as opened:
        picture = opened.convert("RGB")
    segmenter = Segmenter()
    result = segmenter.run(picture, int(SIDE))
    with Image.open(out / "cat-mask.png") as mask:
        assert mask.mode == "P"
        assert np.array_equal(np.asarray(mask), result.mask)
    with Image.open(out / "cat-overlay.png") as overlay:
        colours = [share.colour for share in result.classes]
        assert np.abs(np.array(overlay) - mixed_by_hand(picture, result.mask, colours, 0.55, {0})).max() <= 0.5 + 1e-4
    facts = json.loads((out / "cat.json").read_text("utf-8"))
    assert facts["shares"] == {share.name: share.percent for share in result.classes}
    assert sum(facts["shares"].values()) == pytest.approx(100)
    assert max(facts["shares"], key=facts["shares"].get) == "cat"
    assert (facts["network"], facts["trained"], facts["side"], facts["size"]) == (
        "deeplabv3_mobilenet_v2",
        True,
        97,
        [90, 60],
    )
    said = capsys.readouterr()
    assert "cat " in said.out and "untrained" not in said.out
    assert said.err == ""


def test_segment_of_a_folder_shows_progress_and_goes_on_after_a_bad_file(
    cat: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cat.parent / "bad.png").write_text("no picture", "utf-8")
    (cat.parent / "notes.txt").write_text("passed over", "utf-8")
    (cat.parent / ".hidden.png").write_text("passed over", "utf-8")
    assert segment(cat.parent, "--out", out) == 2
    assert sorted(path.name for path in out.iterdir()) == ["cat-mask.png", "cat-overlay.png", "cat.json"]
    errors = capsys.readouterr().err
    assert errors.count("cannot be read as a picture") == 1 and "bad.png" in errors
    assert "2/2" in errors


def test_classifier_writes_probabilities_and_no_mask(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(example("digit")), "--network", "lenet", "--out", str(out)]) == 0
    assert re.search(r"digit\.png: 5, 9\d\.\d%", capsys.readouterr().out)
    assert [path.name for path in out.iterdir()] == ["digit.json"]
    facts = json.loads((out / "digit.json").read_text("utf-8"))
    assert sum(facts["probabilities"].values()) == pytest.approx(1)
    assert "shares" not in facts


def test_overlays_are_left_out_when_nobody_wants_them(cat: Path, out: Path) -> None:
    assert segment(cat, "--out", out, "--no-overlay") == 0
    assert sorted(path.name for path in out.iterdir()) == ["cat-mask.png", "cat.json"]
