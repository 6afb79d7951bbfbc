"""The command ``card``: a diagnosis of one picture as a file to send."""

from __future__ import annotations

import argparse
from pathlib import Path

from segdemo.commands.files import new_file, say
from segdemo.commands.options import add_network, add_side

HELP = "write a diagnosis of one picture as a file of HTML"
DESCRIPTION = (
    "Write one file of HTML that needs no server: picture, mask, findings, channels, and one pixel taken apart."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo card`` takes."""
    parser.description = DESCRIPTION
    parser.add_argument("picture", metavar="PICTURE", help="a picture file")
    add_network(parser)
    parser.add_argument("--out", default="card.html", metavar="FILE", help="the file to write (default: card.html)")
    parser.add_argument("--point", type=_point, metavar="X,Y", help="a pixel of the picture to take apart")
    add_side(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the card."""
    from segdemo.engine import LocalEngine
    from segdemo.explain.card import card
    from segdemo.networks import DEFAULT
    from segdemo.questions import Run

    engine = LocalEngine()
    try:
        picture = engine.keep(arguments.picture)
        asked = Run(arguments.network or DEFAULT, picture, arguments.side)
        content = card(engine, asked, arguments.point, Path(arguments.picture).name)
    finally:
        engine.close()
    with new_file(arguments.out) as beside:
        Path(beside).write_text(content, "utf-8")
    say(arguments.out)
    return 0


def _point(word: str) -> tuple[int, int]:
    """Read a pixel, written x,y."""
    try:
        x, y = map(int, word.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no pixel; write its column and row, like 120,80") from None
    return x, y
