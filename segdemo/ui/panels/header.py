"""The top line of the page: its name, what it is for, a link to what is shown, and the way to the other language.

It also tells of what happens to the page as a whole: ``select`` comes when the visitor went back or forward, with the
address as ``value`` and the path of a picture of the visitor's own as ``photo``; ``give`` comes when files were dropped
or pasted anywhere, with the path of the picture that was uploaded as ``value``, its ``name``, and how many there were.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import gradio as gr

from segdemo.ui.javascript import loader
from segdemo.ui.panels import css

TEMPLATE = """<header class="masthead">
  <h1>segdemo</h1>
  <p class="motto"></p>
  <nav>
    <span class="copied" role="status"></span>
    <input class="address" type="text" readonly hidden>
    <button class="copy" type="button"></button>
    <a class="language" href=""></a>
  </nav>
</header>"""


@dataclass(frozen=True)
class Tidy:
    """What the header is told once the address is read.

    Args:
        strays: parameters of the address that name what there is not.
    """

    strays: tuple[str, ...]


class Header(gr.HTML):
    """Shows texts; a :class:`Tidy` takes parameters out of the address."""

    _count = itertools.count(1)

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            html_template=TEMPLATE,
            css_template=css("header"),
            js_on_load=loader("header", "give"),
            apply_default_css=False,
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page: what happens comes with the events."""

    def postprocess(self, value: Tidy | None) -> dict[str, Any] | None:  # type: ignore[override]
        """Tell the script what to take out, each time anew."""
        return None if value is None else {"strays": list(value.strays), "count": next(self._count)}

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}
