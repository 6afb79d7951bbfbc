"""Below the menu of networks: any other by its name, official weights, and what was guessed, to be said otherwise."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.choosing import Found, Official, Said, Search, State
from segdemo.engine import Engine
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering, sentence_of
from segdemo.ui.panels import css, plain

TEMPLATE = """<div class="official" hidden>
  <button type="button" class="fetch"></button><progress hidden></progress><p class="state" role="status"></p>
</div>
<details class="said" hidden><summary></summary><form></form></details>
<details class="search"><summary data-text="search"></summary>
  <input type="search" maxlength="100" autocomplete="off" spellcheck="false" data-label="search_long">
  <p class="note" data-text="search_note"></p>
  <ul class="found" data-label="found"></ul><p class="trouble" role="alert"></p>
</details>"""


class ChoosingPanel(gr.HTML):
    """Shows the name of a network; ``open`` comes with the name of another as value.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def search(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            found: Found = engine.answer(Search(checks.text("words", asked.get("words"), longest=100)))
            return plain({"names": found.names, "libraries": found.libraries})

        @answering
        def said(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return plain(engine.answer(Said(checks.network("network", asked.get("network")))))

        @answering
        def official(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            question = Official(
                checks.network("network", asked.get("network")),
                fetch=asked.get("fetch") is True,
                look=checks.whole("look", asked.get("look"), most=1 << 53),
            )
            return told(engine.answer(question), request)

        super().__init__(
            html_template=TEMPLATE,
            css_template=css("choosing"),
            js_on_load=loader("choosing", "open"),
            apply_default_css=False,
            server_functions=[search, said, official],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page."""

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def told(state: State, request: gr.Request | None) -> dict[str, Any]:
    """Say how far official weights are, and what went wrong in the visitor's language."""
    return {
        "megabytes": state.megabytes,
        "there": state.there,
        "running": state.running,
        "done": state.done,
        "total": state.total,
        "trouble": None if state.error is None else sentence_of(state.error, request),
    }
