"""Any question as the Python that asks it, to copy."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from segdemo.engine import Question

PICTURE = "picture"  # the field that holds a fingerprint, and what the code calls it


def as_python(question: Question, file: str = "picture.jpg") -> str:
    """Write the lines that ask a question.

    Args:
        question: about a picture, or only about a network.
        file: path of the picture, to be filled in by whoever runs it.
    """
    names = sorted({(type(one).__module__, type(one).__name__) for one in _within(question)})
    asks_picture = any(field.name == PICTURE for field in fields(question))
    lines = [
        "from segdemo import LocalEngine",
        *(f"from {module} import {name}" for module, name in names),
        "",
        "engine = LocalEngine()",
        *([f"picture = engine.keep({file!r})"] if asks_picture else []),
        f"answer = engine.answer({_written(question)})",
        "print(answer)",
    ]
    return "\n".join(lines) + "\n"


def _within(value: Any) -> list[Any]:
    """Return a dataclass and those within it."""
    if isinstance(value, tuple):
        return [one for part in value for one in _within(part)]
    if not is_dataclass(value):
        return []
    return [value, *(one for field in fields(value) for one in _within(getattr(value, field.name)))]


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' if len(value) == 1 else ''})"
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    parts = [
        f"{field.name}={PICTURE if field.name == PICTURE else _written(getattr(value, field.name))}"
        for field in fields(value)
        if getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(parts)})"
