"""Inside the stage: every channel of one layer as a sheet of tiles, and one of them large with its exact values."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Literal

import gradio as gr
import numpy as np
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from segdemo.rendering import Scale, channel_sheet, colour_values, encode_png
from segdemo.ui.components import HERE, read_css, read_js, store

COLUMNS = 8  # of the sprite; how many tiles stand in a row of the page, the style sheet decides
_SERIALS = count(1)

Ranking = Literal["mean_abs", "variance", "sparsity", "index"]
Scope = Literal["channel", "layer", "network"]
Flag = Literal["dead", "flat", "nan", "inf"]
Ends = tuple[float, float, bool]  # a scale: low, high, diverging


@dataclass(frozen=True)
class TileFacts:
    """What is written under a tile; the numbers are those of the channel's finite values, NaN when it has none.

    Args:
        channel: index in the layer.
        low: minimum.
        high: maximum.
        mean: mean.
        std: standard deviation.
        mean_abs: mean absolute value.
        zero_share: share of values that are exactly 0, in [0, 1].
        flags: what is noteworthy about the channel.
    """

    channel: int
    low: float
    high: float
    mean: float
    std: float
    mean_abs: float
    zero_share: float
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, eq=False)
class SheetStatistics:
    """The whole layer in numbers: of its finite values, except for the counts of what is not finite.

    Args:
        minimum: smallest value.
        maximum: largest value.
        mean: mean.
        std: standard deviation.
        zero_share: share of values that are exactly 0, in [0, 1].
        dead: how many channels are 0 everywhere.
        nans: how many values are NaN.
        infinities: how many values are infinite.
        edges: (bins + 1,) borders of the histogram's bins, ascending.
        counts: (bins,) how many values lie in each bin.
        counted_step: 1 when the bins count every value, n when they count every n-th.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    zero_share: float
    dead: int
    nans: int
    infinities: int
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    counted_step: int = 1


@dataclass(frozen=True, eq=False)
class Enlarged:
    """One channel, exact.

    Args:
        channel: index in the layer.
        values: (h, w) float32.
        scale: low, high, diverging of its colours.
        picture: RGB, what the network saw, padding included; None when there is nothing to lay the channel over.
    """

    channel: int
    values: NDArray[np.float32]
    scale: Ends
    picture: Image.Image | None = None


@dataclass(frozen=True, eq=False)
class SheetValue:
    """One page of a layer's channels.

    Args:
        network_title: what people call the network.
        untrained: its weights are random.
        label: stage label, or the dotted name of a module that is no stage.
        layer: dotted name, with ``":call"`` where the module runs more than once.
        kind: type of the module.
        shape: (C, h, w) of the layer's output; a vector may leave out h and w; a table (N, C) is one map; dimensions
            beyond three are rows of the map.
        tiles: (n, th, tw, 3) uint8, the coloured channels of this page.
        step: 1 when the tiles are native pixels; s when each of their pixels is the mean of s by s values.
        channels: n facts, in the order of the tiles.
        page: counted from 0.
        pages: how many there are.
        total: how many channels the layer has.
        ranking: what the channels are sorted by.
        scope: what the colour scale spans.
        scale: the one scale of all tiles; None when each tile has its own.
        stats: the layer in numbers.
        valid: shares of the map's width and height, in (0, 1], that come from the picture; the rest is padding.
        enlarged: the channel to show large.
    """

    network_title: str
    untrained: bool
    label: str
    layer: str
    kind: str
    shape: tuple[int, ...]
    tiles: NDArray[np.uint8]
    step: int
    channels: tuple[TileFacts, ...]
    page: int
    pages: int
    total: int
    ranking: Ranking
    scope: Scope
    scale: Ends | None
    stats: SheetStatistics
    valid: tuple[float, float] = (1.0, 1.0)
    enlarged: Enlarged | None = field(default=None)


class SheetData(GradioModel):
    """A page of channels as the browser gets it; numbers that are not finite are None.

    Args:
        serial: differs from that of every other answer, so that two equal answers are still two.
        facts: the value's plain fields.
        sprite: PNG of the tiles, eight in a row.
        exact: the enlarged channel's values, little-endian float32, row by row.
        picture: what the network saw, JPEG.
    """

    serial: str
    facts: dict[str, Any]
    sprite: FileData
    exact: FileData | None = None
    picture: FileData | None = None


class ChannelSheet(gr.HTML):
    """The channels of a layer, 64 at a time.

    Events: ``select`` with ``index`` and ``value``, the channel to enlarge; ``view`` with ``ranking``, ``scope``,
    ``page`` and ``channel``, the one that is large now or None.
    """

    data_model = SheetData

    def __init__(self, value: SheetValue | None = None, **settings: Any) -> None:
        super().__init__(
            value=value,
            html_template='<section class="sheet-card"></section>',
            css_template=read_css("channel_sheet"),
            js_on_load=_script(),
            apply_default_css=False,
            **settings,
        )

    def postprocess(self, value: SheetValue | None) -> SheetData | None:  # type: ignore[override]
        """Write the tiles and the exact values to files the page can fetch."""
        if value is None:
            return None
        large = value.enlarged
        return SheetData(
            serial=str(next(_SERIALS)),
            facts=_facts(value),
            sprite=self._file(encode_png(channel_sheet(value.tiles, COLUMNS)), "channels.png"),
            exact=self._file(large.values.astype("<f4").tobytes(), "channel.bin") if large else None,
            picture=self._file(_jpeg(large.picture), "seen.jpg") if large and large.picture else None,
        )

    def preprocess(self, payload: SheetData | None) -> None:  # type: ignore[override]
        """Give handlers nothing: what they need comes with the events."""

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return SheetData.model_json_schema()

    def _file(self, content: bytes, name: str) -> FileData:
        return FileData(path=store(content, name))


def _script() -> str:
    """Put the colour tables, the enlarged view and the sheet into one script.

    A table is the colours of 257 fractions from 0 to 1, then of -inf, +inf and NaN: those of ``segdemo.rendering``.
    """
    values = np.concatenate([np.linspace(-1, 1, 257), [-math.inf, math.inf, math.nan]])
    tables = {
        str(diverging).lower(): base64.b64encode(colour_values(values, Scale(-1.0, 1.0, diverging)).tobytes()).decode()
        for diverging in (False, True)
    }
    enlarged = (HERE / "channel_enlarged.js").read_text(encoding="utf-8")
    return f"const TABLES = {json.dumps(tables)};\n{enlarged}\n{read_js('channel_sheet')}"


def _facts(value: SheetValue) -> dict[str, Any]:
    """Collect the plain fields of a value, with those of the enlarged channel that are no files."""
    skipped = {"tiles", "channels", "stats", "enlarged"}
    facts = {name: content for name, content in vars(value).items() if name not in skipped}
    shape = (*value.shape, 1, 1) if len(value.shape) == 1 else value.shape
    table = len(shape) == 2  # one map of tokens by features
    large = value.enlarged
    facts |= {
        "shape": shape,
        "map": shape if table else (math.prod(shape[1:-1]), shape[-1]),
        "columns": COLUMNS,
        "thumbnail": value.tiles.shape[1:3],
        "channels": [asdict(channel) for channel in value.channels],
        "stats": vars(value.stats) | {"edges": value.stats.edges.tolist(), "counts": value.stats.counts.tolist()},
        "enlarged": large and {"channel": large.channel, "shape": large.values.shape, "scale": large.scale},
    }
    return _plain(facts)


def _plain(value: Any) -> Any:
    """Make what JSON can hold: lists, Python's own numbers, None for what is not finite."""
    if isinstance(value, dict):
        return {name: _plain(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _jpeg(picture: Image.Image) -> bytes:
    """Encode a photograph."""
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=90, subsampling=0)
    return file.getvalue()
