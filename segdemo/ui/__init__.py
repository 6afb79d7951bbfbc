"""The page: its tabs, and how it is put together and started."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path
from typing import Any

# Read once, when gradio is imported. Its own choice of a folder belongs to whoever used it first on this machine.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / f"segdemo-{getpass.getuser()}"))

import gradio as gr
from gradio.themes.utils.fonts import LocalFont
from starlette.middleware import Middleware

from segdemo.examples import example
from segdemo.ui import api, catalogue, controls, look
from segdemo.ui.components.header import Header
from segdemo.ui.first import FirstScript
from segdemo.ui.guard import HANDLERS, GuardedBlocks
from segdemo.ui.texts import TEXTS

HERE = Path(__file__).parent
TABS = (look, catalogue)
# Fonts that come with Gradio, from this host; their weight 600 is cut down to a few letters there.
THEME = gr.themes.Default(
    primary_hue="teal",
    neutral_hue="slate",
    font=[LocalFont("Source Sans Pro", weights=(400, 700)), "Noto Sans CJK SC", "PingFang SC", "sans-serif"],
    font_mono=[LocalFont("IBM Plex Mono", weights=(400, 700)), "monospace"],
)


def build_app() -> gr.Blocks:
    """Put the page together: the shared inputs at the left, a tab for each module in ``TABS``, the endpoints."""
    i18n = gr.I18n(**TEXTS)
    with GuardedBlocks(title="segdemo", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as page:
        api.build()  # first, so that the endpoints get their names
        Header(elem_id="header")
        with gr.Row(elem_id="page"):
            with gr.Column(elem_id="controls", scale=0, min_width=280):
                shared = controls.build(page, i18n)
            with gr.Column(elem_id="tabs", scale=1), gr.Tabs():
                for tab in TABS:
                    with gr.Tab(i18n(tab.TITLE), elem_id=tab.__name__.rpartition(".")[2]):
                        tab.build(shared)
    page.queue(max_size=32, default_concurrency_limit=4)
    return page


def launch(page: gr.Blocks | None = None, **settings: Any) -> Any:
    """Start the page; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where unless the settings do.

    Args:
        page: as built by :func:`build_app`; built when None.
        settings: passed on to ``gr.Blocks.launch``.
    """
    page = build_app() if page is None else page
    defaults: dict[str, Any] = {
        "theme": THEME,
        "css": (HERE / "style.css").read_text(encoding="utf-8"),
        "app_kwargs": {
            "middleware": [Middleware(FirstScript, script=(HERE / "first.js").read_text(encoding="utf-8"))],
            "exception_handlers": HANDLERS,
        },
        "i18n": gr.I18n(**TEXTS),
        "allowed_paths": [str(example(controls.FIRST_EXAMPLE).parent)],  # wherever scikit-image is installed
        "max_file_size": "40mb",
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": ["api", "settings"],
        "mcp_server": os.environ.get("SEGDEMO_MCP") == "1",
    }
    return page.launch(**{**defaults, **settings})
