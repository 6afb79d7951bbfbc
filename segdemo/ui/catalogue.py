"""The tab that lists the networks: what each is for, where its weights come from, under which licence."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from segdemo.checkpoints import folder
from segdemo.networks import NETWORKS
from segdemo.ui.controls import Controls

TITLE = "page.catalogue"


def build(controls: Controls) -> None:
    """Lay out the tab: a table, and the model card of each network that has one."""
    gr.Markdown(controls.i18n("page.catalogue_intro"))
    for name, spec in NETWORKS.items():
        with gr.Accordion(f"{spec.title}  ({name})", open=False, elem_id=f"card-{name}"):
            gr.Markdown(controls.i18n(f"about.{name}"))
            card = folder() / f"{name}.md"
            gr.Markdown(_words_of(card) if card.is_file() else controls.i18n("page.no_card"))
            gr.Markdown(f"<{spec.source}>")


def _words_of(card: Path) -> str:
    """Return a model card without its pictures, which lie beside the code and not in the page."""
    lines = card.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("!["))
