"""From results to what our components show: plain values and pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from segdemo.inference import LayerInfo, get_segmenter
from segdemo.networks import NetworkSpec, Stage, find
from segdemo.rendering import Scale, colour_thumbnails, is_flat, scale_for
from segdemo.results import Result
from segdemo.summaries import Summary
from segdemo.ui.components.channel_sheet import Enlarged, SheetStatistics, SheetValue, TileFacts
from segdemo.ui.components.network_diagram import Box, DiagramValue
from segdemo.ui.components.segmentation_view import SegmentationValue
from segdemo.ui.session import View

DISPLAY_SIDE = 1280  # pixels; a larger picture is shown reduced
PAGE = 64  # channels on a sheet


@dataclass(frozen=True)
class Wish:
    """How a visitor wants a stage shown.

    Args:
        layer: label of a stage, or dotted name of a module.
        ranking: ``"mean_abs"``, ``"variance"``, ``"sparsity"`` or ``"index"``.
        scope: what the colour scale is taken from: ``"channel"``, ``"layer"`` or ``"network"``.
        page: counted from 0.
        channel: the one to enlarge, or None.
    """

    layer: str
    ranking: str = "variance"
    scope: str = "channel"
    page: int = 0
    channel: int | None = None


def result_of(view: View) -> Result:
    """Return the result a view is about, from the cache or by running again."""
    return get_segmenter(view.network, view.step).run(view.picture, view.side)


def display_size(picture: Image.Image) -> tuple[int, int]:
    """Return the (width, height) in which a picture is shown: its own, or reduced to ``DISPLAY_SIDE``."""
    scale = min(1.0, DISPLAY_SIDE / max(picture.size))
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def segmentation_value(view: View, result: Result) -> SegmentationValue:
    """Gather what the segmentation view shows."""
    spec = find(result.network)
    shown = result.at(display_size(view.picture))
    picture = view.picture if shown.size == view.picture.size else view.picture.resize(shown.size)
    return SegmentationValue(
        picture=picture,
        mask=shown.mask,
        confidence=shown.confidence,
        entropy=shown.entropy,
        classes=[(share.index, share.name, share.colour, share.percent) for share in shown.classes],
        network_title=spec.title,
        untrained=not result.trained,
        picture_size=result.size,
        seen=result.seen,
        seen_size=result.placement.padded,
        resized=result.placement.resized,
        side=result.side,
        seconds=result.seconds,
        answer=tuple(result.answer.values()),
    )


@lru_cache(maxsize=32)
def layers_of(network: str, side: int, size: tuple[int, int] | None = None) -> dict[str, LayerInfo]:
    """Return every module call of a network by its name, in order of finishing.

    Args:
        network: its name.
        side: working size, pixels.
        size: (width, height) of the picture, pixels; None stands for a square one.
    """
    return {layer.name: layer for layer in get_segmenter(network).layers(side, size=size)}


def diagram_value(
    network: str, side: int, result: Result | None, selected: str | None, step: int | None = None
) -> DiagramValue:
    """Gather what the diagram shows: the network's stages, with their maps once there is a result.

    Args:
        network: name of the network.
        side: working size in pixels, for the shapes known before a run.
        result: of a run of that network, or None.
        selected: label of the stage picked, or None.
        step: of the training, where the result is still to come from a snapshot.
    """
    spec = find(network)
    size = None if result is None else result.size
    shapes = {name: layer.shape for name, layer in layers_of(network, side, size).items()}
    return DiagramValue(
        network=spec.name,
        title=spec.title,
        untrained=not (get_segmenter(network, step) if result is None else result).trained,
        selected=selected,
        picture=None if result is None else _small(result.seen),
        boxes=tuple(_box(stage, result, shapes) for stage in spec.stages),
    )


def _small(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((96, 96))
    return small


def _box(stage: Stage, result: Result | None, shapes: dict[str, tuple[int, ...]]) -> Box:
    shape, thumbnail, channel, dead = shapes.get(stage.layer), None, None, 0
    flags: tuple[str, ...] = ()
    if result is not None and stage.label in result.layers:
        summary = result.layers[stage.label]
        shape, flags = summary.shape, _layer_flags(summary)
        if len(shape) == 1:  # a value that is 0 for one picture is no dead channel
            thumbnail, flags = _vector_picture(summary), tuple(flag for flag in flags if flag != "dead")
        else:
            dead = len(summary.dead)
            channel = int(summary.channels.ranked("variance")[0])
            thumbnail = coloured(summary, np.array([channel]), [_own_scale(summary, channel)])[0]
    elif result is not None and stage.label in result.glimpses:
        seen = result.glimpses[stage.label]
        shape, channel = seen.shape, seen.channel
        ends = np.array([seen.low]), np.array([seen.high])
        thumbnail = colour_thumbnails(seen.thumbnail[None], *ends, [scale_for(seen.low, seen.high)])[0]
    return Box(
        label=stage.label,
        layer=stage.layer,
        row=stage.row,
        column=stage.column,
        inputs=stage.inputs,
        skips=stage.skips,
        inside=tuple(_box(inner, result, shapes) for inner in stage.inside),
        shape=shape,
        thumbnail=thumbnail,
        channel=channel,
        flags=flags,
        dead_count=dead,
    )


def _vector_picture(summary: Summary) -> np.ndarray:
    """Lay a vector out row by row in the squarest rectangle it fills, on one scale, (rows, columns, 3) uint8."""
    count = summary.shape[0]
    columns = next(length for length in range(math.isqrt(count - 1) + 1, count + 1) if count % length == 0)
    scale = scale_for(summary.minimum, summary.maximum)
    return coloured(summary, np.arange(count), [scale] * count).reshape(-1, columns, 3)


def _layer_flags(summary: Summary) -> tuple[str, ...]:
    return tuple(
        flag
        for flag, raised in (
            ("dead", bool(summary.dead)),
            ("nan", summary.nans > 0),
            ("inf", summary.infinities > 0),
            ("flat", summary.minimum == summary.maximum),
        )
        if raised
    )


def sheet_value(view: View, wish: Wish) -> SheetValue:
    """Gather one page of a layer's channels, and one channel enlarged if that is wished.

    Raises:
        InputError: the network has no such layer, or the layer no such channel.
    """
    segmenter, result = get_segmenter(view.network, view.step), result_of(view)
    label, layer = _label_and_layer(segmenter.spec, segmenter.layer_of(wish.layer))
    summary = result.layers.get(label) or segmenter.summary(view.picture, layer, view.side)
    total = len(summary.channels.mean)
    pages = -(-total // PAGE)
    order = summary.channels.ranked(wish.ranking)
    page = min(max(wish.page, 0), pages - 1)
    if wish.channel is not None and 0 <= wish.channel < total:
        page = int(np.flatnonzero(order == wish.channel)[0]) // PAGE if wish.page < 0 else page
    shown = order[page * PAGE : (page + 1) * PAGE]
    common = _common_scale(result, summary, wish.scope)
    scales = [common or _tile_scale(summary, int(channel)) for channel in shown]
    enlarged = None
    if wish.channel is not None:
        values = np.atleast_2d(segmenter.activation(view.picture, layer, wish.channel, view.side))
        scale = common or _tile_scale(summary, wish.channel)
        enlarged = Enlarged(wish.channel, values, (scale.low, scale.high, scale.diverging), result.seen)
    return SheetValue(
        network_title=segmenter.spec.title,
        untrained=not segmenter.trained,
        label=label,
        layer=layer,
        kind=layers_of(view.network, view.side, result.size)[layer].type,
        shape=summary.shape,
        tiles=coloured(summary, shown, scales),
        step=summary.thumbnail_step,
        channels=tuple(_facts(summary, int(channel)) for channel in shown),
        page=page,
        pages=pages,
        total=total,
        ranking=wish.ranking,  # type: ignore[arg-type]
        scope=wish.scope,  # type: ignore[arg-type]
        scale=(common.low, common.high, common.diverging) if common else None,
        stats=_statistics(summary),
        valid=result.placement.valid,
        enlarged=enlarged,
    )


def _label_and_layer(spec: NetworkSpec, layer: str) -> tuple[str, str]:
    """Return (label, layer): the stage's label where the layer is a stage, else the layer's own name."""
    return next((stage.label for stage in spec.every_stage() if stage.layer == layer), layer), layer


def coloured(summary: Summary, channels: np.ndarray, scales: list[Scale]) -> np.ndarray:
    """Colour the thumbnails of some channels, (n, th, tw, 3) uint8."""
    figures = summary.channels
    return colour_thumbnails(summary.thumbnails[channels], figures.minimum[channels], figures.maximum[channels], scales)


def _own_scale(summary: Summary, channel: int) -> Scale:
    return scale_for(float(summary.channels.minimum[channel]), float(summary.channels.maximum[channel]))


def _tile_scale(summary: Summary, channel: int) -> Scale:
    """Return a channel's own scale, or the layer's where the channel is flat and would only shine."""
    low, high = float(summary.channels.minimum[channel]), float(summary.channels.maximum[channel])
    if is_flat(low, high, summary.minimum, summary.maximum):
        return scale_for(summary.minimum, summary.maximum)
    return scale_for(low, high)


def _common_scale(result: Result, summary: Summary, scope: str) -> Scale | None:
    if scope == "channel":
        return None
    summaries = [summary, *result.layers.values()] if scope == "network" else [summary]
    return scale_for(min(one.minimum for one in summaries), max(one.maximum for one in summaries))


def _facts(summary: Summary, channel: int) -> TileFacts:
    figures = summary.channels
    low, high = float(figures.minimum[channel]), float(figures.maximum[channel])
    dead = channel in summary.dead
    flags = (
        ("dead", dead),
        ("flat", not dead and is_flat(low, high, summary.minimum, summary.maximum)),
        ("nan", figures.nans[channel] > 0),
        ("inf", figures.infinities[channel] > 0),
    )
    return TileFacts(
        channel,
        low,
        high,
        float(figures.mean[channel]),
        float(figures.std[channel]),
        float(figures.mean_abs[channel]),
        float(figures.zero_share[channel]),
        tuple(flag for flag, raised in flags if raised),  # type: ignore[misc]
    )


def _statistics(summary: Summary) -> SheetStatistics:
    return SheetStatistics(
        summary.minimum,
        summary.maximum,
        summary.mean,
        summary.std,
        summary.zero_share,
        len(summary.dead),
        summary.nans,
        summary.infinities,
        summary.edges,
        summary.counts,
        summary.counted_step,
    )
