"""A diagnosis card: one file of HTML that needs no server and asks for nothing, to send to somebody."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from segdemo import rendering
from segdemo.engine import Engine
from segdemo.explain import card_figure
from segdemo.explain.autopsy import Autopsy, PixelAutopsy, StageAutopsy
from segdemo.explain.hooks import NaiveHooks
from segdemo.explain.python import as_python
from segdemo.questions import Drawing, Run, facts_of
from segdemo.results import NetworkFacts, Result
from segdemo.summaries import Summary

HERE = Path(__file__).parent
LARGEST = 5 << 20  # bytes of a card
SIDE = 720  # pixels of the longest side of the picture
CHANNELS = 12  # of each stage, those that vary most
NAMED = 6  # channels of a stage that are named as dead or saturated
NEAR_ALL = 0.999  # share of a channel's values that are the greatest there are, from which on it is called saturated
SATURATED_AT = 6.0  # where ReLU6 ends


def card(engine: Engine, run: Run, point: tuple[int, int] | None = None, file: str = "picture.jpg") -> str:
    """Write a diagnosis card.

    Args:
        engine: whom to ask.
        run: what is diagnosed.
        point: (x, y) of a pixel to take apart, or None.
        file: what the picture is called in the Python that reproduces the card.

    Returns:
        HTML, complete in itself, at most ``LARGEST`` bytes.

    Raises:
        InputError: what is asked for cannot be had.
    """
    result: Result = engine.answer(run)
    facts = facts_of(engine, run.network)
    picture = engine.picture(run.picture).picture
    parts = [
        _head(result, facts),
        _segmentation(result, picture),
        _findings(engine, run, result, facts),
        _figure(engine, run, result, facts),
        _stages(result, facts),
    ]
    question = None if point is None else PixelAutopsy(run.network, run.picture, point, run.size, run.step)
    if question is not None:
        parts.append(_autopsy(engine.answer(question), picture))
    asked = [run, *([question] if question else [])]
    code = "\n".join(as_python(one, file) for one in asked)
    parts.append(f"<h2>Python</h2><pre>{html.escape(code)}</pre>")
    data = _data(result)
    style, script = ((HERE / f"card.{kind}").read_text("utf-8") for kind in ("css", "js"))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(facts.title)}: diagnosis</title><style>{style}</style><body>{''.join(parts)}"
        f'<script type="application/json" id="facts">{data}</script><script>{script}</script></body></html>\n'
    )


def _small(result: Result) -> Result:
    """Return the result in the size in which the card shows it."""
    scale = min(1.0, SIDE / max(result.size))
    return result.at((max(1, round(result.size[0] * scale)), max(1, round(result.size[1] * scale))))


def _data(result: Result) -> str:
    """Return what the script needs, as JSON that may stand within HTML."""
    small = _small(result)
    sure = np.round(255 * small.confidence).astype(np.uint8)
    low = (small.mask & 255).astype(np.uint8)
    labels = Image.fromarray(np.stack([low, sure, np.zeros_like(low)], -1))
    there = [one for one in result.classes if one.percent > 0]
    facts = {
        "labels": _png(labels),
        "classes": [
            {"index": one.index, "name": one.name, "colour": one.colour, "hidden": one.hidden} for one in there
        ],
    }
    return json.dumps(facts).replace("<", "\\u003c")


def _png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _jpeg(picture: Image.Image) -> str:
    small = picture.copy()
    small.thumbnail((SIDE, SIDE))
    return "data:image/jpeg;base64," + base64.b64encode(rendering.encode_jpeg(small)).decode()


def _head(result: Result, facts: NetworkFacts) -> str:
    step = "the end of its training" if result.step is None else f"step {result.step} of its training"
    words = f"{facts.title}, {result.input_size} px, {step}, picture of {result.size[0]} × {result.size[1]} pixels"
    random = "<p class=warn>The weights of this network are random: nothing here means anything.</p>"
    return (
        f"<h1>Diagnosis: {html.escape(facts.title)}</h1><p>{html.escape(words)}</p>{'' if result.trained else random}"
    )


def _segmentation(result: Result, picture: Image.Image) -> str:
    there = sorted((one for one in result.classes if one.percent > 0), key=lambda one: (one.hidden, -one.percent))
    legend = "".join(
        f'<button type="button" data-index="{one.index}" aria-pressed="{"false" if one.hidden else "true"}">'
        f'<span class="swatch" style="background:{one.colour}"></span>'
        f"{html.escape(one.name)} {one.percent:.1f} %</button>"
        for one in there
    )
    entropy = result.at(_small(result).size).entropy
    heat = rendering.heat_map(entropy, rendering.scale_for(0.0, float(np.log2(max(2, len(result.names))))))
    photo = _jpeg(picture)
    return (
        f'<h2>Segmentation</h2><div class="pair"><div><div class="over"><img src="{photo}" alt="the picture">'
        f'<canvas id="map"></canvas></div><p id="told" class="quiet">&nbsp;</p></div>'
        f'<div><img src="{_jpeg(heat)}" alt="entropy"><p class="quiet">entropy: dark is sure</p></div></div>'
        f"<p>{legend}</p>"
    )


def confused(result: Result) -> tuple[str, str, float] | None:
    """Return the pair of classes that the network wavers between most, and the mean probability of the second.

    Args:
        result: of a run.

    Returns:
        Name of the class that won, name of the one that came second most often where the winner had least, and that
        second's mean probability there, in [0, 1]; None with one class.
    """
    logits = result.logits.astype(np.float64)
    if len(logits) < 2:
        return None
    odds = np.exp(logits - logits.max(0))
    odds /= odds.sum(0)
    order = np.argsort(-odds.reshape(len(odds), -1), axis=0)[:2]
    second = np.take_along_axis(odds.reshape(len(odds), -1), order[1:2], 0)[0]
    pairs: dict[tuple[int, int], float] = {}
    for one, other, odd in zip(order[0].tolist(), order[1].tolist(), second.tolist(), strict=True):
        pairs[one, other] = pairs.get((one, other), 0.0) + odd
    (one, other), total = max(pairs.items(), key=lambda item: item[1])
    count = int(((order[0] == one) & (order[1] == other)).sum())
    return result.names[one], result.names[other], total / count


def border_gap(result: Result) -> float:
    """Return the mean confidence along the picture's border less that elsewhere, in [-1, 1]: padding costs some."""
    confidence = _small(result).confidence
    width = max(1, min(confidence.shape) // 20)
    inner = np.zeros(confidence.shape, bool)
    inner[width:-width, width:-width] = True
    if not inner.any():
        return 0.0
    return float(confidence[~inner].mean() - confidence[inner].mean())


def padding_effect(engine: Engine, run: Run, size: tuple[int, int]) -> tuple[float, float]:
    """Run a network on an even grey picture, in which nothing but padding can make one place differ from another.

    Args:
        engine: whom to ask.
        run: decides network, input size and step.
        size: (width, height) of the picture.

    Returns:
        Share of the pixels that get another class than the middle, in percent; and by how much the confidence varies,
        greatest less least, in [0, 1].
    """
    even = engine.keep(Image.new("RGB", size, (128, 128, 128)))
    result: Result = engine.answer(Run(run.network, even, run.size, run.step))
    middle = result.mask[result.mask.shape[0] // 2, result.mask.shape[1] // 2]
    return 100 * float((result.mask != middle).mean()), float(np.ptp(result.confidence))


def troubles(result: Result, facts: NetworkFacts) -> dict[str, str]:
    """Say of each stage with dead or saturated channels, by its label, which these are."""
    found = {}
    for stage in facts.stages:
        if stage.label not in result.layers:
            continue
        summary = result.layers[stage.label]
        kinds = (("dead", list(summary.dead)), ("saturated", saturated(summary)))
        told = [f"{len(channels)} {kind} ({_numbers(channels)})" for kind, channels in kinds if channels]
        if told and len(summary.shape) > 1:  # a value that is 0 for one picture is no dead channel
            found[stage.label] = ", ".join(told)
    return found


def _numbers(channels: list[int]) -> str:
    named = ", ".join(f"#{channel}" for channel in channels[:NAMED])
    return named if len(channels) <= NAMED else f"{named}, …"


def _figure(engine: Engine, run: Run, result: Result, facts: NetworkFacts) -> str:
    key = "Each box shows the channel that varies most. Dashed: skip connections. A click opens a stage."
    figure = card_figure.drawn(
        engine.answer(Drawing(run.network, step=run.step)).stages, result, _png, troubles(result, facts)
    )
    return f'<h2>The network</h2><p class=quiet>{key}</p><div class="wide" tabindex="0">{figure}</div>'


def _findings(engine: Engine, run: Run, result: Result, facts: NetworkFacts) -> str:
    rows: list[tuple[str, str]] = []
    pair = confused(result)
    if pair:
        rows.append(("Most confused pair", f"{pair[0]} before {pair[1]}, which has {100 * pair[2]:.1f} % there"))
    if result.task != "classification":
        rows.append(("Border", f"confidence along the border less that elsewhere: {100 * border_gap(result):+.1f} %"))
        other, varies = padding_effect(engine, run, result.size)
        words = "pixels of an even grey picture get another class than its middle, and the confidence varies by"
        rows.append(("Padding", f"{other:.1f} % of the {words} {100 * varies:.1f} %; nothing but padding can do that"))
    wrong = troubles(result, facts)
    named = "; ".join(f"{label}: {told}" for label, told in wrong.items()) or "none in this picture"
    rows.append(("Dead or saturated channels", named))
    hooks = engine.answer(NaiveHooks(run.network, run.size, run.step))
    rows.append(
        ("In-place layers", f"{len(hooks.overwritten)} of {hooks.layers} layers are overwritten after they put out")
    )
    return f"<h2>Findings</h2>{_table(rows)}"


def _table(rows: Iterable[tuple[str, ...]], head: tuple[str, ...] = ()) -> str:
    top = f"<tr>{''.join(f'<th>{html.escape(word)}</th>' for word in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(word)}</td>' for word in row)}</tr>" for row in rows)
    return f"<table>{top}{body}</table>"


def saturated(summary: Summary) -> list[int]:
    """Return the channels whose mean lies at the ceiling of ReLU6: nearly all their values are cut there."""
    figures = summary.channels
    return [
        int(channel)
        for channel in np.flatnonzero((figures.maximum == SATURATED_AT) & (figures.mean >= NEAR_ALL * SATURATED_AT))
    ]


def _stages(result: Result, facts: NetworkFacts) -> str:
    parts = []
    for number, stage in enumerate(facts.stages):
        if stage.label not in result.layers:  # it did not run in this pass
            continue
        summary = result.layers[stage.label]
        order = summary.channels.ranked("variance")[:CHANNELS]
        low, high = summary.channels.minimum, summary.channels.maximum
        scales = [rendering.scale_for(float(low[channel]), float(high[channel])) for channel in order]
        tiles = rendering.colour_thumbnails(summary.thumbnails[order], low[order], high[order], scales)
        dead, full = len(summary.dead), saturated(summary)
        size, ends = " × ".join(map(str, summary.shape)), f"{summary.minimum:.3g} to {summary.maximum:.3g}"
        said = f"{size}; {dead} dead, {len(full)} saturated; {ends}"
        shown = "".join(
            f'<figure><img src="{_png(Image.fromarray(tile))}" alt="">{channel}</figure>'
            for channel, tile in zip(order.tolist(), tiles, strict=True)
        )
        parts.append(
            f'<details id="stage-{number}"><summary><b>{html.escape(stage.label)}</b> '
            f"<span class=quiet>{html.escape(said)}</span></summary>"
            f'<div class="tiles">{shown}</div></details>'
        )
    return f"<h2>Stages</h2><p class=quiet>The channels that vary most, each on its own scale.</p>{''.join(parts)}"


def _autopsy(found: Autopsy, picture: Image.Image) -> str:
    width, height = found.picture_size
    boxes = "".join(
        f'<rect x="{box[0]}" y="{box[1]}" width="{box[2] - box[0]}" height="{box[3] - box[1]}"/>'
        for box in (*(stage.box for stage in found.stages if stage.box), found.effective_box)
    )
    view = f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{boxes}</svg>'
    verdict = (
        f"Pixel ({found.point[0]}, {found.point[1]}): {found.winner.name}, by {found.margin:.3g} in logits before "
        f"{found.runner_up.name}."
    )
    odds = _table((one.name, f"{100 * one.probability:.1f} %", f"{one.logit:.3g}") for one in found.candidates[:5])
    rows = [_stage_row(stage) for stage in found.stages]
    table = _table(
        rows, ("Stage", "Sees, pixels of the picture", "Activation × gradient", "For the winner", "Against it")
    )
    return (
        f'<h2>One pixel</h2><p>{html.escape(verdict)}</p><div class="pair"><div class="over">'
        f'<img src="{_jpeg(picture)}" alt="what each stage sees">{view}</div><div>{odds}</div></div>{table}'
    )


def _stage_row(stage: StageAutopsy) -> tuple[str, ...]:
    box = "–" if stage.box is None else f"{stage.box[2] - stage.box[0]} × {stage.box[3] - stage.box[1]}"
    pushes = (
        ", ".join(f"#{one.channel} {one.push:+.3g}" for one in some[:3]) for some in (stage.channels, stage.against)
    )
    return (stage.label, box, f"{stage.total:.3g}", *pushes)
