"""The tab of moving pictures: a camera or a film, segmented frame by frame."""

from __future__ import annotations

import gradio as gr

from segdemo.ui.page import Page
from segdemo.ui.panels.live import LivePanel

TITLE = "page.live"


def build(page: Page) -> None:
    """Lay out the tab; it needs no picture of the page's."""
    gr.Markdown(page.i18n("page.live_intro"))
    LivePanel(page.engine, elem_id="live-panel")
