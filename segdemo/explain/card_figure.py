"""The network's figure in a diagnosis card: boxes with a picture each, arrows and skip connections, as one SVG."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from segdemo import rendering
from segdemo.networks import Stage
from segdemo.results import Result
from segdemo.summaries import Summary

BOX, GAP = (104, 96), (34, 26)  # width and height of a box and of the space between two, pixels
PICTURE = (88, 56)  # of the picture in it


def drawn(stages: Sequence[Stage], result: Result, inline: Callable[[Image.Image], str], marks: dict[str, str]) -> str:
    """Draw the figure.

    Args:
        stages: of the network, in figure order.
        result: of the run on show.
        inline: gives the address that holds a picture.
        marks: label of a stage → what is wrong with it, in words.

    Returns:
        SVG; each box is a link to ``#stage-N``, N being the stage's place.
    """
    columns, rows = (sorted({getattr(stage, key) for stage in stages}) for key in ("column", "row"))
    places = {
        stage.label: (columns.index(stage.column) * (BOX[0] + GAP[0]), rows.index(stage.row) * (BOX[1] + GAP[1]))
        for stage in stages
    }
    width, height = len(columns) * (BOX[0] + GAP[0]), len(rows) * (BOX[1] + GAP[1])
    arrows = [
        _arrow(places[source], places[stage.label], kind)
        for stage in stages
        for kind, sources in (("data", stage.inputs), ("skip", stage.skips))
        for source in sources
        if source in places
    ]
    boxes = [
        _box(number, stage.label, places[stage.label], result.layers[stage.label], inline, marks.get(stage.label, ""))
        for number, stage in enumerate(stages)
        if stage.label in result.layers
    ]
    ends = "".join(
        f'<marker id="{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path class="end {kind}" d="M0,1 L10,5 L0,9 Z"/></marker>'
        for kind in ("data", "skip")
    )
    return (
        f'<svg class="figure" viewBox="-4 -12 {width} {height}" style="max-width: {width}px" role="group" '
        f'aria-label="the network"><defs>{ends}</defs>{"".join(arrows)}{"".join(boxes)}</svg>'
    )


def _arrow(start: tuple[int, int], end: tuple[int, int], kind: str) -> str:
    """Draw from the side of one box that faces another to that other's, bent where they share no row or column."""
    (left, top), (right, bottom) = start, end
    wide, high = BOX
    here, there = top + high / 2, bottom + high / 2  # middles of both
    begin, close = (left + wide, right) if right > left else (left, right + wide)
    if left == right:
        edges = (top + high, bottom) if bottom > top else (top, bottom + high)
        path = f"M{left + wide / 2},{edges[0]} L{left + wide / 2},{edges[1]}"
    elif top != bottom:
        middle = (begin + close) / 2
        path = f"M{begin},{here} C{middle},{here} {middle},{there} {close},{there}"
    elif abs(right - left) > wide + GAP[0]:  # over what stands between
        path = f"M{left + wide / 2},{top} Q{(left + right + wide) / 2},{top - 22} {right + wide / 2},{top}"
    else:
        path = f"M{begin},{here} L{close},{there}"
    return f'<path class="arrow {kind}" d="{path}" marker-end="url(#{kind})"/>'


def _box(
    number: int,
    label: str,
    place: tuple[int, int],
    summary: Summary,
    inline: Callable[[Image.Image], str],
    mark: str,
) -> str:
    shape = " × ".join(map(str, summary.shape))
    said = html.escape(f"{label}: {shape}{'; ' + mark if mark else ''}")
    sign = f'<circle class="mark" cx="{BOX[0] - 8}" cy="8" r="4"/>' if mark else ""
    return (
        f'<a href="#stage-{number}" transform="translate({place[0]} {place[1]})" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<rect class="box" width="{BOX[0]}" height="{BOX[1]}" rx="7"/>'
        f'<image href="{inline(picture_of(summary))}" x="8" y="6" width="{PICTURE[0]}" height="{PICTURE[1]}"/>'
        f'<text x="{BOX[0] / 2}" y="76" class="label">{html.escape(_cut(label))}</text>'
        f'<text x="{BOX[0] / 2}" y="90" class="shape">{html.escape(shape)}</text>{sign}</a>'
    )


def _cut(label: str) -> str:
    return label if len(label) <= 15 else label[:14] + "…"


def picture_of(summary: Summary) -> Image.Image:
    """Return the channel that varies most, in the colours of its own range."""
    channel = summary.channels.ranked("variance")[:1]
    low, high = summary.channels.minimum[channel], summary.channels.maximum[channel]
    scale = rendering.scale_for(float(low[0]), float(high[0]))
    tile = rendering.colour_thumbnails(summary.thumbnails[channel], low, high, [scale])[0]
    return Image.fromarray(np.ascontiguousarray(tile))
