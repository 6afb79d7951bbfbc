"""A camera or a film, frame by frame: the mask over each, and what one stage put out."""

from __future__ import annotations

import base64
import binascii
import io
import math
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.questions import Catalogue, Frame
from segdemo.rendering import channel_grid, encode_png
from segdemo.results import NetworkFacts, Result
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import css, plain
from segdemo.ui.panels.channels import coloured, tile_scale

FIRST = "selfie"
START = "data:image/jpeg;base64,"
LONGEST = 60_000  # characters of a frame
SIDE = 640  # pixels of its longest side at most
TILES = 12  # channels shown of a stage
COLUMNS = 4
ALPHA = 150  # of a mask over its frame, 0 … 255


class LivePanel(gr.HTML):
    """Shows nothing of the page's run: its script asks about the frames of a camera or a film.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def networks(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return plain({"networks": offered(engine.answer(Catalogue())), "first": FIRST})

        @answering
        def frame(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            stage = checks.or_none(checks.text)("stage", asked.get("stage"))
            network, size = checks.text("network", asked.get("network")), checks.whole("size", asked.get("size"))
            result: Result = engine.answer(Frame(network, asked_frame(asked.get("frame")), size, stage))
            channels = asked.get("channels")
            wanted = None if channels is None else sorted(checks.wholes("channels", channels, most=65_535))[:TILES]
            return payload(result) | ({} if stage is None else tiles(result, stage, wanted))

        super().__init__(
            html_template='<section class="live-card"></section>',
            css_template=css("live"),
            js_on_load=loader("live"),
            apply_default_css=False,
            server_functions=[networks, frame],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page."""

    def postprocess(self, value: None) -> None:  # type: ignore[override]
        """Tell the script nothing: it asks."""

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def offered(networks: tuple[NetworkFacts, ...]) -> list[dict[str, Any]]:
    """Return what the menus say: networks with trained weights, their sizes and stages, the smallest sizes first."""
    return [
        {
            "name": facts.name,
            "title": facts.title,
            "sizes": [size for size in facts.sizes if size <= SIDE],
            "size": min(facts.size, 256) if min(facts.size, 256) in facts.sizes else facts.sizes[0],
            "stages": [stage.label for stage in facts.stages],
        }
        for facts in networks
        if facts.trained and not facts.random and facts.sizes[0] <= SIDE
    ]


def asked_frame(value: Any) -> bytes:
    """Read a frame as a script sends it.

    Raises:
        InputError: it is no JPEG of a moderate size, written as an address that holds it.
    """
    try:
        if isinstance(value, str) and value.startswith(START) and len(value) <= LONGEST:
            jpeg = base64.b64decode(value.removeprefix(START), validate=True)
            with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
                if max(opened.size) <= SIDE:
                    return jpeg
    except (binascii.Error, OSError, SyntaxError, ValueError):
        pass
    raise InputError(
        "wrong_frame",
        "A frame has to be a JPEG of at most {side} × {side} pixels and {bytes} characters in Base64, but {came} came. "
        "Load the page again, and start the camera once more.",
        side=SIDE,
        bytes=LONGEST,
        came=checks.written(value),
    )


def payload(result: Result) -> dict[str, Any]:
    """Gather what the script shows of a frame: its mask with see-through background, and its shares."""
    facts: dict[str, Any] = {"seconds": result.seconds, "trained": result.trained, "size": result.input_size}
    if result.answer:
        best = sorted(result.answer.items(), key=lambda one: -one[1])[:5]
        return plain(facts | {"classes": [{"name": name, "percent": 100 * value} for name, value in best]})
    there = sorted((one for one in result.classes if one.percent > 0 and not one.hidden), key=lambda one: -one.percent)
    classes = [{"name": one.name, "colour": one.colour, "percent": one.percent} for one in there[:8]]
    return plain(facts | {"mask": see_through(result), "classes": classes})


def see_through(result: Result) -> str:
    """Draw a mask in the colours of its classes, hidden ones transparent, as an address that holds it."""
    table = np.zeros((len(result.known), 4), dtype=np.uint8)
    for one in result.classes:
        if not one.hidden:
            table[one.index] = (*bytes.fromhex(one.colour.removeprefix("#")), ALPHA)
    encoded = io.BytesIO()
    Image.fromarray(table[result.mask]).save(encoded, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()


def tiles(result: Result, stage: str, channels: list[int] | None) -> dict[str, Any]:
    """Draw channels of a stage, cut to the frame: those asked for, else those that vary most.

    Raises:
        InputError: the stage puts out no such channel.
    """
    summary = result.layers[stage]
    count = len(summary.thumbnails)
    shown = sorted(summary.channels.ranked("variance")[:TILES].tolist()) if channels is None else channels
    if any(channel >= count for channel in shown):
        raise InputError(
            "no_such_channel_live",
            "“{stage}” has {count} channels, and channel {channel} was asked for. Choose the stage again.",
            stage=stage,
            count=count,
            channel=max(shown),
        )
    drawn = coloured(summary, np.array(shown), [tile_scale(summary, channel) for channel in shown])
    sides = zip(drawn.shape[2:0:-1], result.placement.valid, strict=True)
    columns, rows = (math.ceil(side * part) for side, part in sides)
    grid = encode_png(channel_grid(drawn[:, :rows, :columns], COLUMNS, 1))
    return {
        "tiles": "data:image/png;base64," + base64.b64encode(grid).decode(),
        "channels": shown,
        "of": count,
        "shape": list(summary.shape),
        "columns": COLUMNS,
    }
