"""The network as a figure: boxes with a picture of what each stage put out, arrows between them, one of them picked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.explain.python import as_python
from segdemo.questions import Drawing, Layers, RandomLayers, Randomness, Run, Summaries, facts_of
from segdemo.questions import Figure as DrawnFigure
from segdemo.rendering import colour_thumbnails, encode_png, scale_for
from segdemo.results import NetworkFacts, Result, Stage
from segdemo.summaries import Preview, Summary
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, placed, plain, store
from segdemo.ui.panels.channels import coloured

Pixels = NDArray[np.uint8]
Rectangle = tuple[int, int, int, int]

MOST_OPEN = 24  # boxes opened one after the other
_SPRITE_WIDTH = 1024
_PICTURE_SIDE = 96
_TEMPLATE = """
<section class="card">
  <header>
    <h3 class="heading"></h3><span class="network"></span><span class="badge" hidden></span>
  </header>
  <p class="before" hidden></p>
  <p class="empty"></p>
  <div class="figure" hidden>
    <div class="scroll"><svg class="drawing" role="group"></svg></div>
    <div class="tip" role="tooltip" hidden></div>
  </div>
  <p class="legend" hidden></p>
  <div class="code"></div>
  <p class="picked" aria-live="polite"></p>
</section>
"""


@dataclass(frozen=True)
class Figure:
    """Which network is to be drawn.

    Args:
        network: its name.
        size: input size in pixels, for the shapes known before a run.
        step: of its training, None at its end.
        run: with what it put out in this run; None before the first.
        selected: label of the stage picked, or None.
        opened: labels of the boxes to open one level deeper, one after the other; the page's address has them.
    """

    network: str
    size: int
    step: int | None = None
    run: Run | None = None
    selected: str | None = None
    opened: tuple[str, ...] = ()


class FigurePanel(gr.HTML):
    """Draws a :class:`Figure`; a click or a key picks a stage: ``select`` comes with its label as index and value.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def figure(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return payload(engine, asked_figure(asked), store)

        super().__init__(
            html_template=_TEMPLATE,
            css_template=css("figure"),
            js_on_load=loader("figure", "why"),
            apply_default_css=False,
            server_functions=[figure],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page: what is picked comes with the event."""

    def postprocess(self, value: Figure | None) -> dict[str, Any] | None:  # type: ignore[override]
        """Tell the script what to ask for."""
        return None if value is None else asdict(value)

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def asked_figure(asked: dict[str, Any]) -> Figure:
    """Read what a script asks for.

    Raises:
        InputError: it asks for something that cannot be.
    """
    return Figure(
        checks.text("network", asked.get("network")),
        checks.whole("size", asked.get("size")),
        checks.or_none(checks.whole)("step", asked.get("step")),
        None if asked.get("run") is None else asked_run(asked),
        checks.or_none(checks.text)("selected", asked.get("selected")),
        checks.texts("open", asked.get("opened", ()), most=MOST_OPEN),
    )


def payload(engine: Engine, asked: Figure, keep: Callable[[bytes, str], Any]) -> dict[str, Any]:
    """Gather what the figure shows: the network's stages, with their maps once there is a run.

    Args:
        engine: whom to ask.
        asked: which network.
        keep: stores a file by its content and a name, and says where the script finds it.

    Raises:
        InputError: there is no such network; the picture is kept no longer.
    """
    facts = facts_of(engine, asked.network)
    result: Result | None = None if asked.run is None else engine.answer(asked.run)
    layers = engine.answer(Layers(asked.network, asked.size, None if result is None else result.size))
    shapes = {layer.name: layer.shape for layer in layers}
    figure = drawing(engine, asked.network, asked.opened)
    summaries = _summaries(engine, facts, figure, asked.run, result)
    tiles: list[Pixels] = []
    boxes = []
    labels = {stage.label for stage, _ in _every(figure.stages)}
    for stage, parent in _every(figure.stages):
        name = facts.label_and_layer(stage.layer)[0]
        preview = None if result is None else result.previews.get(name)
        box = {"name": name, "shape": _told(shapes.get(stage.layer)), **_box(stage, parent, labels)}
        boxes.append(box | _seen(summaries.get(stage.layer), preview, tiles))
    if facts.random and not facts.trained_at(asked.step):
        random: Randomness = engine.answer(RandomLayers(asked.network, asked.step))
        for box in boxes:
            box["flags"] = (*filter(None, [random.of(box["layer"])]), *box["flags"])
    if result is not None:
        tiles.append(_small(result.seen))
    sheet, places = pack(tiles)
    for box in boxes:
        box["thumbnail"] = None if box["thumbnail"] is None else places[box["thumbnail"]]
    return plain(
        {
            "network": facts.name,
            "title": facts.title,
            "untrained": not facts.trained_at(asked.step),
            "partly": bool(facts.random),
            "selected": asked.selected,
            "sprite": keep(encode_png(Image.fromarray(sheet)), "figure.png") if tiles else None,
            "sprite_size": [sheet.shape[1], sheet.shape[0]],
            "picture": places[-1] if result is not None else None,
            "boxes": boxes,
            "opened": figure.opened,
            "run": asked.run,
            "placed": None if result is None else placed(result),
            "python": python_of(asked),
        }
    )


def python_of(asked: Figure) -> str:
    """Write the Python that gives what the figure shows: every stage's summary, or before a run every layer's shape."""
    if asked.run is None:
        return as_python(Layers(asked.network, asked.size))
    return as_python(asked.run, value="answer.layers")


def _every(stages: Sequence[Stage], parent: str | None = None) -> Iterator[tuple[Stage, str | None]]:
    """Yield each stage with the label of the one it is in, those inside right after it."""
    for stage in stages:
        yield stage, parent
        yield from _every(stage.inside, stage.label)


def drawing(engine: Engine, network: str, opened: Sequence[str]) -> DrawnFigure:
    """Draw a network with those boxes open that can be opened, one after the other.

    Args:
        engine: whom to ask.
        network: its name.
        opened: labels of boxes; one that is not there, or holds nothing, is passed over.
    """
    figure: DrawnFigure = engine.answer(Drawing(network))
    for label in opened:
        try:
            figure = engine.answer(Drawing(network, (*figure.opened, label)))
        except InputError:
            continue
    return figure


def _summaries(
    engine: Engine, facts: NetworkFacts, figure: DrawnFigure, run: Run | None, result: Result | None
) -> dict[str, Summary]:
    """Return layer → summary of what each box put out: of the run, and in one more pass of those that were opened."""
    if run is None or result is None:
        return {}
    names = {stage.layer: facts.label_and_layer(stage.layer)[0] for stage in figure.stages}
    found = {layer: result.layers[name] for layer, name in names.items() if name in result.layers}
    others = tuple(layer for layer in names if layer not in found)
    return found | (
        dict(engine.answer(Summaries(run.network, run.picture, others, run.size, run.step))) if others else {}
    )


def _box(stage: Stage, parent: str | None, labels: Collection[str]) -> dict[str, Any]:
    """Describe one box without a picture."""
    return {
        "label": stage.label,
        "layer": stage.layer,
        "row": stage.row,
        "column": stage.column,
        "inputs": [label for label in stage.inputs if label in labels],  # the page draws the batch as the picture
        "skips": [label for label in stage.skips if label in labels],
        "parent": parent,
        "within": stage.within,
        "opens": stage.opens and parent is None,
        "thumbnail": None,
        "channel": None,
        "flags": (),
        "dead_count": 0,
    }


def _seen(summary: Summary | None, preview: Preview | None, tiles: list[Pixels]) -> dict[str, Any]:
    """Say what a layer put out; its picture is added to the tiles, and named by its place there."""
    if summary is not None:
        picture, seen = _look(summary)
    elif preview is not None:
        ends = np.array([preview.low]), np.array([preview.high])
        picture = colour_thumbnails(preview.thumbnail[None], *ends, [scale_for(preview.low, preview.high)])[0]
        seen = {"shape": preview.shape, "channel": preview.channel}
    else:
        return {}
    tiles.append(picture)
    return {**seen, "shape": _told(seen["shape"]), "thumbnail": len(tiles) - 1}


def _told(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return a shape if the figure has words for it: that of maps, or of a vector."""
    return shape if shape is not None and len(shape) in (1, 3) else None


def _look(summary: Summary) -> tuple[Pixels, dict[str, Any]]:
    """Return the picture of a stage, (h, w, 3) uint8, and what is to be said of it."""
    flags = {
        "dead": bool(summary.dead),
        "nan": summary.nans > 0,
        "inf": summary.infinities > 0,
        "flat": summary.minimum == summary.maximum,
    }
    if len(summary.shape) == 1:  # a value that is 0 for one picture is no dead channel
        flags["dead"] = False
        return _vector_picture(summary), {"shape": summary.shape, "flags": [name for name in flags if flags[name]]}
    channel = int(summary.channels.ranked("variance")[0])
    scale = scale_for(float(summary.channels.minimum[channel]), float(summary.channels.maximum[channel]))
    return coloured(summary, np.array([channel]), [scale])[0], {
        "shape": summary.shape,
        "channel": channel,
        "flags": [name for name in flags if flags[name]],
        "dead_count": len(summary.dead),
    }


def _vector_picture(summary: Summary) -> Pixels:
    """Lay a vector out row by row in the squarest rectangle it fills, on one scale, (rows, columns, 3) uint8."""
    count = summary.shape[0]
    columns = next(length for length in range(math.isqrt(count - 1) + 1, count + 1) if count % length == 0)
    scale = scale_for(summary.minimum, summary.maximum)
    return coloured(summary, np.arange(count), [scale] * count).reshape(-1, columns, 3)


def _small(picture: Image.Image) -> Pixels:
    small = picture.convert("RGB")
    small.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
    return np.asarray(small)


def pack(tiles: Sequence[Pixels]) -> tuple[Pixels, list[Rectangle]]:
    """Put pictures of different sizes on one sheet, on shelves from the highest to the lowest.

    Each picture's border is repeated once around it, so that no neighbour shines through when it is enlarged.

    Args:
        tiles: each (h, w, 3) uint8, RGB.

    Returns:
        The sheet (H, W, 3) uint8, and (x, y, width, height) of each picture in it, in the order given.
    """
    order = sorted(range(len(tiles)), key=lambda index: (-tiles[index].shape[0], -tiles[index].shape[1]))
    widest = max((tile.shape[1] + 2 for tile in tiles), default=1)
    limit = max(_SPRITE_WIDTH, widest)
    places: list[Rectangle] = [(0, 0, 0, 0)] * len(tiles)
    left = top = shelf = right = 0
    for index in order:
        height, width = tiles[index].shape[:2]
        if left + width + 2 > limit:
            left, top, shelf = 0, top + shelf, 0
        places[index] = (left + 1, top + 1, width, height)
        left, shelf = left + width + 2, max(shelf, height + 2)
        right = max(right, left)
    sheet = np.zeros((max(top + shelf, 1), max(right, 1), 3), np.uint8)
    for tile, (x, y, width, height) in zip(tiles, places, strict=True):
        bordered = np.pad(tile, ((1, 1), (1, 1), (0, 0)), mode="edge")
        sheet[y - 1 : y + height + 1, x - 1 : x + width + 1] = bordered
    return sheet, places
