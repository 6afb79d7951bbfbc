"""Two runs side by side: masks that zoom together, where they disagree, shares, which stages are alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from segdemo import rendering
from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, GIVEN, example
from segdemo.explain.compare import ALTERATIONS, ANGLE, Compare, Comparison, altered, turned_back
from segdemo.explain.python import as_python
from segdemo.questions import Catalogue, Run, facts_of
from segdemo.rendering import Scale
from segdemo.results import Result
from segdemo.ui import checks
from segdemo.ui.files import uploaded
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, plain, store
from segdemo.ui.panels.heat import heat

SIDE = 720  # pixels of the longest side of what is shown
END = "end"  # word for the end of the training


class ComparePanel(gr.HTML):
    """Shows a :class:`Run`: its script asks for it beside another.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def choices(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return choices_payload(engine, asked_run(asked))

        @answering
        def compare(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            run = asked_run(asked)
            other = other_of(engine, run, checks.or_none(checks.text)("with", asked.get("with")), asked.get("path"))
            return payload(engine, run, other)

        super().__init__(
            html_template='<section class="why-card"></section>',
            css_template=css("why"),
            js_on_load=loader("compare"),
            apply_default_css=False,
            server_functions=[choices, compare],
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


@dataclass(frozen=True)
class Other:
    """What a run is compared with.

    Args:
        run: the other one.
        turned: by how many degrees its picture is turned anticlockwise.
        code: Python for its picture, where that is not the one of the run on show.
    """

    run: Run
    turned: float = 0.0
    code: str | None = None


def choices_payload(engine: Engine, run: Run) -> dict[str, Any]:
    """Say what a run can be compared with."""
    facts = facts_of(engine, run.network)
    others = [
        one for one in engine.answer(Catalogue()) if one.name != run.network and set(one.names) & set(facts.names)
    ]
    return plain(
        {
            "networks": [(one.name, one.title) for one in others],
            "steps": [step for step in (*facts.steps, END) if step != (END if run.step is None else run.step)],
            "pictures": tuple(GIVEN) or EXAMPLES,
            "title": facts.title,
        }
    )


def checked_word(engine: Engine, word: str) -> str:
    """Return what the address names as the other side of a comparison.

    Raises:
        InputError: there is no such thing.
    """
    kind, _, rest = word.partition(".")
    if kind == "network":
        facts_of(engine, rest)
    elif kind == "example":
        example(rest)
    elif not (kind == "step" and (rest == END or rest.isdecimal())):
        _amount(kind, rest)
    return word


def other_of(engine: Engine, run: Run, word: str | None, path: Any = None) -> Other:
    """Read what a run is to be compared with.

    Args:
        engine: whom to ask.
        run: the one on show.
        word: as :func:`checked_word` takes it; None for an uploaded picture.
        path: of that picture.

    Raises:
        InputError: there is no such thing.
    """
    if word is None:
        return Other(replace(run, picture=engine.keep(uploaded(path))), code="'other.jpg'")
    kind, _, rest = checked_word(engine, word).partition(".")
    if kind == "network":
        return Other(Run(rest, run.picture))
    if kind == "step":
        facts = facts_of(engine, run.network)
        return Other(replace(run, step=None if rest == END else facts.check_step(int(rest[:9]))))
    if kind == "example":
        return Other(replace(run, picture=engine.keep(example(rest))), code=f"'{example(rest).name}'")
    amount = _amount(kind, rest)
    changed = engine.keep(altered(engine.picture(run.picture).picture, kind, amount))
    code = f"altered(load_picture({{file}}), {kind!r}, {amount})"
    return Other(replace(run, picture=changed), ANGLE * amount if kind == "rotated" else 0.0, code)


def _amount(kind: str, word: str) -> float:
    """Return how much a picture is to be altered, in [0, 1], of a word in percent."""
    if kind in ALTERATIONS and word.isdecimal() and len(word) < 4 and int(word) <= 100:
        return int(word) / 100
    raise InputError(
        "unknown_comparison",
        "“{came}” is nothing to compare with. Write network.NAME, step.NUMBER, example.NAME, or one of {kinds} with an "
        "amount in percent, like blurred.50; or choose it in the tab “Why”.",
        came=f"{kind}.{word}"[: checks.SHOWN],
        kinds=", ".join(ALTERATIONS),
    )


def payload(engine: Engine, run: Run, other: Other) -> dict[str, Any]:
    """Gather what the script shows of a comparison."""
    question = Compare(run, other.run, other.turned)
    found: Comparison = engine.answer(question)
    pictures = [engine.picture(one.picture).picture for one in (run, other.run)]
    if other.turned:
        pictures[1] = pictures[1].rotate(-other.turned, Image.Resampling.BICUBIC)
    sides = [
        _side(picture, result, turned, facts_of(engine, one.network).title)
        for picture, result, turned, one in zip(
            pictures, (found.left, found.right), (0.0, other.turned), (run, other.run), strict=True
        )
    ]
    code = {other.run.picture: other.code} if other.code else {}
    return plain(
        {
            "sides": sides,
            "picture_size": found.left.size,
            "differences": store(rendering.encode_png(_differences(found)), "differences.png"),
            "percent": found.percent,
            "compared": 100 * float(found.compared.mean()),
            "shares": [share for share in found.shares if (share[1] or 0) > 0 or (share[2] or 0) > 0],
            "matched": found.matched,
            "stages": found.stages,
            "likeness": found.likeness,
            "plot": heat(found.likeness, Scale(0.0, 1.0, False)) if found.likeness.size else None,
            "whole": "classification" in (found.left.task, found.right.task),
            "python": as_python(question, value="answer.percent, answer.matched", others=code),
        }
    )


def _side(picture: Image.Image, result: Result, turned: float, title: str) -> dict[str, Any]:
    """Describe one side. In its labels red is the class modulo 256, green how often 256 goes into it, blue no class."""
    size = shown_size(picture.size)
    mask, inside = turned_back(result.at(size).mask, turned)
    labels = np.stack([mask & 255, mask >> 8, np.where(inside, 0, 255)], -1).astype(np.uint8)
    return {
        "title": title,
        "step": result.step,
        "size": result.input_size,
        "untrained": not result.trained,
        "photo": store(rendering.encode_jpeg(picture.resize(size)), "picture.jpg"),
        "labels": store(rendering.encode_png(Image.fromarray(labels)), "labels.png"),
        "classes": [asdict(one) for one in result.classes],
    }


def _differences(found: Comparison) -> Image.Image:
    """Draw, in the size on show, 0 where both say the same, 1 where they disagree, 2 where nothing is compared."""
    width, height = found.left.size
    size = shown_size((width, height))
    rows, columns = (((np.arange(n) + 0.5) * of / n).astype(int) for n, of in ((size[1], height), (size[0], width)))
    at = np.ix_(rows, columns)
    return Image.fromarray(np.where(found.compared[at], found.disagreement[at], 2).astype(np.uint8))


def shown_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) in which a picture of a size is shown: its own, or reduced to ``SIDE``."""
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
