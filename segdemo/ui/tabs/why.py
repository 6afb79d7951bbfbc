"""The tab that asks why: a pixel taken apart, evidence for a class, layers turned up and down, hooks that lie."""

from __future__ import annotations

from typing import Any

import gradio as gr

from segdemo.questions import Run
from segdemo.ui.page import AT_ONCE, QUIET, Page
from segdemo.ui.panels.autopsy import AutopsyPanel
from segdemo.ui.panels.compare import ComparePanel
from segdemo.ui.panels.evidence import EvidencePanel
from segdemo.ui.panels.honest import HonestPanel
from segdemo.ui.panels.mixer import MixerPanel
from segdemo.ui.panels.worst import WorstPanel

TITLE = "page.why"
PANELS = (AutopsyPanel, EvidencePanel, MixerPanel, ComparePanel, WorstPanel, HonestPanel)


def build(page: Page) -> None:
    """Lay out the tab; every panel shows the run that is complete. An address with a comparison opens it."""
    gr.Markdown(page.i18n("page.why_intro"))
    panels = [kind(page.engine) for kind in PANELS]

    def pass_on(run: Run | None, request: gr.Request) -> list[Run | None]:
        return [run] * len(panels)

    def opened(request: gr.Request) -> Any:
        named = "compare" in request.query_params and "lab" not in request.query_params
        return gr.Tabs(selected="why") if named else gr.skip()

    page.on("result", pass_on, panels)
    worst = next(panel for panel in panels if isinstance(panel, WorstPanel))
    page.picks("picture", worst.open)
    worst.open(lambda: gr.Tabs(selected="look"), None, page.switch, **AT_ONCE)
    page.blocks.load(opened, None, page.switch, **QUIET)
