"""Every string of the page, in every language of the page."""

from __future__ import annotations

import json
from pathlib import Path

LANGUAGES = ("en", "zh")
TEXTS: dict[str, dict[str, str]] = {
    language: json.loads((Path(__file__).parent / f"{language}.json").read_text(encoding="utf-8"))
    for language in LANGUAGES
}
# Kinds of modules without words of their own: the first pattern found in a kind's name, in any case, says whose it takes.
KINDS: list[tuple[str, str]] = json.loads((Path(__file__).parent / "kinds.json").read_text(encoding="utf-8"))
