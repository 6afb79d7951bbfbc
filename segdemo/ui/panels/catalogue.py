"""The table of the networks: what each is good for, how large, how good and how fast it is, and a way to open it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from segdemo.choosing import Parameters
from segdemo.engine import Engine
from segdemo.questions import Catalogue
from segdemo.results import NetworkFacts
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering, text
from segdemo.ui.panels import css, plain
from segdemo.ui.texts import TEXTS

TEMPLATE = """<div class="frame" tabindex="0" role="region" data-label="table"><table>
  <thead><tr></tr></thead><tbody></tbody>
</table></div>
<p class="lost" role="alert" hidden></p>"""


class CataloguePanel(gr.HTML):
    """Lists the networks; ``select`` comes with the name of one as value whose card is asked for, ``open`` likewise.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def catalogue(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return {"networks": [row(facts, request) for facts in engine.answer(Catalogue())]}

        @answering
        def parameters(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return {"parameters": engine.answer(Parameters(checks.text("network", asked.get("network"))))}

        super().__init__(
            html_template=TEMPLATE,
            css_template=css("catalogue"),
            js_on_load=loader("catalogue", "open"),
            apply_default_css=False,
            server_functions=[catalogue, parameters],
            **settings,
        )


def row(facts: NetworkFacts, request: gr.Request | None) -> dict[str, Any]:
    """Gather what the table says of a network."""
    key = f"about.{facts.name}"
    return plain(
        {
            "name": facts.name,
            "title": facts.title,
            "about": text(request, key) if key in TEXTS["en"] else "",
            "classes": facts.names,
            "size": facts.size,
            "partly": bool(facts.random),
            "measured": None if facts.measured is None else asdict(facts.measured),
        }
    )
