"""The labs: a card for each, its controls, the snippet they write, what that computes, and small tasks."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from PIL import Image

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.examples import FIRST, example
from segdemo.labs import LABS, unet_training
from segdemo.labs.controls import Cells, Choice, Control, Drawing, Number, Switch, Whole
from segdemo.labs.drawn import address_of, ends, map_address, picture_address
from segdemo.labs.lab import Bars, Block, Box, Boxes, Curves, Formula, Maps, Outcome, Said, Table, Tree, small_picture
from segdemo.labs.lesson import files_of
from segdemo.labs.question import LookAtPatch, RunLab, find, settings_of
from segdemo.labs.reading import PATHS
from segdemo.labs.registers import LookAtRegisters
from segdemo.questions import Run, facts_of
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering, sentence_of
from segdemo.ui.panels import css, exact, plain

MOST_MAPS = 16  # of a block that are drawn
MOST_SETTINGS = 40
LONGEST_WORD = 1000  # characters: of a kernel, each cell with all its digits
TEMPLATE = """<div class="labs">
  <details class="paths"></details>
  <nav class="cards"></nav>
  <section class="reading" hidden></section>
  <p class="lost" role="alert" hidden></p>
  <div class="lab" hidden></div>
</div>"""


class LabsPanel(gr.HTML):
    """Shows the labs on the picture of the run that is its value.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        self.engine = engine

        @answering
        def labs(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return {"labs": [card(name) for name in LABS], "paths": paths()}

        @answering
        def answer(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            question = asked_lab(engine, asked)
            try:
                return payload(engine, question)
            except InputError as error:
                return refusal(question.lab, error, request)

        @answering
        def patch(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            question = asked_lab(engine, asked)
            place = (checks.whole(name, asked.get(name)) for name in ("channel", "row", "column"))
            found = engine.answer(LookAtPatch(question.picture, question.words, *place))
            return plain(found)

        @answering
        def registers(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            step = checks.or_none(checks.whole)("step", asked.get("step"))
            network, layer = (checks.text(name, asked.get(name)) for name in ("network", "layer"))
            return plain(engine.answer(LookAtRegisters(network, step, layer)))

        @answering
        def file(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return {"url": file_address(checks.text("lab", asked.get("lab")), checks.text("name", asked.get("name")))}

        @answering
        def train(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return training(engine, asked_lab(engine, asked), checks.whole("steps", asked.get("steps")))

        super().__init__(
            html_template=TEMPLATE,
            css_template=css("labs"),
            js_on_load=loader("labs"),
            apply_default_css=False,
            server_functions=[labs, answer, patch, registers, file, train],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page."""

    def postprocess(self, value: Run | None) -> dict[str, Any]:  # type: ignore[override]
        """Tell the script which picture is on show, and which network."""
        if value is None:
            return {"picture": None, "run": None}
        facts = facts_of(self.engine, value.network)
        run = {"network": value.network, "step": value.step, "title": facts.title}
        return {"picture": value.picture, "run": run}

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def asked_lab(engine: Engine, asked: dict[str, Any]) -> RunLab:
    """Read what a script asks for; settings that are as at first are left out, so that equal questions are equal.

    Raises:
        InputError: it asks for something that cannot be.
    """
    lab = checks.text("lab", asked.get("lab"))
    words = asked.get("words")
    if not isinstance(words, dict) or len(words) > MOST_SETTINGS:
        raise InputError(
            "wrong_settings",
            "The settings of a lab are at most {most} names, each with a word, but {came} came. Choose a lab again.",
            most=MOST_SETTINGS,
            came=checks.written(words),
        )
    given = {name: checks.text(name, word, longest=LONGEST_WORD) for name, word in words.items()}
    controls, settings = find(lab).settings(), settings_of(lab, given)
    words = {name: controls[name].write(settings[name]) for name in given if settings[name] != controls[name].default}
    picture = checks.or_none(checks.text)("picture", asked.get("picture")) or engine.keep(example(FIRST))
    return RunLab(
        lab, picture, tuple(sorted(words.items())), asked.get("quick") is True and hasattr(LABS[lab], "quick")
    )


def paths() -> list[dict[str, Any]]:
    """Describe what can be read along: each tutorial's sections, with the lab and the settings that show them."""
    return [
        {"name": name, "sections": [{"name": one.name, "lab": one.lab, "words": dict(one.words)} for one in sections]}
        for name, sections in PATHS.items()
    ]


def card(name: str) -> dict[str, Any]:
    """Describe a lab: its controls and tasks by name."""
    lab = LABS[name]
    controls = [described(setting, control) for setting, control in lab.settings().items()]
    tasks = [task.name for task in lab.TASKS]
    return {"name": name, "controls": controls, "tasks": tasks, "quick": hasattr(lab, "quick")}


def described(name: str, control: Control) -> dict[str, Any]:
    """Describe a control as the script draws it; all values as an address has them."""
    when = {
        key: [str(int(v)) if isinstance(v, bool) else str(v) for v in values] for key, values in control.when.items()
    }
    known: dict[str, Any] = {"name": name, "default": control.write(control.default), "when": when}
    if isinstance(control, Choice):
        return known | {"kind": "choice", "options": control.options}
    if isinstance(control, Switch):
        return known | {"kind": "switch"}
    if isinstance(control, Drawing):
        return known | {"kind": "drawing", "side": control.side, "examples": control.examples}
    if isinstance(control, Cells):
        return known | {"kind": "cells"}
    assert isinstance(control, Whole | Number)
    kind = "whole" if isinstance(control, Whole) else "number"
    return known | {"kind": kind, "least": control.least, "most": control.most}


def payload(engine: Engine, question: RunLab) -> dict[str, Any]:
    """Gather what the page shows of a lab.

    Args:
        engine: whom to ask.
        question: which lab, settings and picture.

    Raises:
        InputError: the lab cannot do that; the picture is kept no longer.
    """
    lab = find(question.lab)
    settings = settings_of(question.lab, dict(question.words))
    outcome: Outcome = engine.answer(question)
    small = small_picture(engine.picture(question.picture).picture, settings.get("size", 96))
    return plain(
        {
            "snippet": lab.snippet(**settings),
            "files": list(files_of(lab, lab.snippet(**settings))),
            "picture": address_of(small),
            "cells": outcome.facts.get("cells"),
            "blocks": [shown(block) for block in outcome.blocks],
            "tasks": {task.name: bool(task.is_done(settings, outcome)) for task in lab.TASKS},
        }
    )


def refusal(lab: str, error: InputError, request: gr.Request | None) -> dict[str, Any]:
    """Say why a lab cannot do something, and which setting would mend it.

    Raises:
        InputError: the same again, where there is none.
    """
    offer: dict[str, Any] | None = getattr(find(lab), "OFFERS", {}).get(error.code)
    if offer is None:
        raise error
    controls = find(lab).settings()
    words = {name: controls[name].write(value) for name, value in offer.items()}
    return {"refused": sentence_of(error, request), "offer": words}


def file_address(lab: str, name: str) -> str:
    """Return a file that the snippets of a lab read, as a ``data:`` address.

    Raises:
        InputError: there is no such lab or file.
    """
    files: dict[str, Callable[[], bytes]] = getattr(find(lab), "FILES", {})
    if name not in files:
        raise InputError(
            "unknown_file",
            "The lab {lab} reads no file called {name!r}; it reads {files}. Save one of them.",
            lab=lab,
            name=name[:60],
            files=", ".join(files) or "–",
        )
    return f"data:application/octet-stream;base64,{base64.b64encode(files[name]()).decode()}"


def training(engine: Engine, question: RunLab, steps: int) -> dict[str, Any]:
    """Gather what the page shows of a training.

    Args:
        engine: whom to ask.
        question: which settings and picture.
        steps: of the training.

    Raises:
        InputError: there is no such step; what was learned before it is kept no longer.
    """
    outcome: Outcome = engine.answer(unet_training.LookAtTraining(question.picture, question.words, steps))
    settings = settings_of("unet", dict(question.words))
    return plain(
        {
            "blocks": [shown(block) for block in outcome.blocks],
            "next": min(steps + unet_training.TURN, unet_training.MOST),
            "most": unet_training.MOST,
            "snippet": unet_training.snippet(settings, steps),
        }
    )


def shown(block: Block) -> dict[str, Any]:
    """Return a block as the script draws it."""
    known: dict[str, Any] = {"kind": type(block).__name__.lower(), "name": block.name}
    if isinstance(block, Maps):
        return known | {
            "maps": _drawn(block),
            "size": block.values.shape[1:],
            "shape": block.shape,
            "padded": block.padded,
            "labels": block.labels,
            "more": 0 if block.picture else max(len(block.values) - MOST_MAPS, 0),
        }
    if isinstance(block, Table):
        return known | {"columns": block.columns, "rows": block.rows}
    if isinstance(block, Formula):
        return known | {"lines": block.lines}
    if isinstance(block, Curves):
        return known | {"series": _numbers(block.series), "logarithmic": block.logarithmic}
    if isinstance(block, Tree):
        return known | {"leaves": [vars(leaf) for leaf in block.leaves]}
    if isinstance(block, Bars):
        return known | {"bars": block.bars}
    if isinstance(block, Boxes):
        return known | {"boxes": [_box(box) for box in block.boxes]}
    assert isinstance(block, Said)
    return known | {"values": block.values}


def _box(box: Box) -> dict[str, Any]:
    return {**vars(box), "picture": None if box.picture is None else address_of(Image.fromarray(box.picture))}


def _numbers(series: Mapping[str, tuple[float, ...]]) -> dict[str, list[float | str]]:
    return {name: [exact(value) for value in values] for name, values in series.items()}


def _drawn(block: Maps) -> list[dict[str, Any]]:
    """Draw a picture, or the first of many maps."""
    if block.picture:
        low, high = ends(block.values)
        return [{"url": picture_address(block.values), "low": low, "high": high}]
    maps = map(map_address, block.values[:MOST_MAPS])
    return [{"url": url, "low": low, "high": high} for url, low, high in maps]
