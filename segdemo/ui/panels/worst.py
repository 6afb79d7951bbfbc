"""Many pictures, the worst first: those of a person's own page; a click opens one in the workspace."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from segdemo.engine import Engine
from segdemo.explain.judge import GalleryFacts, Judge, Judged, Photograph, Pictures, WorstFirst
from segdemo.explain.python import worst_python
from segdemo.explain.worst import Worst
from segdemo.questions import Run
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, plain
from segdemo.ui.panels.heat import photograph

THUMBNAIL = 160  # pixels of the longest side
SHARES = 3  # classes named of each picture


class WorstPanel(gr.HTML):
    """Shows a :class:`Run`: its script has the same network go through all pictures; ``open`` comes with one's name.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def pictures(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return plain({"names": engine.answer(Pictures()).names})

        @answering
        def judge(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return judged_payload(engine, asked_run(asked), checks.text("name", asked.get("name"), longest=1000))

        @answering
        def ranking(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return ranking_payload(engine, asked_run(asked))

        super().__init__(
            html_template='<section class="why-card"></section>',
            css_template=css("why"),
            js_on_load=loader("worst", "open"),
            apply_default_css=False,
            server_functions=[pictures, judge, ranking],
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


def judged_payload(engine: Engine, run: Run, name: str) -> dict[str, Any]:
    """Gather what is shown of one picture."""
    found: Judged = engine.answer(Judge(run.network, name, run.size, run.step))
    return plain(
        {
            "name": found.name,
            "picture": found.picture,
            "iou": found.iou,
            "entropy": found.entropy,
            "shares": found.shares[:SHARES],
            "thumbnail": photograph(engine.answer(Photograph(name)), THUMBNAIL),
        }
    )


def ranking_payload(engine: Engine, run: Run) -> dict[str, Any]:
    """Say, once all are judged, which channels tell failing pictures from good ones."""
    found: Worst = engine.answer(WorstFirst(run.network, run.size, run.step))
    facts: GalleryFacts = engine.answer(Pictures())
    code = worst_python(run, facts.source or "folder", masked=found.masked, mapping=facts.mapping)
    return plain({"masked": found.masked, "telling": [asdict(one) for one in found.telling], "python": code})
