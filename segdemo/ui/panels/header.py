"""The top line of the page: its name, what it is for, and the way to the other language."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.ui.javascript import loader
from segdemo.ui.panels import css

TEMPLATE = """<header class="masthead">
  <h1>segdemo</h1>
  <p class="motto"></p>
  <nav><a class="language" href=""></a></nav>
</header>"""


class Header(gr.HTML):
    """Shows texts only; holds no value."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            html_template=TEMPLATE,
            css_template=css("header"),
            js_on_load=loader("header"),
            apply_default_css=False,
            **settings,
        )
