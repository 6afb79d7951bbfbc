"""The tab of the labs: ideas of the tutorials to be touched, on the picture that is on show."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.questions import Run
from segdemo.ui.page import QUIET, Page
from segdemo.ui.panels.labs import LabsPanel

TITLE = "page.labs"


def build(page: Page) -> None:
    """Lay out the tab, and open it where the address names a lab."""

    def opened(request: gr.Request) -> Any:
        return gr.Tabs(selected="labs") if "lab" in request.query_params else gr.skip()

    gr.Markdown(page.i18n("page.labs_intro"))
    panel = LabsPanel(page.engine, elem_id="lab-panel")
    page.on("result", of_run, panel)
    page.blocks.load(opened, None, page.switch, **QUIET)


def of_run(run: Run | None, request: gr.Request) -> Any:
    """Return the run on show, whose picture and network the labs take."""
    return gr.skip() if run is None else run
