"""Any question as the Python that asks it, to copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from segdemo.class_maps import ClassMap
from segdemo.engine import Question
from segdemo.networks import NETWORKS
from segdemo.questions import OFFERED, Run

PICTURE = "picture"  # the field that holds a fingerprint
NAMES = ("picture", "other", "third")  # what the code calls the pictures, in the order in which they are needed


def as_python(
    question: Question, file: str = "picture.jpg", *, value: str = "answer", others: Mapping[str, str] | None = None
) -> str:
    """Write the lines that ask a question.

    Args:
        question: about pictures, or only about a network.
        file: path of the picture, to be filled in by whoever runs it.
        value: the expression that is printed; the answer is called ``answer``.
        others: fingerprint → expression for what is kept as that picture; ``altered`` may be called in it, and
            ``file`` be named by ``{file}``.
    """
    names = {(type(one).__module__, type(one).__name__) for one in _within(question)}
    pictures = list(dict.fromkeys(_pictures(question)))
    called = dict(zip(pictures, NAMES, strict=False))
    kept = {one: (others or {}).get(one, "{file}").replace("{file}", repr(file)) for one in pictures}
    if any("altered(" in one for one in kept.values()):
        names |= {("segdemo.explain.compare", "altered"), ("segdemo.images", "load_picture")}
    known = list(dict.fromkeys(_networks(question)))
    own = [name for name in known if name not in OFFERED]
    names |= {("segdemo", "LocalEngine"), *([("segdemo", "Segmenter")] if own else [])}
    if not all(name in NETWORKS for name in known):
        names.add(("segdemo.questions", "OFFERED"))
    modules = sorted({module for module, _ in names})
    lines = [
        *(
            f"from {module} import {', '.join(sorted(name for of, name in names if of == module))}"
            for module in modules
        ),
        "",
        *_engine(known, own),
        *(f"{called[one]} = engine.keep({kept[one]})" for one in pictures),
        f"answer = engine.answer({_written(question, called)})",
        f"print({value})",
    ]
    return "\n".join(lines) + "\n"


def _engine(known: list[str], own: list[str]) -> list[str]:
    """Write the lines that make an engine; a network of somebody's own has to be handed to it."""
    if not own:
        return [
            "engine = LocalEngine()" if all(name in NETWORKS for name in known) else "engine = LocalEngine(OFFERED)"
        ]
    return [
        "network = ...  # the module that the page was opened on",
        "segmenter = Segmenter(network)  # with the same classes= and preprocessing=, if there were any",
        f"engine = LocalEngine({{**OFFERED, {own[0]!r}: segmenter.spec}})",
    ]


def _within(value: Any) -> list[Any]:
    """Return a dataclass and those within it."""
    if isinstance(value, tuple):
        return [one for part in value for one in _within(part)]
    if not is_dataclass(value):
        return []
    return [value, *(one for field in fields(value) for one in _within(getattr(value, field.name)))]


def _pictures(question: Question) -> list[str]:
    """Return the fingerprints that a question names."""
    return [getattr(one, PICTURE) for one in _within(question) if hasattr(one, PICTURE)]


def _networks(question: Question) -> list[str]:
    """Return the names of the networks that a question is about."""
    return [one.network for one in _within(question) if hasattr(one, "network")]


def _written(value: Any, called: Mapping[str, str]) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(_written(one, called) for one in value)}{',' if len(value) == 1 else ''})"
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    given = {field.name: getattr(value, field.name) for field in fields(value)}
    parts = [
        f"{field.name}={called[given[PICTURE]] if field.name == PICTURE else _written(given[field.name], called)}"
        for field in fields(value)
        if given[field.name] != field.default
    ]
    return f"{type(value).__name__}({', '.join(parts)})"


def worst_python(run: Run, data: str, *, masked: bool, mapping: ClassMap | None = None) -> str:
    """Write the lines that sort the pictures of an archive or a folder, the worst first.

    Args:
        run: decides network and input size.
        data: path of the archive or folder.
        masked: whether there are masks.
        mapping: from the network's classes to theirs, None where they are the same.
    """
    own = [] if run.network in OFFERED else [run.network]
    names = {"LocalEngine", *(["Segmenter"] if own else [])}
    lines = [
        f"from segdemo import {', '.join(sorted(names))}",
        "from segdemo.explain.worst import worst_first",
        *(["from segdemo.class_maps import ClassMap"] if mapping else []),
        *([] if run.network in NETWORKS else ["from segdemo.questions import OFFERED"]),
        "",
        *_engine([run.network], own),
        *([f"mapping = ClassMap({mapping.classes!r}, {dict(mapping.targets)!r})"] if mapping else []),
        f"answer = worst_first(engine, {run.network!r}, {data!r}, masked={masked}, size={run.size}"
        f"{', mapping=mapping' if mapping else ''})",
        "print(answer)",
    ]
    return "\n".join(lines) + "\n"
