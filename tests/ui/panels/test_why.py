"""What the panels of the tab that asks why answer, and what they refuse."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.autopsy import PixelAutopsy
from segdemo.explain.hooks import HonestHook
from segdemo.explain.mixer import Change, Mix
from segdemo.questions import Run
from segdemo.ui.panels import autopsy, honest, mixer
from segdemo.ui.panels.evidence import asked_evidence

NETWORK = "unet_narrow"


@pytest.fixture(scope="module")
def run(engine: LocalEngine) -> Run:
    return Run(NETWORK, engine.keep(example("chelsea")), 128)


def test_an_autopsy_is_plain_and_its_maps_are_inline(engine: LocalEngine, run: Run) -> None:
    found = autopsy.payload(engine.answer(PixelAutopsy(run.network, run.picture, (20, 30), run.size)))
    assert found["point"] == [20, 30] and len(found["stages"]) == 10
    chip = found["stages"][0]["channels"][0]
    assert chip["src"].startswith("data:image/png;base64,") and chip["scale"][0] == -chip["scale"][1]


def test_what_evidence_is_asked_is_read(run: Run) -> None:
    asked = {"run": asdict(run), "layer": "Logits", "where": "region", "region": [[1, 2], [3, 4]], "class": None}
    found = asked_evidence(asked)
    assert found.region == ((1, 2), (3, 4)) and found.layer == "Logits" and found.method == "gradcam"
    refused: list[dict[str, Any]] = [
        {"where": "there"},
        {"method": 3},
        {"layer": None},
        {"region": [["a", 2]]},
        {"point": [1]},
    ]
    for wrong in refused:
        with pytest.raises(InputError):
            asked_evidence(asked | wrong)


def test_changes_are_read_in_percent_and_bounded() -> None:
    found = mixer.asked_changes([{"layer": "A", "into": "B", "factor": 50, "channels": [3, 1], "instead": "mean"}])
    assert found[0].factor == 0.5 and set(found[0].channels) == {1, 3} and found[0].into == "B"
    refused: tuple[Any, ...] = (
        "x",
        None,
        [{"layer": "A", "factor": 201}],
        [{"layer": "A", "factor": 1.5}],
        [{}],
        [{}] * 65,
    )
    for wrong in refused:
        with pytest.raises(InputError):
            mixer.asked_changes(wrong)


def test_the_sliders_are_those_of_the_figure(engine: LocalEngine, run: Run) -> None:
    found = mixer.sliders_payload(engine, run)
    assert ["Encoder 4", "Decoder 4"] in found["skips"] and len(found["skips"]) == 4
    assert {"label": "Encoder 1", "channels": 8} in found["stages"]


def test_a_mix_says_what_changed(engine: LocalEngine, run: Run) -> None:
    mixed = engine.answer(Mix(run.network, run.picture, (Change("Encoder 1", "Decoder 1", 0.0),), run.size))
    found: dict[str, Any] = mixer.payload(mixed, engine.picture(run.picture).picture)
    assert found["percent"] == pytest.approx(mixed.percent) and len(found["shares"]) == 2


def test_a_ranking_goes_on_where_it_was_and_ends(engine: LocalEngine, run: Run) -> None:
    asked: dict[str, Any] = {"run": asdict(run), "layer": "Decoder 1", "class": "foreground"}
    found = mixer.rank_payload(engine, asked)
    assert (found["done"], found["total"]) == (8, 8) and len(found["ranks"]) == 8
    with pytest.raises(InputError, match="has 8 channels"):
        mixer.rank_payload(engine, asked | {"first": 8})


def test_a_hook_is_shown_by_the_channel_that_differs_most(engine: LocalEngine, run: Run) -> None:
    found = honest.payload(engine.answer(HonestHook(run.network, run.picture, "inc", run.size)))
    assert found["wrong"] == 0 and found["truth"]["src"] == found["naive"]["src"]
