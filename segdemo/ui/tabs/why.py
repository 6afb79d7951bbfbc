"""The tab that asks why: a pixel taken apart, evidence for a class, layers turned up and down, hooks that lie."""

from __future__ import annotations

import gradio as gr

from segdemo.questions import Run
from segdemo.ui.page import Page
from segdemo.ui.panels.autopsy import AutopsyPanel
from segdemo.ui.panels.evidence import EvidencePanel
from segdemo.ui.panels.honest import HonestPanel
from segdemo.ui.panels.mixer import MixerPanel

TITLE = "page.why"


def build(page: Page) -> None:
    """Lay out the tab; every panel shows the run that is complete."""
    gr.Markdown(page.i18n("page.why_intro"))
    panels = [kind(page.engine) for kind in (AutopsyPanel, EvidencePanel, MixerPanel, HonestPanel)]

    def pass_on(run: Run | None, request: gr.Request) -> list[Run | None]:
        return [run] * len(panels)

    page.on("result", pass_on, panels)
