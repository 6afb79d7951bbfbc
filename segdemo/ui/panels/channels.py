"""The channels of one layer: a sheet of tiles, 64 at a time, and one of them large with its exact values."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

import gradio as gr
import numpy as np

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.explain.python import as_python
from segdemo.questions import Activation, ChannelScores, Layers, LayerSummary, Run, channel_of, facts_of, is_trained
from segdemo.rendering import Scale, channel_grid, colour_thumbnails, encode_jpeg, encode_png, is_flat, scale_for
from segdemo.results import Result, maps_of
from segdemo.summaries import Summary
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, exact, placed, plain, store

PAGE = 64  # channels on a sheet
CHANNELS = 65_535  # the greatest number of a channel that can be asked for
COLUMNS = 8  # of the sprite; how many tiles stand in a row of the page, the style sheet decides

Ranking = Literal["mean_abs", "variance", "sparsity", "index", "point", "class"]
Scope = Literal["channel", "layer", "network"]


@dataclass(frozen=True)
class ChannelGrid:
    """Which channels of a run are asked for, and how.

    Args:
        run: whose layers they are.
        layer: label of a stage, or dotted name of a module.
        ranking: what the channels are sorted by.
        scope: what the colour scale is taken from.
        page: counted from 0; -1 is the one with the channel.
        channel: the one to show large, or None.
        point: (x, y) of the pixel of the picture that is pinned, or None; two of the rankings need one.
        restored: whether this is what an address names, and goes before what is looked at now.
    """

    run: Run
    layer: str
    ranking: Ranking = "variance"
    scope: Scope = "channel"
    page: int = 0
    channel: int | None = None
    point: tuple[int, int] | None = None
    restored: bool = False


class ChannelsPanel(gr.HTML):
    """Shows a :class:`ChannelGrid`. Its script asks for the channels, and for other pages, rankings and scales, itself.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def channels(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return payload(engine, asked_grid(asked), store)

        @answering
        def values(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            channels = checks.wholes("channels", asked.get("channels"), most=CHANNELS)
            return values_payload(engine, asked_grid(asked), channels)

        super().__init__(
            html_template='<section class="sheet-card"></section>',
            css_template=css("channels"),
            js_on_load=loader("channels"),
            apply_default_css=False,
            server_functions=[channels, values],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page: what its script asks for comes by another way."""

    def postprocess(self, value: ChannelGrid | None) -> dict[str, Any] | None:  # type: ignore[override]
        """Tell the script what to ask for."""
        return None if value is None else asdict(value)

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def asked_grid(asked: dict[str, Any]) -> ChannelGrid:
    """Read what a script asks for.

    Raises:
        InputError: it asks for something that cannot be.
    """
    return ChannelGrid(
        asked_run(asked),
        checks.text("layer", asked.get("layer")),
        cast(Ranking, checks.one_of("ranking", asked.get("ranking", "variance"), get_args(Ranking))),
        cast(Scope, checks.one_of("scope", asked.get("scope", "channel"), get_args(Scope))),
        checks.whole("page", asked.get("page", 0), least=-1),
        checks.or_none(checks.whole)("channel", asked.get("channel")),
        checks.or_none(checks.point)("point", asked.get("point")),
    )


def payload(engine: Engine, asked: ChannelGrid, keep: Callable[[bytes, str], Any]) -> dict[str, Any]:
    """Gather one page of a layer's channels, and one channel enlarged if that is asked for.

    Args:
        engine: whom to ask.
        asked: which channels.
        keep: stores a file by its content and a name, and says where the script finds it.

    Raises:
        InputError: the network has no such layer, or the layer no such channel; the picture is kept no longer.
    """
    run = asked.run
    result: Result = engine.answer(run)
    facts = facts_of(engine, run.network)
    label, layer = facts.label_and_layer(asked.layer)
    summary = result.layers.get(label) or engine.answer(
        LayerSummary(run.network, run.picture, layer, run.size, run.step)
    )
    order, scores = ranked(engine, asked, layer, summary)
    page = _page_of(asked, order)
    shown = order[page * PAGE : (page + 1) * PAGE]
    lone = (
        _shapes(summary.shape)["map"] == (1, 1) and asked.scope == "channel"
    )  # a single value has no range of its own
    common = _common_scale(result, summary, "layer" if lone else asked.scope)
    scales = [common or tile_scale(summary, int(channel)) for channel in shown]
    tiles = coloured(summary, shown, scales)
    kinds = {info.name: info.type for info in engine.answer(Layers(run.network, run.size, result.size))}
    enlarged: dict[str, Any] | bool = False
    if asked.channel is not None:
        large = Activation(run.network, run.picture, layer, asked.channel, run.size, run.step, maps=True)
        values = np.atleast_2d(engine.answer(large))
        enlarged = {
            "channel": asked.channel,
            "shape": values.shape,
            "scale": ends(common or tile_scale(summary, asked.channel)),
            "exact": keep(values.astype("<f4").tobytes(), "channel.bin"),
            "picture": keep(encode_jpeg(result.seen), "seen.jpg"),
        }
    return plain(
        {
            "run": run,
            "network_title": facts.title,
            "untrained": not result.trained and not is_trained(engine, facts, layer, run.step),
            "label": label,
            "layer": layer,
            "kind": kinds[layer],
            **_shapes(summary.shape),
            "sprite": keep(encode_png(channel_grid(tiles, COLUMNS)), "channels.png"),
            "columns": COLUMNS,
            "thumbnail": tiles.shape[1:3],
            "step": summary.thumbnail_step,
            "channels": [_tile(summary, int(channel)) for channel in shown],
            "scores": None if scores is None else [exact(scores[channel]) for channel in shown],
            "point": asked.point,
            "class": result.names[result.class_at(asked.point)] if asked.ranking == "class" and asked.point else None,
            "page": page,
            "pages": -(-len(order) // PAGE),
            "total": len(order),
            "ranking": asked.ranking,
            "scope": asked.scope,
            "scale": ends(common),
            "stats": {name: getattr(summary, name) for name in STATISTICS} | {"dead": len(summary.dead)},
            "valid": result.placement.valid,
            **placed(result),
            "enlarged": enlarged,
            "python": python_of(asked, layer),
        }
    )


def python_of(asked: ChannelGrid, layer: str) -> str:
    """Write the Python that gives what the sheet shows: a channel, what the channels are ranked by, or all of them."""
    run = asked.run
    if asked.channel is not None:
        return as_python(Activation(run.network, run.picture, layer, asked.channel, run.size, run.step, maps=True))
    if asked.ranking in ("point", "class"):
        point = _pinned(asked)
        return as_python(ChannelScores(run.network, run.picture, layer, asked.ranking, point, run.size, run.step))
    return as_python(LayerSummary(run.network, run.picture, layer, run.size, run.step), value="answer.channels")


STATISTICS = (
    "minimum",
    "maximum",
    "mean",
    "std",
    "zero_share",
    "nans",
    "infinities",
    "edges",
    "counts",
    "counted_step",
)


def ranked(engine: Engine, asked: ChannelGrid, layer: str, summary: Summary) -> tuple[np.ndarray, np.ndarray | None]:
    """Sort the channels of a layer.

    Args:
        engine: whom to ask for scores at a point.
        asked: by what.
        layer: dotted name.
        summary: of the layer.

    Returns:
        The channels' numbers, (C,), best first, and the score (C,) of each channel where a point decides, else None.

    Raises:
        InputError: there is no point, or nothing to compare there.
    """
    if asked.ranking not in ("point", "class"):
        return summary.channels.ranked(asked.ranking), None
    run, point = asked.run, _pinned(asked)
    scores = engine.answer(ChannelScores(run.network, run.picture, layer, asked.ranking, point, run.size, run.step))
    return np.argsort(-scores, kind="stable"), scores


def values_payload(engine: Engine, asked: ChannelGrid, channels: Collection[int]) -> dict[str, Any]:
    """Gather exactly what channels put out over the pinned point.

    Args:
        engine: whom to ask.
        asked: the sheet, with its point.
        channels: which.

    Returns:
        The ``point``, its ``cell`` (column, row) in the layer's maps, and ``values`` by channel.

    Raises:
        InputError: there is no such layer, channel or pixel; the picture is kept no longer.
    """
    run, point = asked.run, _pinned(asked)
    result: Result = engine.answer(run)
    layer = facts_of(engine, run.network).label_and_layer(asked.layer)[1]
    result.class_at(point)  # refuses a point outside
    maps = maps_of(engine.answer(Activation(run.network, run.picture, layer, None, run.size, run.step, maps=True)))
    column, row = result.placement.cell_at(point, (maps.shape[2], maps.shape[1]))
    there = maps[:, row : row + 1, column : column + 1]
    values = {channel: exact(channel_of(there, channel, asked.layer).item()) for channel in channels}
    return {"point": point, "cell": (column, row), "values": values}


def _pinned(asked: ChannelGrid) -> tuple[int, int]:
    """Return the point that is asked about.

    Raises:
        InputError: there is none.
    """
    if asked.point is not None:
        return asked.point
    raise InputError(
        "no_point",
        "Channels are ranked at a point or in its class, and no point is pinned. Click the segmentation to pin one, or "
        "rank by something else.",
    )


def _page_of(asked: ChannelGrid, order: np.ndarray) -> int:
    """Return the page asked for, or the nearest there is."""
    if asked.page < 0 and asked.channel in order:
        return int(np.flatnonzero(order == asked.channel)[0]) // PAGE
    return min(max(asked.page, 0), (len(order) - 1) // PAGE)


def _shapes(shape: tuple[int, ...]) -> dict[str, Any]:
    """Say what shape a layer puts out, and (height, width) of the maps it is seen as."""
    if len(shape) == 2:  # one map of tokens by features
        return {"shape": shape, "map": shape}
    whole = (*shape, 1, 1) if len(shape) == 1 else shape
    return {"shape": whole, "map": (math.prod(whole[1:-1]), whole[-1])}


def ends(scale: Scale | None) -> tuple[float, float, bool] | None:
    """Write a scale as scripts read it: low, high, diverging."""
    return None if scale is None else (scale.low, scale.high, scale.diverging)


def coloured(summary: Summary, channels: np.ndarray, scales: list[Scale]) -> np.ndarray:
    """Colour the thumbnails of some channels, (n, th, tw, 3) uint8."""
    figures = summary.channels
    return colour_thumbnails(summary.thumbnails[channels], figures.minimum[channels], figures.maximum[channels], scales)


def tile_scale(summary: Summary, channel: int) -> Scale:
    """Return a channel's own scale, or the layer's where the channel is flat and would only shine."""
    low, high = float(summary.channels.minimum[channel]), float(summary.channels.maximum[channel])
    if is_flat(low, high, summary.minimum, summary.maximum):
        return scale_for(summary.minimum, summary.maximum)
    return scale_for(low, high)


def _common_scale(result: Result, summary: Summary, scope: Scope) -> Scale | None:
    if scope == "channel":
        return None
    summaries = [summary, *result.layers.values()] if scope == "network" else [summary]
    return scale_for(min(one.minimum for one in summaries), max(one.maximum for one in summaries))


def _tile(summary: Summary, channel: int) -> dict[str, Any]:
    """Say what is written under a tile."""
    figures = summary.channels
    low, high = float(figures.minimum[channel]), float(figures.maximum[channel])
    dead = channel in summary.dead
    flags = {
        "dead": dead,
        "flat": not dead and is_flat(low, high, summary.minimum, summary.maximum),
        "nan": figures.nans[channel] > 0,
        "inf": figures.infinities[channel] > 0,
    }
    return {
        "channel": channel,
        "low": low,
        "high": high,
        "mean": figures.mean[channel],
        "std": figures.std[channel],
        "mean_abs": figures.mean_abs[channel],
        "zero_share": figures.zero_share[channel],
        "flags": [flag for flag, raised in flags.items() if raised],
    }
