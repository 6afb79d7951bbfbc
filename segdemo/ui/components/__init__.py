"""Our own gr.HTML components: one .py, one .js and one .css file each, and what loading them has in common."""

from __future__ import annotations

import html
import json
from pathlib import Path

import gradio as gr
from gradio.context import LocalContext

from segdemo.errors import InputError
from segdemo.ui import folder
from segdemo.ui.messages import sentence_of
from segdemo.ui.texts import TEXTS

HERE = Path(__file__).parent


def read_css(name: str) -> str:
    """Return the style sheet of a component, for ``css_template``."""
    return (HERE / f"{name}.css").read_text(encoding="utf-8")


def read_js(name: str) -> str:
    """Return the script of a component, for ``js_on_load``, with its texts and the function ``t`` in front.

    ``t("key", {name: value})`` gives the text ``<component>.<key>`` in the language of the page.
    """
    prefix = f"{name}."
    texts = {
        language: {key.removeprefix(prefix): text for key, text in table.items() if key.startswith(prefix)}
        for language, table in TEXTS.items()
    }
    return (
        f"const TEXTS = {json.dumps(texts, ensure_ascii=False)};\n"
        "const t = (key, values = {}) => {\n"
        "  const text = (TEXTS[window.segdemoLanguage] ?? TEXTS.en)[key] ?? key;\n"
        "  return text.replace(/\\{(\\w+)\\}/g, (whole, name) => name in values ? String(values[name]) : whole);\n"
        "};\n" + (HERE / f"{name}.js").read_text(encoding="utf-8")
    )


def store(content: bytes, name: str) -> str:
    """Store a file for the page to load, and return its path.

    Args:
        content: of the file.
        name: the file's own name.

    Raises:
        gr.Error: the disk is full.
    """
    try:
        return folder.claim().keep(content, name)
    except InputError as error:
        said = html.escape(sentence_of(error, LocalContext.request.get(None)))
        raise gr.Error(said, duration=None, print_exception=False) from error
