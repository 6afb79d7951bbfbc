"""The tab that lists the networks: a table, below it the model card of the one that was asked for."""

from __future__ import annotations

import gradio as gr

from segdemo.ui import checks
from segdemo.ui.messages import polite, text
from segdemo.ui.page import AT_ONCE, Page
from segdemo.ui.panels.catalogue import CataloguePanel

TITLE = "page.catalogue"


def build(page: Page) -> None:
    """Lay out the tab, and listen to its table."""

    def card(event: gr.EventData, request: gr.Request) -> str:
        facts = page.facts(checks.text("network", checks.field(event, "value")))
        return f"## {facts.title}\n\n{facts.card or text(request, 'page.no_card')}\n\n<{facts.source}>"

    gr.Markdown(page.i18n("page.catalogue_intro"))
    table = CataloguePanel(page.engine, elem_id="catalogue")
    shown = gr.Markdown(elem_id="card")
    table.select(polite(card), None, shown, **AT_ONCE)
    table.open(lambda: gr.Tabs(selected="look"), None, page.switch, **AT_ONCE)
    page.picks("network", table.open)
