"""Sliders for every stage and skip connection, and the mask that follows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast, get_args

import gradio as gr
import numpy as np
from PIL import Image

from segdemo import rendering
from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.explain.mixer import Ablation, Change, Kind, Mix, Mixed, Prepared, Reduced
from segdemo.explain.python import as_python
from segdemo.questions import Drawing, Run, facts_of
from segdemo.results import Result
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering, sentence_of
from segdemo.ui.panels import asked_run, css, plain
from segdemo.ui.panels.heat import photograph

SIDE = 640  # pixels of the longest side of what is shown
CHANGES = 64  # at once
AT_A_TIME = 8  # channels ranked with one request, so that the page can tell how far it is, and stop
CHANNELS = 65_535


class MixerPanel(gr.HTML):
    """Shows a :class:`Run`: its script asks what becomes of it when something is changed.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def sliders(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return sliders_payload(engine, asked_run(asked))

        @answering
        def mix(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            small = engine.answer(Reduced(run.picture, SIDE))
            longest = None if small.size == engine.picture(run.picture).picture.size else SIDE
            changes = asked_changes(asked.get("changes"))
            question = Mix(run.network, run.picture, changes, run.size, run.step, longest)
            mixed: Mixed = engine.answer(question)
            whole = None if mixed.whole is None else sentence_of(mixed.whole, request)
            return payload(mixed, small) | {"whole": whole, "python": as_python(question)}

        @answering
        def prepare(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            return {"followed": engine.answer(Prepared(run.network, run.picture, run.size, run.step))}

        @answering
        def rank(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return rank_payload(engine, asked)

        super().__init__(
            html_template='<section class="why-card"></section>',
            css_template=css("why"),
            js_on_load=loader("mixer"),
            apply_default_css=False,
            server_functions=[sliders, prepare, mix, rank],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page."""

    def postprocess(self, value: Run | None) -> dict[str, Any] | None:  # type: ignore[override]
        """Tell the script what to ask for."""
        return None if value is None else asdict(value)

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def sliders_payload(engine: Engine, run: Run) -> dict[str, Any]:
    """Say what can be turned up and down, and which classes can be asked about."""
    facts = facts_of(engine, run.network)
    result: Result = engine.answer(run)
    labels = {stage.label for stage in facts.stages}
    figure = engine.answer(Drawing(run.network))
    there = sorted((one for one in result.classes if one.percent > 0), key=lambda one: (one.hidden, -one.percent))
    small = engine.answer(Reduced(run.picture, SIDE))
    return plain(
        {
            "skips": [(source, stage.label) for stage in figure.stages for source in stage.skips if source in labels],
            "stages": [{"label": stage.label, "channels": _channels(result, stage.label)} for stage in facts.stages],
            "classes": [one.name for one in there],
            "photo": photograph(small, SIDE),
            "mask": drawn(result.at(small.size), small),
            "counted": small.size if small.size != result.size else None,
            "untrained": not result.trained,
        }
    )


def _channels(result: Result, label: str) -> int:
    summary = result.layers.get(label)  # not every stage runs in every pass
    return summary.shape[0] if summary is not None and summary.shape else 0


def drawn(result: Result, small: Image.Image) -> str:
    """Draw a mask over its picture of the same size, background left out, as an address that holds it."""
    hidden = frozenset(one.index for one in result.classes if one.hidden)
    colours = [one.colour for one in result.classes]
    return photograph(rendering.overlay(small, result.mask, colours, 0.6, hidden), SIDE)


def payload(mixed: Mixed, small: Image.Image) -> dict[str, Any]:
    """Gather what the script shows of a changed run, over the picture in the size of its maps."""
    pixels = np.array(small.convert("L").convert("RGB")) // 2 + 96
    pixels[mixed.changed] = (214, 40, 120)
    return plain(
        {
            "mask": drawn(mixed.result, small),
            "changed": photograph(Image.fromarray(pixels.astype(np.uint8)), SIDE),
            "percent": mixed.percent,
            "shares": [share for share in mixed.shares if share[1] > 0 or share[2] > 0],
            "seconds": mixed.result.seconds,
            "again": mixed.layers,
        }
    )


def asked_changes(asked: Any) -> tuple[Change, ...]:
    """Read what is to be changed.

    Raises:
        InputError: it is not described as it has to be.
    """
    if not isinstance(asked, list) or len(asked) > CHANGES:
        raise InputError(
            "wrong_changes",
            "What is to be changed has to be a list of at most {most} changes, and {came} came. Move the sliders of "
            "the page, or send such a list.",
            most=CHANGES,
            came=checks.written(asked),
        )
    changes = []
    for one in asked:
        given = one if isinstance(one, dict) else {}
        factor = given.get("factor", 1)
        changes.append(
            Change(
                checks.text("layer", given.get("layer")),
                checks.or_none(checks.text)("into", given.get("into")),
                checks.whole("factor", factor, most=200) / 100,
                tuple(checks.wholes("channels", given.get("channels", []), most=CHANNELS)),
                cast(Kind, checks.one_of("instead", given.get("instead", "factor"), get_args(Kind))),
                checks.whole("seed", given.get("seed", 0)),
            )
        )
    return tuple(changes)


def rank_payload(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    """Silence the next few channels of a layer in turn."""
    run, layer = asked_run(asked), checks.text("layer", asked.get("layer"))
    first = checks.whole("first", asked.get("first", 0), most=CHANNELS)
    result: Result = engine.answer(run)
    total = _channels(result, layer) if layer in result.layers else 0
    if not first < total:
        raise InputError(
            "no_more_channels",
            "“{layer}” has {total} channels, and the ranking was to go on at {first}. Choose a stage and begin anew.",
            layer=layer,
            total=total,
            first=first,
        )
    channels = tuple(range(first, min(first + AT_A_TIME, total)))
    name = checks.text("class", asked.get("class"))
    ranks = engine.answer(Ablation(run.network, run.picture, layer, name, channels, run.size, run.step))
    whole = Ablation(run.network, run.picture, layer, name, (), run.size, run.step)
    return plain({"ranks": ranks, "done": channels[-1] + 1, "total": total, "python": as_python(whole)}) | {
        "ranks": [asdict(rank) for rank in ranks]
    }
