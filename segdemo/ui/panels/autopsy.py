"""A pinned pixel taken apart: its classes, what each stage could see there, which channels decided."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from segdemo.engine import Engine
from segdemo.explain.autopsy import Autopsy, PixelAutopsy, Push, StageAutopsy
from segdemo.explain.card import card as diagnosis
from segdemo.explain.python import as_python
from segdemo.explain.readout import LinearReadout, Readout
from segdemo.questions import Run
from segdemo.rendering import scale_for
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering, sentence_of
from segdemo.ui.panels import asked_run, css, plain, store
from segdemo.ui.panels.heat import heat, photograph

NAMED = 5  # classes
SHOWN = 3  # channels of each stage for the winner, and as many against it


class AutopsyPanel(gr.HTML):
    """Shows a :class:`Run`: its script asks about the pixel that is pinned.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def picture(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return {"photo": photograph(engine.picture(asked_run(asked).picture).picture)}

        @answering
        def autopsy(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            question = PixelAutopsy(
                run.network, run.picture, checks.point("point", asked.get("point")), run.size, run.step
            )
            found: Autopsy = engine.answer(question)
            trouble = None if found.trouble is None else sentence_of(found.trouble, request)
            return payload(found) | {"trouble": trouble, "python": as_python(question)}

        @answering
        def readout(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            point = checks.point("point", asked.get("point"))
            question = LinearReadout(run.network, run.picture, point, run.size, run.step)
            found: Readout = engine.answer(question)
            stages = [asdict(stage) for stage in found.stages]
            return plain({"first": found.first, "winner": found.winner, "python": as_python(question)}) | {
                "stages": stages
            }

        @answering
        def card(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            point = checks.or_none(checks.point)("point", asked.get("point"))
            return {"file": store(diagnosis(engine, asked_run(asked), point).encode(), "card.html")}

        super().__init__(
            html_template='<section class="why-card"></section>',
            css_template=css("why"),
            js_on_load=loader("autopsy"),
            apply_default_css=False,
            server_functions=[picture, autopsy, readout, card],
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


def payload(found: Autopsy) -> dict[str, Any]:
    """Gather what the script shows of a pixel."""
    return plain(
        {
            "point": found.point,
            "untrained": not found.trained,
            "whole": found.whole,
            "margin": found.margin,
            "candidates": [asdict(one) for one in found.candidates[:NAMED]],
            "effective": heat(found.effective),
            "effective_box": found.effective_box,
            "stages": [_stage(stage) for stage in found.stages],
        }
    )


def _stage(stage: StageAutopsy) -> dict[str, Any]:
    shown = (*stage.channels[:SHOWN], *stage.against[:SHOWN])
    reach = max((float(abs(push.map).max()) for push in shown), default=0.0)

    def channel(push: Push) -> dict[str, Any]:
        return {"channel": push.channel, "push": push.push, **heat(push.map, scale_for(-reach or -1e-30, reach))}

    return {
        "label": stage.label,
        "layer": stage.layer,
        "shape": stage.shape,
        "box": stage.box,
        "largest": stage.largest,
        "border": stage.reaches_border,
        "exact": stage.exact,
        "total": stage.total,
        "channels": [channel(push) for push in stage.channels[:SHOWN]],
        "against": [channel(push) for push in stage.against[:SHOWN]],
    }
