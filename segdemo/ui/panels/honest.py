"""What a careless hook records of a layer, beside the truth."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr
import numpy as np

from segdemo.engine import Engine
from segdemo.explain.hooks import HONEST, NAIVE, HonestHook, HookCount, HookFacts, NaiveHooks
from segdemo.explain.python import as_python
from segdemo.questions import Run, facts_of
from segdemo.rendering import scale_for
from segdemo.results import maps_of
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, plain
from segdemo.ui.panels.heat import heat


class HonestPanel(gr.HTML):
    """Shows a :class:`Run`: its script asks what hooks record of its layers.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def count(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            counted: HookCount = engine.answer(NaiveHooks(run.network, run.size, run.step))
            wrong = [asdict(one) for one in counted.overwritten]
            stages = [stage.layer for stage in facts_of(engine, run.network).every_stage()]
            return plain({"layers": counted.layers, "wrong": wrong, "stages": stages})

        @answering
        def compare(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            question = HonestHook(
                run.network, run.picture, checks.text("layer", asked.get("layer")), run.size, run.step
            )
            return payload(engine.answer(question)) | {"python": as_python(question)}

        super().__init__(
            html_template='<section class="why-card"></section>',
            css_template=css("why"),
            js_on_load=loader("honest"),
            apply_default_css=False,
            server_functions=[count, compare],
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


def payload(found: HookFacts) -> dict[str, Any]:
    """Gather what the script shows: of the channel that differs most, both maps on one scale."""
    truth, naive = maps_of(found.truth), maps_of(found.naive)
    apart = np.nan_to_num(np.abs(truth.astype(np.float64) - naive)).reshape(len(truth), -1).mean(1)
    channel = int(apart.argmax())
    both = np.stack([truth[channel], naive[channel]])
    finite = both[np.isfinite(both)]
    scale = scale_for(float(finite.min()), float(finite.max())) if finite.size else None
    return plain(
        {
            "layer": found.layer,
            "kind": found.kind,
            "wrong": found.wrong,
            "by": found.by,
            "channel": channel,
            "truth": heat(truth[channel], scale) | _range(truth),
            "naive": heat(naive[channel], scale) | _range(naive),
            "lines": {"naive": NAIVE, "honest": HONEST},
        }
    )


def _range(values: np.ndarray) -> dict[str, float]:
    return {"low": float(values.min()), "high": float(values.max())}
