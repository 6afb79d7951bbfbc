"""Every string of the page, in every language of the page."""

from __future__ import annotations

import json
from pathlib import Path

LANGUAGES = ("en", "zh")
TEXTS: dict[str, dict[str, str]] = {
    language: json.loads((Path(__file__).parent / f"{language}.json").read_text(encoding="utf-8"))
    for language in LANGUAGES
}
