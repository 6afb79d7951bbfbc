"""Ground truth beside the segmentation, and where the network is wrong; not to be seen where there is none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from segdemo import rendering
from segdemo.engine import Engine
from segdemo.explain.python import as_python
from segdemo.questions import Run
from segdemo.truth import Agreed, Agreement
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, plain, store
from segdemo.ui.panels.compare import shown_size

# Of errors, distinct for colour-blind readers: another class, the class where it is not, not where it is, not scored.
COLOURS = {"wrong": "#d62878", "extra": "#f59e0b", "missed": "#2563eb", "ignored": "#808080"}


class TruthPanel(gr.HTML):
    """Shows a :class:`Run`: its script asks for the ground truth of its picture.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def truth(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return payload(engine, asked_run(asked))

        super().__init__(
            html_template='<section class="why-card" hidden></section>',
            css_template=css("why"),
            js_on_load=loader("truth"),
            apply_default_css=False,
            server_functions=[truth],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page."""

    def postprocess(self, value: Run | None) -> dict[str, Any] | None:  # type: ignore[override]
        """Tell the script what to ask for."""
        return None if value is None else asdict(value)

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def payload(engine: Engine, run: Run) -> dict[str, Any]:
    """Gather what the script shows; ``labels`` is None where there is no ground truth.

    In the labels red is the class that the picture has, 255 where nothing is scored, and green the one that it was
    given.
    """
    question = Agreement(run.network, run.picture, run.size, run.step)
    agreed: Agreed = engine.answer(question)
    if agreed.mask is None or agreed.given is None:
        return {"labels": None}
    picture = engine.picture(run.picture).picture
    width, height = size = shown_size(picture.size)
    sides = zip((height, width), agreed.mask.shape, strict=True)
    rows, columns = (((np.arange(shown) + 0.5) * whole / shown).astype(int) for shown, whole in sides)
    maps = [one[np.ix_(rows, columns)].astype(np.uint8) for one in (agreed.mask, agreed.given)]
    labels = np.stack([*maps, np.zeros((height, width), np.uint8)], -1)
    return plain(
        {
            "photo": store(rendering.encode_jpeg(picture.resize(size)), "picture.jpg"),
            "labels": store(rendering.encode_png(Image.fromarray(labels)), "truth.png"),
            "size": picture.size,
            "classes": [
                {"name": one.name, "colour": one.colour, "hidden": one.hidden, "iou": iou}
                for one, iou in zip(agreed.classes, agreed.iou, strict=True)
            ],
            "mean": agreed.mean,
            "colours": COLOURS,
            "python": as_python(question, value="answer.mean, answer.iou"),
        }
    )
