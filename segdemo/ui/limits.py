"""How much memory the page may take for what it remembers."""

from __future__ import annotations

import os
import re

from segdemo.engine import ANSWERS
from segdemo.errors import InputError

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)


def answers() -> int:
    """Return how many bytes of answers are remembered: what SEGDEMO_MEMORY says, such as ``512 MB`` or ``1G``."""
    found = SIZE.fullmatch(_asked())
    return int(float(found[1]) * UNITS[found[2].lower()]) if found else ANSWERS


def check() -> None:
    """Make sure that SEGDEMO_MEMORY says an amount of memory, if it says anything.

    Raises:
        InputError: it does not.
    """
    word = _asked()
    if word and not SIZE.fullmatch(word):
        raise InputError(
            "memory_unusable",
            "{memory!r} is no amount of memory. A number with its unit is needed, such as 512 MB or 1 GB. Set "
            "SEGDEMO_MEMORY to one, or leave it out.",
            memory=word,
        )


def _asked() -> str:
    return os.environ.get("SEGDEMO_MEMORY", "").strip()
