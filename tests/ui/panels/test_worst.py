"""What the panels answer that go through many pictures, and that show ground truth."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.gallery import Entry, Gallery
from segdemo.questions import Run
from segdemo.results import Result
from segdemo.ui import build_app
from segdemo.ui.panels import truth
from segdemo.ui.panels.worst import judged_payload, ranking_payload

NETWORK = "unet_narrow"


class Drawn:
    """Ground truth: foreground in the left half, the first row left out."""

    classes = ("background", "foreground")

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def read(self) -> np.ndarray:
        mask = np.zeros(self.size[::-1], np.uint8)
        mask[:, : self.size[0] // 2] = 1
        mask[0] = 255
        return mask


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    with Image.open(example("chelsea")) as opened:
        cat = opened.convert("RGB").resize((150, 100))
    entries = (Entry("a cat", lambda: cat, Drawn(cat.size)), Entry("turned/cat.png", lambda: cat.rotate(180)))
    engine.gallery = Gallery(entries, True, "set.zip")
    yield engine
    engine.close()


def test_pictures_are_judged_and_ranked(engine: LocalEngine) -> None:
    run = Run(NETWORK, "", 96)
    one, other = (judged_payload(engine, run, name) for name in ("a cat", "turned/cat.png"))
    assert 0 < one["iou"] < 1 and other["iou"] is None and one["thumbnail"].startswith("data:image/jpeg")
    found = ranking_payload(engine, run)
    assert (
        found["masked"] and not found["telling"] and "worst_first(engine, 'unet_narrow', 'set.zip'" in found["python"]
    )


def test_truth_and_errors_are_those_of_the_picture(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, bytes] = {}
    monkeypatch.setattr(truth, "store", lambda content, name: kept.update({name: content}) or {"url": name})
    judged = judged_payload(engine, Run(NETWORK, "", 96), "a cat")
    run = Run(NETWORK, judged["picture"], 96)
    found: dict[str, Any] = truth.payload(engine, run)
    labels = np.asarray(Image.open(io.BytesIO(kept["truth.png"])))
    result: Result = engine.answer(run)
    is_, given = Drawn((150, 100)).read(), result.mask
    np.testing.assert_array_equal(labels[..., 0], is_)
    np.testing.assert_array_equal(labels[..., 1], given)
    scored = is_ != 255
    for index, one in enumerate(found["classes"]):
        both, any_ = (is_ == index) & (given == index) & scored, ((is_ == index) | (given == index)) & scored
        assert one["iou"] == pytest.approx(both.sum() / any_.sum())
    assert found["mean"] == judged["iou"] == pytest.approx(np.mean([one["iou"] for one in found["classes"]]))
    bare = engine.keep(example("astronaut"))
    assert truth.payload(engine, Run(NETWORK, bare, 96)) == {"labels": None}


def test_a_picture_of_the_gallery_is_opened_and_no_other_file(engine: LocalEngine) -> None:
    page = build_app(engine)
    handler = next(fn.fn.__wrapped__ for fn in page.fns.values() if fn.name == "open_picture")  # type: ignore[union-attr]
    request = gr.Request(headers={}, cookies={})

    def opened(name: Any) -> Path:
        return Path(handler(None, gr.EventData(None, {"value": name}), request))

    path = opened("turned/cat.png")
    with Image.open(path) as picture:
        assert np.array_equal(np.asarray(picture), engine.gallery.entries[1].read())
    assert opened("chelsea") == example("chelsea")
    for wrong in ("/etc/passwd", "../cat.png", None, 3, ["a cat"]):
        with pytest.raises(InputError):
            opened(wrong)
