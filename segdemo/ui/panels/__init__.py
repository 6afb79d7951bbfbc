"""The page's own components, each a .py, a .js and a .css file of one name, and what they have in common.

A panel's value on the page says what to show, in plain words; its script asks the panel's server function for the rest,
and for whatever the visitor wants to see next. So an answer travels from the engine through the panel to its script,
and nothing has to be remembered of a visitor.
"""

from __future__ import annotations

import math
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from segdemo.errors import InputError
from segdemo.questions import Run
from segdemo.results import Result
from segdemo.ui import checks, folder

HERE = Path(__file__).parent


def css(sheet: str | Path) -> str:
    """Return the style sheet of a panel, for ``css_template``.

    Args:
        sheet: name of the panel, or the whole path of a style sheet in another folder.
    """
    return (sheet if isinstance(sheet, Path) else HERE / f"{sheet}.css").read_text(encoding="utf-8")


def store(content: bytes, name: str) -> dict[str, str]:
    """Store a file for scripts to fetch.

    Args:
        content: of the file.
        name: the file's own name.

    Returns:
        ``name``, and ``url``, relative to the page's own.

    Raises:
        InputError: the disk is full.
    """
    return {"name": name, "url": f"gradio_api/file={quote(folder.claim().keep(content, name))}"}


def asked_run(asked: dict[str, Any]) -> Run:
    """Read which run a script asks about.

    Raises:
        InputError: there is none, or it is not described as it has to be.
    """
    run = asked.get("run")
    if not isinstance(run, dict):
        raise InputError("run_once_more", "There is no run of yours to look into. Press Run once more.")
    return Run(
        checks.network("network", run.get("network")),
        checks.text("picture", run.get("picture")),
        checks.or_none(checks.whole)("size", run.get("size")),
        checks.or_none(checks.whole)("step", run.get("step")),
    )


def placed(result: Result) -> dict[str, Any]:
    """Say where the picture lies in the batch, as ``static/geometry.js`` reads it, each (width, height) in pixels."""
    placement = result.placement
    return {
        "picture_size": placement.picture_size,
        "resized": placement.resized,
        "seen_size": placement.padded,
    }


def exact(value: Any) -> float | str:
    """Return a number as scripts read it exactly, also where JSON has no word for it."""
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def plain(value: Any) -> Any:
    """Make what JSON can hold: mappings, lists, Python's own numbers, None for what is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {name: plain(content) for name, content in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(content) for content in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
