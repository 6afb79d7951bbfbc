"""What the panel that puts two runs side by side answers, and what it refuses."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.compare import Compare
from segdemo.questions import Run
from segdemo.ui.address import read
from segdemo.ui.panels import compare
from segdemo.ui.panels.compare import checked_word, choices_payload, other_of, payload


@pytest.fixture(scope="module")
def run(engine: LocalEngine) -> Run:
    return Run("unet_narrow", engine.keep(example("chelsea")), 96)


def test_words_of_the_address_name_the_other_side(engine: LocalEngine, run: Run) -> None:
    assert other_of(engine, run, "network.u2netp").run == Run("u2netp", run.picture)
    assert other_of(engine, run, "step.0").run == replace(run, step=0)
    assert other_of(engine, replace(run, step=0), "step.end").run == run
    assert other_of(engine, run, "example.astronaut").run == replace(run, picture=engine.keep(example("astronaut")))
    turned = other_of(engine, run, "rotated.50")
    assert turned.turned == 15 and turned.run.picture != run.picture
    assert other_of(engine, run, "blurred.0").run == run


@pytest.mark.parametrize(
    "word",
    ["", "blurred", "blurred.101", "blurred.-1", "blurred.1e1", "network.none", "example.none", "step.", "why.5"],
)
def test_other_words_are_refused_and_leave_the_address(engine: LocalEngine, word: str) -> None:
    with pytest.raises(InputError):
        checked_word(engine, word)
    view = read(engine, {"compare": word})
    assert view.strays == ("compare",) and len(view.troubles) == 1


def test_a_step_that_there_is_not_is_refused_and_so_is_a_file_of_the_servers(engine: LocalEngine, run: Run) -> None:
    with pytest.raises(InputError):
        other_of(engine, run, "step.123456789012")
    with pytest.raises(InputError, match="not uploaded"):
        other_of(engine, run, None, "/etc/passwd")


def test_what_is_offered_shares_a_class_and_is_not_on_show_already(engine: LocalEngine, run: Run) -> None:
    found = choices_payload(engine, run)
    names = [name for name, _ in found["networks"]]
    assert "u2netp" in names and "unet_narrow" not in names and "lenet" not in names
    assert found["steps"][0] == 0 and "end" not in found["steps"]
    assert "end" in choices_payload(engine, replace(run, step=0))["steps"]


def test_the_maps_say_what_the_comparison_says(engine: LocalEngine, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Image.Image] = {}

    def store(content: bytes, name: str) -> dict[str, str]:
        url = f"{len(kept)}-{name}"
        kept[url] = Image.open(io.BytesIO(content))
        return {"name": name, "url": url}

    monkeypatch.setattr(compare, "store", store)
    other = other_of(engine, run, "rotated.100")
    found: dict[str, Any] = payload(engine, run, other)
    truth = engine.answer(Compare(run, other.run, other.turned))
    differences = np.asarray(kept[found["differences"]["url"]])
    np.testing.assert_array_equal(differences == 1, truth.disagreement)  # the cat is small enough to be shown whole
    np.testing.assert_array_equal(differences == 2, ~truth.compared)
    left, right = (np.asarray(kept[side["labels"]["url"]]) for side in found["sides"])
    np.testing.assert_array_equal(left[..., 0], truth.left.mask)
    np.testing.assert_array_equal((left[..., 0] != right[..., 0]) & (right[..., 2] == 0), truth.disagreement)
    assert (
        found["percent"] == truth.percent and "altered(load_picture('picture.jpg'), 'rotated', 1.0)" in found["python"]
    )
