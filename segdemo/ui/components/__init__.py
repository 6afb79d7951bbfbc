"""Our own gr.HTML components: one .py, one .js and one .css file each, and what loading them has in common."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def read_css(name: str) -> str:
    """Return the style sheet of a component, for ``css_template``."""
    return (HERE / f"{name}.css").read_text(encoding="utf-8")
