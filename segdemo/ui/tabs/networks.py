"""The tab that lists the networks: what each is for, where its weights come from, under which licence."""

from __future__ import annotations

import gradio as gr

from segdemo.questions import Catalogue
from segdemo.ui.page import Page
from segdemo.ui.texts import TEXTS

TITLE = "page.catalogue"


def build(page: Page) -> None:
    """Lay out the tab: the model card of each network that has one."""
    gr.Markdown(page.i18n("page.catalogue_intro"))
    for facts in page.engine.answer(Catalogue()):
        with gr.Accordion(f"{facts.title}  ({facts.name})", open=False, elem_id=f"card-{facts.name}"):
            if f"about.{facts.name}" in TEXTS["en"]:
                gr.Markdown(page.i18n(f"about.{facts.name}"))
            gr.Markdown(facts.card or page.i18n("page.no_card"))
            gr.Markdown(f"<{facts.source}>")
