"""The tabs of the three panes in a narrow window; its script also lets them be resized and shown alone."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.ui.javascript import loader
from segdemo.ui.panels import css

TEMPLATE = """<div class="panes" role="tablist"></div>"""


class Workspace(gr.HTML):
    """Belongs right after the row with the panes; holds no value."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            html_template=TEMPLATE,
            css_template=css("workspace"),
            js_on_load=loader("workspace"),
            apply_default_css=False,
            **settings,
        )
