"""The command line: ``python -m segdemo segment|layers|networks|evaluate|train|app``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from segdemo.training.arguments import add_arguments

MAPS = """\
The archive holds images/<id>.webp and masks/<id>.png: a palette or grey picture with one class index per pixel, 255
where nothing is to be judged.

An archive numbers its classes but does not name them. Without --map its classes are the network's own, in the same
order. With --map CLASSES.json, names of the network's classes become names of the archive's; classes that the map does
not speak of become the background. The file holds the archive's classes in index order and the map:
  {"classes": ["background", "vehicle"], "map": {"car": "vehicle", "bus": "vehicle"}}
or the map alone, when it speaks of one of these lists:
  background, person, cat, dog, horse, cow, sheep
  background, salient foreground
  background, foreground

A network that classifies, lenet, takes a folder that holds a folder of pictures for each class, or the word digits:
the fifth of scikit-learn's digits that it was never shown.
"""


PICTURES = """\
A picture is a PNG, JPEG (MPO), WebP, GIF, BMP, DIB, TIFF, PNM, JPEG 2000, AVIF or TGA file, or HEIC where Pillow has a
plugin for it. Of a folder, the pictures in it are taken; subfolders, hidden files and earlier results are passed over.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: words after the program's name; None takes those it was started with.

    Returns:
        Exit code: 0 when all is done, 2 when something given cannot be used (said on stderr), 130 when interrupted,
        141 when nobody reads what is printed any more, as after ``| head -1``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console need not know every letter
    arguments = _parser().parse_args(argv)
    from segdemo import commands  # only now: it brings torch, and --help should not wait for that
    from segdemo.errors import InputError

    try:
        code = commands.COMMANDS[arguments.command](arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except InputError as error:
        print(f"segdemo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("segdemo: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more when it ends
        return 141


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="segdemo", description="See what a segmentation network says about a picture, and what its layers saw."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    segment = commands.add_parser(
        "segment",
        help="segment pictures",
        description="Write for each picture <name>-mask.png (a palette picture whose pixels are class indices), "
        "<name>-overlay.png and <name>.json (share of each class in percent).",
        epilog=PICTURES,
    )
    segment.add_argument("pictures", nargs="*", metavar="PICTURE", help="a picture, or a folder of pictures")
    _add_network(segment)
    _add_side(segment)
    _add_out(segment)

    layers = commands.add_parser(
        "layers",
        help="write out what stages of a network saw",
        description="Write for each stage <name>-<stage>.png (all channels, one pixel per value), <name>-<stage>.npz "
        "(the exact values, float32, under 'activation') and <name>-<stage>.json (range, scale, statistics).",
        epilog=PICTURES,
    )
    layers.add_argument("picture", nargs="?", metavar="PICTURE", help="a picture, or a folder of pictures")
    layers.add_argument(
        "--stage", metavar="S", help="label of a stage or name of a module; default: every stage of the figure"
    )
    layers.add_argument(
        "--scope",
        choices=("layer", "channel"),
        default="layer",
        help="one colour scale for the whole layer (default), or one for each channel",
    )
    _add_network(layers)
    _add_side(layers)
    _add_out(layers)

    commands.add_parser("networks", help="list the networks", description="List the networks.")

    evaluate = commands.add_parser(
        "evaluate",
        help="score a network on pictures with masks",
        description="Score a network on an archive of pictures with masks.",
        epilog=MAPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_network(evaluate)
    evaluate.add_argument("--data", required=True, metavar="ZIP", help="the archive, see below")
    evaluate.add_argument("--map", metavar="CLASSES.json", help="from the network's classes to the archive's")
    evaluate.add_argument(
        "--limit", type=_positive, metavar="N", help="judge only N pictures, spread evenly over the archive"
    )
    evaluate.add_argument(
        "--json", action="store_true", help="print JSON: miou, iou by class, pixel_accuracy, pictures"
    )
    _add_side(evaluate)

    add_arguments(commands.add_parser("train", help="train a network", description="Train a network."))
    commands.add_parser("app", help="start the page", description="Start the page and print its address.")
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", metavar="N", help="default: the first that `segdemo networks` lists")


def _add_side(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--side", type=_positive, metavar="PIXELS", help="working size; default: the network's own")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results, made if missing")


def _positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_positive.__name__ = "positive whole number"  # argparse's message names the type


if __name__ == "__main__":
    sys.exit(main())
