"""The command ``worst``: which pictures a network does worst on."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial

from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo.commands.files import print_table
from segdemo.commands.options import add_network, add_side, positive

HELP = "list the pictures that a network does worst on"
DESCRIPTION = """\
Run a network on every picture of an archive or a folder and list them, the worst first: by their IoU with the masks
there, or with --no-masks by the entropy of what the network says. Then the channels whose activity tells the failing
third of the pictures from the good third.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo worst`` takes."""
    parser.description = DESCRIPTION
    parser.add_argument("data", metavar="DATA", help="a zip file or folder with images/ and masks/, as for evaluate")
    add_network(parser)
    parser.add_argument("--no-masks", action="store_true", help="there are no masks: sort by entropy")
    parser.add_argument("--map", metavar="CLASSES.json", help="from the network's classes to the archive's")
    parser.add_argument("--limit", type=positive, metavar="N", help="take only N pictures, spread evenly")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--page", action="store_true", help="go through them on the page, a click opens one")
    parser.add_argument("--port", type=positive, metavar="N", help="where the page listens; default: a free port")
    add_side(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the pictures, the worst first, or open the page on them."""
    if arguments.page:
        return _page(arguments)
    from segdemo.class_maps import read_map
    from segdemo.engine import LocalEngine
    from segdemo.explain.worst import worst_first
    from segdemo.networks import DEFAULT

    engine = LocalEngine()
    try:
        with tqdm(unit="picture", file=sys.stderr) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            found = worst_first(
                engine,
                arguments.network or DEFAULT,
                arguments.data,
                masked=not arguments.no_masks,
                mapping=read_map(arguments.map) if arguments.map else None,
                size=arguments.side,
                limit=arguments.limit,
                progress=progress,
                say=partial(tqdm.write, file=sys.stderr),
            )
    finally:
        engine.close()
    if arguments.json:
        print(json.dumps(asdict(found), indent=1))
        return 0
    score = "IoU" if found.masked else "entropy"
    rows = [
        [one.name, f"{one.score:.4f}", ", ".join(f"{name} {share:.0f} %" for name, share in one.shares[:3])]
        for one in found.pictures
    ]
    print_table([["picture", score, "found"], *rows])
    if found.telling:
        print()
        rows = [[one.stage, str(one.channel), f"{one.apart:+.2f}"] for one in found.telling]
        print_table([["stage", "channel", "failing less good, in standard deviations"], *rows])
    return 0


def _page(arguments: argparse.Namespace) -> int:
    """Open the page on the pictures; returns when it is stopped."""
    from segdemo.class_maps import read_map
    from segdemo.errors import InputError
    from segdemo.exploring import page_of
    from segdemo.gallery import gallery_in
    from segdemo.networks import DEFAULT, find
    from segdemo.ui import launch

    if arguments.json:
        raise InputError(
            "worst_page",
            "--page shows the pictures and prints nothing, so it does not go with --json. Leave out one of them.",
        )
    name = arguments.network or DEFAULT
    gallery = gallery_in(
        arguments.data,
        find(name).names,
        masked=not arguments.no_masks,
        mapping=read_map(arguments.map) if arguments.map else None,
        limit=arguments.limit,
    )
    page = page_of(name, size=arguments.side, gallery=gallery)
    launch(page, server_port=arguments.port)
    return 0
