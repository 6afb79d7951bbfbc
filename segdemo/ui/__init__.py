"""The page: how it is put together and started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

# Gradio reads both when it is imported; a port that is none would end it with a traceback.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
if not (os.environ.get("GRADIO_SERVER_PORT") or "0").isdecimal():
    os.environ["PORT"] = os.environ.pop("GRADIO_SERVER_PORT")  # where ``server`` finds it, to say so

import gradio as gr

from segdemo.engine import Engine
from segdemo.examples import EXAMPLES
from segdemo.questions import OFFERED
from segdemo.ui import api, folder, limits, queue, server, sessions, uploads
from segdemo.ui.guard import GuardedBlocks
from segdemo.ui.metrics import MeasuredEngine, Metrics
from segdemo.ui.page import Page
from segdemo.ui.panels.header import Header
from segdemo.ui.server import mount, serve
from segdemo.ui.tabs import TABS
from segdemo.ui.texts import TEXTS
from segdemo.ui.wanted import WantedEngine

__all__ = ["TABS", "build_app", "launch", "mount", "serve"]


def build_app(engine: Engine | None = None, pictures: Sequence[str] = EXAMPLES) -> GuardedBlocks:
    """Put the page together: the shared inputs on top, a tab for each module in ``TABS``, the endpoints.

    Args:
        engine: what answers its questions; None takes one of its own, in this process.
        pictures: names of the pictures that it offers.
    """
    engine = limits.engine(OFFERED) if engine is None else engine
    measured = MeasuredEngine(engine)
    wanted = WantedEngine(measured)  # as each request sees it
    folder.claim()
    uploads.install()
    i18n = gr.I18n(**{language: _of_the_page(table) for language, table in TEXTS.items()})
    with GuardedBlocks(title="segdemo", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as blocks:
        api.build(wanted)  # first, so that the endpoints get their names
        header = Header(elem_id="header")
        with gr.Column(elem_id="controls", min_width=0):
            page = Page(blocks, wanted, i18n, pictures)
        with gr.Column(elem_id="tabs", min_width=0), gr.Tabs() as switch:
            page.switch = switch
            for tab in TABS:
                name = tab.__name__.rpartition(".")[2]
                with gr.Tab(i18n(tab.TITLE), elem_id=name, id=name):
                    tab.build(page)
        page.connect(header)
    blocks.engine = engine  # ends with the page
    waiting = queue.install(blocks)
    blocks.metrics = measured.metrics = Metrics(lambda: len(waiting()))
    sessions.install(blocks)
    return blocks


def _of_the_page(table: dict[str, str]) -> dict[str, str]:
    """Leave out the many texts that reach the page with its scripts."""
    return {key: text for key, text in table.items() if not key.startswith(("words.", "glossary."))}


def launch(page: GuardedBlocks | None = None, **settings: Any) -> Any:
    """Start the page; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (or PORT) say where unless the settings do.

    Unless ``prevent_thread_lock`` is set it returns when the page is stopped, by Ctrl-C or by SIGTERM.

    Args:
        page: as built by :func:`build_app`; built when None.
        settings: passed on to ``gr.Blocks.launch``.

    Raises:
        InputError: the page cannot listen there.
    """
    return server.launch(build_app() if page is None else page, **settings)
