"""Present: large type for a class, stage after stage by arrow keys, and the network or its training played."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.ui.javascript import loader
from segdemo.ui.panels import css

TEMPLATE = """<button type="button" class="start" aria-pressed="false"></button>
<div class="steps" role="group" hidden>
  <button type="button" class="previous">‹</button>
  <span class="place" role="status"></span>
  <button type="button" class="next">›</button>
  <button type="button" class="play" aria-pressed="false"></button>
  <button type="button" class="train" aria-pressed="false"></button>
</div>"""


class Present(gr.HTML):
    """Steps through the boxes of ``#figure`` and the training steps of ``#step``; holds no value."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            html_template=TEMPLATE,
            css_template=css("present"),
            js_on_load=loader("present"),
            apply_default_css=False,
            **settings,
        )
