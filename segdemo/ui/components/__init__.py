"""Our own gr.HTML components: one .py, one .js and one .css file each, and what loading them has in common."""

from __future__ import annotations

import json
from pathlib import Path

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
