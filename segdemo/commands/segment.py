"""The command ``segment``: masks, overlays and shares of classes for pictures and folders of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import rendering
from segdemo.commands.files import (
    ENDINGS,
    UNTRAINED,
    about,
    folder_for,
    listed,
    names,
    open_picture,
    save,
    save_facts,
    say,
    segmenter_for,
    writing,
)
from segdemo.commands.film import is_film, segment_film
from segdemo.commands.options import PICTURES, add_network, add_out, add_side, add_weights
from segdemo.encoded import readable, shown
from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.segmenter import Segmenter

HELP = "segment pictures"
DESCRIPTION = (
    "Write for each picture <name>-mask.png (a palette picture whose pixels are class indices), "
    "<name>-overlay.png and <name>.json (share of each class in percent); for each film <name>-overlay.mp4, and the "
    "shares over time as <name>-shares.csv and <name>-shares.png."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo segment`` takes."""
    parser.description, parser.epilog = DESCRIPTION, PICTURES
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="a picture, a folder of pictures, or a film")
    add_network(parser)
    add_weights(parser)
    add_side(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment pictures and folders of pictures; go on after one that cannot be used."""
    pictures = listed(arguments.pictures)
    segmenter = segmenter_for(arguments.network, arguments.side, arguments.weights)
    out = folder_for(arguments.out)
    code = 0
    silent = len(pictures) < 2 or sys.stderr is None
    with tqdm(total=len(pictures), disable=silent, unit="picture", file=sys.stderr) as bar:
        for path, name in zip(pictures, names(pictures, out, ENDINGS), strict=True):
            try:
                segment = segment_film if is_film(path) else _segment_one
                say(segment(segmenter, path, out / name, arguments.side))
            except InputError as error:
                say(f"segdemo: {about(path, error)}", error=True)
                code = 2
            bar.update()
    return code


def _segment_one(segmenter: Segmenter, path: Path, target: Path, side: int | None) -> str:
    """Segment one picture, write its files, and say what was found."""
    picture, notes = open_picture(path)
    for note in notes:
        say(f"segdemo: {note}", error=True)
    result = segmenter.run(picture, side)
    colours = [share.colour for share in result.classes]
    hidden = frozenset(share.index for share in result.classes if share.hidden)
    facts: dict[str, Any] = {
        "picture": readable(path.name),
        "network": result.network,
        "trained": result.trained,
        "side": result.input_size,
        "size": picture.size,
        "shares": {share.name: share.percent for share in result.classes},
    } | ({"notes": notes} if notes else {})
    if result.answer:
        return _classified(path, target, facts, result.answer)
    with writing(target.parent):
        save(rendering.palette_mask(result.mask, colours), f"{target}-mask.png", facts)
        save(rendering.overlay(picture, result.mask, colours, hidden=hidden), f"{target}-overlay.png", facts)
        save_facts(facts, f"{target}.json")
    found = sorted((share for share in result.classes if share.percent), key=lambda share: -share.percent)
    shares = ", ".join(f"{share.name} {share.percent:.1f} %" for share in found)
    return f"{shown(str(path))}: {shares} → {shown(str(target))}-mask.png" + (
        "" if result.trained else f" ({UNTRAINED})"
    )


def _classified(path: Path, target: Path, facts: dict[str, Any], answer: dict[str, float]) -> str:
    """Write and say what a classifier answers; there is no mask."""
    facts = {name: value for name, value in facts.items() if name != "shares"} | {"probabilities": answer}
    with writing(target.parent):
        save_facts(facts, f"{target}.json")
    best = max(answer, key=lambda name: answer[name])
    said = f"{shown(str(path))}: {best}, {answer[best]:.1%} → {shown(str(target))}.json"
    return said + ("" if facts["trained"] else f" ({UNTRAINED})")
