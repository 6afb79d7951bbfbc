"""How much the page may take: memory for what it remembers, passes at once; and where they compute."""

from __future__ import annotations

import os
import re
from typing import Any

from segdemo.engine import ANSWERS, LocalEngine
from segdemo.errors import InputError

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
MOST_PASSES = 64
THREADS_OF_PASS = 4  # fewer make each pass slower than several at once make all of them faster


def passes() -> int:
    """Return how many passes go on at once: what SEGDEMO_PASSES says, else one for every four processors."""
    word = os.environ.get("SEGDEMO_PASSES", "").strip()
    return int(word) if _is_count(word) else max(1, min(MOST_PASSES, (os.cpu_count() or 1) // THREADS_OF_PASS))


def engine(networks: Any) -> LocalEngine:
    """Return an engine in this process as the environment asks for it.

    Args:
        networks: by name.

    Raises:
        InputError: SEGDEMO_DEVICE or SEGDEMO_PRECISION ask for what there is not.
    """
    return LocalEngine(
        networks,
        answers=answers(),
        passes=passes(),
        device=os.environ.get("SEGDEMO_DEVICE") or None,
        precision=os.environ.get("SEGDEMO_PRECISION") or "float32",
    )


def answers() -> int:
    """Return how many bytes of answers are remembered: what SEGDEMO_MEMORY says, such as ``512 MB`` or ``1G``."""
    found = SIZE.fullmatch(_asked())
    return int(float(found[1]) * UNITS[found[2].lower()]) if found else ANSWERS


def check() -> None:
    """Make sure that SEGDEMO_MEMORY says an amount of memory, and SEGDEMO_PASSES a number, if they say anything.

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
    word = os.environ.get("SEGDEMO_PASSES", "").strip()
    if word and not _is_count(word):
        raise InputError(
            "passes_unusable",
            "{passes!r} is no number of passes at once. A whole number from 1 to {most} is needed. Set SEGDEMO_PASSES "
            "to one, or leave it out.",
            passes=word[:60],
            most=MOST_PASSES,
        )


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 4 and 1 <= int(word) <= MOST_PASSES


def _asked() -> str:
    return os.environ.get("SEGDEMO_MEMORY", "").strip()
