"""The slim bar above the workspace: what is looked at with what, and the way to all inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from segdemo.ui.javascript import loader
from segdemo.ui.panels import css

TEMPLATE = """<h2 class="for-readers"></h2>
<button type="button" class="opener" aria-expanded="false" aria-controls="inputs">
  <span class="thumb"><img alt="" hidden></span>
  <span class="title"></span><span class="size"></span><span class="word"></span>
</button>"""


class Bar(gr.HTML):
    """Shows {"picture": address or None, "network": name, "size": pixels}; opens and closes ``#inputs``.

    Args:
        titles: of the networks, by name.
        examples: names of the pictures on the buttons in ``#examples``, in their order.
    """

    def __init__(self, titles: Mapping[str, str], examples: Sequence[str], **settings: Any) -> None:
        super().__init__(
            html_template=TEMPLATE,
            css_template=css("bar"),
            js_on_load=loader("bar"),
            apply_default_css=False,
            titles=dict(titles),
            examples=list(examples),
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page."""

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}
