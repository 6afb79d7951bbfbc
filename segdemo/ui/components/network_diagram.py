"""The network as a figure: boxes with a picture of what each stage put out, arrows between them, one of them picked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from segdemo.rendering import encode_png
from segdemo.ui.components import HERE, read_css, read_js, store

Pixels = NDArray[np.uint8]
Rectangle = tuple[int, int, int, int]

FLAGS = ("dead", "nan", "inf", "flat")
_SPRITE_WIDTH = 1024
_TEMPLATE = """
<section class="card">
  <header>
    <h3 class="heading"></h3><span class="network"></span><span class="badge" hidden></span>
    <button class="enlarge" type="button" aria-pressed="false"></button>
  </header>
  <p class="before" hidden></p>
  <p class="empty"></p>
  <div class="figure" hidden>
    <div class="scroll"><svg class="drawing" role="group"></svg></div>
    <div class="tip" role="tooltip" hidden></div>
  </div>
  <p class="legend" hidden></p>
  <p class="picked" aria-live="polite"></p>
</section>
"""


@dataclass(frozen=True)
class Box:
    """One stage of the figure.

    Args:
        label: what people read, unique in the figure.
        layer: dotted name of the module.
        row: depth in the figure, 0 at the top; within another box, depth in that box.
        column: place from left to right, 0 first.
        inputs: labels of the boxes it takes its input from.
        skips: labels of the boxes that reach it over a skip connection.
        inside: smaller boxes drawn within this one.
        shape: (C, h, w) of what it put out, (C,) if that is a vector; None when unknown.
        thumbnail: (th, tw, 3) uint8, RGB: one channel in colours, or a vector row by row; None before the first run.
        channel: index of the channel in the thumbnail, None for a vector.
        flags: what to warn of, among ``FLAGS``.
        dead_count: channels that are 0 everywhere.
    """

    label: str
    layer: str
    row: int
    column: int
    inputs: tuple[str, ...] = ()
    skips: tuple[str, ...] = ()
    inside: tuple[Box, ...] = ()
    shape: tuple[int, ...] | None = None
    thumbnail: Pixels | None = None
    channel: int | None = None
    flags: tuple[str, ...] = ()
    dead_count: int = 0


@dataclass(frozen=True)
class DiagramValue:
    """A network to draw.

    Args:
        network: name of the network.
        title: what people read.
        untrained: its weights are random; the figure says so.
        selected: label of the picked box.
        picture: small RGB picture of what the network saw, None before the first run.
        boxes: the stages, in figure order.
    """

    network: str
    title: str
    untrained: bool
    selected: str | None
    picture: Image.Image | None
    boxes: tuple[Box, ...]


class DiagramData(GradioModel):
    """What travels to the page: one sprite with all pictures, and the boxes with their places in it."""

    network: str
    title: str
    untrained: bool
    selected: str | None
    sprite: FileData | None
    sprite_size: list[int]
    picture: list[int] | None
    boxes: list[dict[str, Any]]


class NetworkDiagram(gr.HTML):
    """Draw a network from its declared stages; a click or a key picks one.

    Its value is a ``DiagramValue`` or None. As an input of an event it gives the label of the picked stage or None.
    ``select`` comes with the label as index and value.
    """

    data_model = DiagramData

    def __init__(self, value: DiagramValue | None = None, **settings: Any) -> None:
        super().__init__(
            value=value,
            html_template=_TEMPLATE,
            css_template=read_css("network_diagram"),
            js_on_load=(HERE / "network_layout.js").read_text(encoding="utf-8") + read_js("network_diagram"),
            apply_default_css=False,
            **settings,
        )

    def postprocess(self, value: DiagramValue | None) -> DiagramData | None:  # type: ignore[override]
        """Pack all pictures into one sprite and flatten the boxes."""
        if value is None:
            return None
        pairs = list(_every(value.boxes))
        tiles = [box.thumbnail for box, _ in pairs if box.thumbnail is not None]
        if value.picture is not None:
            tiles.append(np.asarray(value.picture.convert("RGB")))
        sheet, places = pack(tiles)
        rectangles = iter(places)
        boxes = [
            _describe(box, parent, next(rectangles) if box.thumbnail is not None else None) for box, parent in pairs
        ]
        return DiagramData(
            network=value.network,
            title=value.title,
            untrained=value.untrained,
            selected=value.selected,
            sprite=self._save(sheet) if tiles else None,
            sprite_size=[sheet.shape[1], sheet.shape[0]],
            picture=list(next(rectangles)) if value.picture is not None else None,
            boxes=boxes,
        )

    def preprocess(self, payload: DiagramData | None) -> str | None:  # type: ignore[override]
        """Return the label of the picked stage."""
        return None if payload is None else payload.selected

    def api_info(self) -> dict[str, Any]:
        """Describe the value for clients."""
        return DiagramData.model_json_schema()

    def _save(self, sheet: Pixels) -> FileData:
        encoded = encode_png(Image.fromarray(sheet))
        path = store(encoded, "network_diagram.png")
        return FileData(path=path, mime_type="image/png")


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


def _every(boxes: Sequence[Box], parent: str | None = None) -> Iterator[tuple[Box, str | None]]:
    """Yield each box with the label of the one it is in, those inside right after it."""
    for box in boxes:
        yield box, parent
        yield from _every(box.inside, box.label)


def _describe(box: Box, parent: str | None, rectangle: Rectangle | None) -> dict[str, Any]:
    unknown = set(box.flags) - set(FLAGS)
    if unknown:
        raise ValueError(f"{box.label}: there is no flag {sorted(unknown)}; flags are {FLAGS}")
    return {
        "label": box.label,
        "layer": box.layer,
        "row": box.row,
        "column": box.column,
        "inputs": list(box.inputs),
        "skips": list(box.skips),
        "parent": parent,
        "shape": None if box.shape is None or len(box.shape) not in (1, 3) else [int(side) for side in box.shape],
        "thumbnail": None if rectangle is None else list(rectangle),
        "channel": None if box.channel is None else int(box.channel),
        "flags": list(box.flags),
        "dead_count": int(box.dead_count),
    }
