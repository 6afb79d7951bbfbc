"""What in a layer speaks for a class: its map over the photograph, and a control beside it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast, get_args

import gradio as gr
import numpy as np
from PIL import Image

from segdemo.engine import Engine
from segdemo.explain.evidence import ClassEvidence, Evidence, Method, Where
from segdemo.explain.python import as_python
from segdemo.questions import Run, facts_of
from segdemo.results import Result
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, exact, plain
from segdemo.ui.panels.heat import heat, inline, photograph


class EvidencePanel(gr.HTML):
    """Shows a :class:`Run`: its script asks for the evidence for a class.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def choices(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            result: Result = engine.answer(run)
            facts = facts_of(engine, run.network)
            there = sorted(
                (one for one in result.classes if one.percent > 0), key=lambda one: (one.hidden, -one.percent)
            )
            return plain(
                {
                    "classes": [{"name": one.name, "percent": one.percent} for one in there],
                    "stages": [stage.label for stage in facts.stages],
                    "photo": photograph(engine.picture(run.picture).picture),
                    "size": result.size,
                    "valid": result.placement.valid,
                    "whole": result.task == "classification",
                }
            )

        @answering
        def evidence(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            question = asked_evidence(asked)
            return payload(engine.answer(question)) | {"python": as_python(question)}

        super().__init__(
            html_template='<section class="why-card"></section>',
            css_template=css("why"),
            js_on_load=loader("evidence"),
            apply_default_css=False,
            server_functions=[choices, evidence],
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


def asked_evidence(asked: dict[str, Any]) -> ClassEvidence:
    """Read what a script asks for.

    Raises:
        InputError: it asks for something that cannot be.
    """
    run = asked_run(asked)
    region = asked.get("region") or []
    corners = region if isinstance(region, list) else [region]
    return ClassEvidence(
        run.network,
        run.picture,
        checks.text("layer", asked.get("layer")),
        checks.or_none(checks.text)("class", asked.get("class")),
        cast(Where, checks.one_of("where", asked.get("where", "class"), get_args(Where))),
        checks.or_none(checks.point)("point", asked.get("point")),
        tuple(checks.point("region", corner) for corner in corners[:256]),
        cast(Method, checks.one_of("method", asked.get("method", "gradcam"), get_args(Method))),
        asked.get("positive") is True,
        0,
        run.size,
        run.step,
    )


def payload(found: Evidence) -> dict[str, Any]:
    """Gather what the script shows."""
    height, width = found.target.shape
    thinned = -(-max(width, height) // 480)
    target = Image.fromarray(np.where(found.target[::thinned, ::thinned], 255, 0).astype(np.uint8))
    return plain(
        {
            "layer": found.layer,
            "class": found.name,
            "untrained": not found.trained,
            "map": heat(found.map),
            "control": None if found.control is None else heat(found.control),
            "correlation": None if found.correlation is None else exact(found.correlation),
            "nothing": found.explains_nothing,
            "target": inline(target),
        }
    )
