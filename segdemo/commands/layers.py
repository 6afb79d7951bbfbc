"""The command ``layers``: channel grids and exact values of what stages of a network put out."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo import rendering
from segdemo.commands.files import (
    UNTRAINED,
    about,
    folder_for,
    listed,
    names,
    new_file,
    open_picture,
    save,
    save_facts,
    say,
    segmenter_for,
    slug,
    writing,
)
from segdemo.commands.options import (
    PICTURES,
    add_engine,
    add_network,
    add_out,
    add_report,
    add_side,
    add_weights,
    positive,
)
from segdemo.encoded import readable, shown
from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.segmenter import Segmenter

HELP = "write out what stages of a network saw"
DESCRIPTION = (
    "Write for each stage <name>-<stage>.png (all channels, one pixel per value), <name>-<stage>.npz "
    "(the exact values, float32, under 'activation') and <name>-<stage>.json (range, scale, statistics)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo layers`` takes."""
    parser.description, parser.epilog = DESCRIPTION, PICTURES
    parser.add_argument("picture", nargs="?", metavar="PICTURE", help="a picture, or a folder of pictures")
    parser.add_argument(
        "--over",
        nargs="+",
        metavar="DATA",
        help="instead, count over all of many pictures or folders: <stage>.csv with the mean, deviation, share of "
        "zeros and range of each channel, whether it is dead over all of them, and the pictures it answers most to",
    )
    parser.add_argument(
        "--top", type=positive, default=5, metavar="N", help="with --over: pictures a channel; default 5"
    )
    add_report(parser)
    add_engine(parser)
    parser.add_argument(
        "--stage", metavar="S", help="label of a stage or name of a module; default: every stage of the figure"
    )
    parser.add_argument(
        "--scope",
        choices=("layer", "channel"),
        default="layer",
        help="one colour scale for the whole layer (default), or one for each channel",
    )
    add_network(parser)
    add_weights(parser)
    add_side(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write out what one stage or layer, or every stage of the figure, puts out for a picture or a folder of them."""
    if arguments.over:
        from segdemo.commands import over

        return over.run(arguments)
    if arguments.engine or arguments.report:
        raise InputError(
            "only_over",
            "--engine and --report are for --over, which looks at many pictures. Leave them out, or give --over DATA.",
        )
    pictures = listed([arguments.picture] if arguments.picture else [])
    segmenter = segmenter_for(arguments.network, arguments.side, arguments.weights)
    wanted = [arguments.stage] if arguments.stage else [stage.label for stage in segmenter.spec.stages]
    for stage in wanted:
        segmenter.layer_of(stage)  # refuses an unknown one before anything is written
    endings = [f"-{slug(stage)}.{kind}" for stage in wanted for kind in ("png", "npz", "json")]
    out, code = None, 0
    for path, name in zip(pictures, names(pictures, Path(arguments.out), endings), strict=True):
        try:
            picture, notes = open_picture(path)
        except InputError as error:
            say(f"segdemo: {about(path, error)}", error=True)
            code = 2
            continue
        for note in notes:
            say(f"segdemo: {note}", error=True)
        out = out or folder_for(arguments.out)
        known = {"picture": readable(path.name)} | ({"notes": notes} if notes else {})
        for stage in wanted:
            facts = known | _facts(segmenter, picture, stage, arguments)
            try:
                _write(segmenter, picture, stage, out / name, facts)
            except InputError as error:
                say(f"segdemo: {about(path, error)}", error=True)
                code = 2
                break  # what cannot be written for one stage cannot for the next
    return code


def _write(segmenter: Segmenter, picture: Image.Image, stage: str, target: Path, facts: dict[str, Any]) -> None:
    """Write the sheet, the exact values and the facts of one stage, and say what they are."""
    values = segmenter.activation(picture, stage, size=facts["side"])
    target = target.with_name(f"{target.name}-{slug(stage)}")
    with writing(target.parent):
        save(_sheet(values, facts), f"{target}.png", facts)
        with new_file(f"{target}.npz") as beside:
            np.savez(beside, activation=values, metadata=np.array(json.dumps(facts)))
        save_facts(facts, f"{target}.json")
    say(_in_words(facts, shown(f"{target}.png")))


def _facts(segmenter: Segmenter, picture: Image.Image, stage: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Collect what has to be known to read a channel grid."""
    from segdemo.images import check_input_size

    summary = segmenter.summary(picture, stage, arguments.side)
    channels = summary.channels
    ranges = zip(channels.minimum.tolist(), channels.maximum.tolist(), strict=True)
    scale = rendering.scale_for(summary.minimum, summary.maximum)
    return {
        "network": segmenter.spec.name,
        "trained": segmenter.trained_layer(stage),
        "side": check_input_size(segmenter.spec.preprocessing, arguments.side),
        "stage": stage,
        "layer": segmenter.layer_of(stage),
        "shape": list(summary.shape),
        "minimum": summary.minimum,
        "maximum": summary.maximum,
        "mean": summary.mean,
        "std": summary.std,
        "zero_share": summary.zero_share,
        "nans": summary.nans,
        "infinities": summary.infinities,
        "dead_channels": list(summary.dead),
        "flat_channels": [
            index for index, own in enumerate(ranges) if rendering.is_flat(*own, summary.minimum, summary.maximum)
        ],
        "scope": arguments.scope,
        "scale": {"low": scale.low, "high": scale.high, "diverging": scale.diverging}
        if arguments.scope == "layer"
        else "each channel from its own minimum to its own maximum",
    }


def _sheet(values: NDArray[np.float32], facts: dict[str, Any]) -> Image.Image:
    """Draw all channels, one pixel per value, in a sheet about as wide as high."""
    maps = _maps(values)
    count, height, width = maps.shape
    layer = rendering.scale_for(facts["minimum"], facts["maximum"])
    tiles = np.empty((*maps.shape, 3), np.uint8)
    for tile, channel in zip(tiles, maps, strict=True):
        scale = layer
        if facts["scope"] == "channel":
            finite = channel[np.isfinite(channel)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
            scale = rendering.scale_for(low, high)
        tile[:] = rendering.colour_values(channel, scale)
    columns = min(count, max(1, round(math.sqrt(count * height / width))))
    facts["sheet"] = {"columns": columns, "tile": [width, height], "gap": 1}
    return rendering.channel_grid(tiles, columns, gap=1)


def _maps(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """See an activation as maps (C, h, w): a vector as single values, a table as one map."""
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    if values.ndim == 2:
        return values[None]
    return values.reshape(values.shape[0], -1, values.shape[-1])


def _in_words(facts: dict[str, Any], target: str) -> str:
    """Say in one line how to read a channel grid."""
    scale = facts["scale"]
    colours = scale
    if isinstance(scale, dict):
        kind = "blue, white at 0, red" if scale["diverging"] else "viridis"
        colours = f"{kind} from {scale['low']:.4g} to {scale['high']:.4g}"
    said = [
        f"{facts['stage']}: {' × '.join(map(str, facts['shape']))}",
        f"values {facts['minimum']:.4g} to {facts['maximum']:.4g}",
        f"{facts['zero_share']:.1%} zeros",
        f"{len(facts['dead_channels'])} dead and {len(facts['flat_channels'])} flat channels",
        f"colours: {colours}",
    ]
    if facts["nans"] or facts["infinities"]:
        said.append(f"{facts['nans']} NaN (magenta), {facts['infinities']} infinite (cyan; negative black)")
    return f"{', '.join(said)} → {target}" + ("" if facts["trained"] else f" ({UNTRAINED})")
