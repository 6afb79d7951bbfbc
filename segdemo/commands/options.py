"""Arguments that several commands take, in the same words."""

from __future__ import annotations

import argparse

PICTURES = """\
A picture is a PNG, JPEG (MPO), WebP, GIF, BMP, DIB, TIFF, PNM, JPEG 2000, AVIF or TGA file, or HEIC where Pillow has a
plugin for it. Of a folder, the pictures in it are taken; subfolders, hidden files and earlier results are passed over.
"""


def add_network(parser: argparse.ArgumentParser) -> None:
    """Let a command take the name of a network."""
    parser.add_argument("--network", metavar="N", help="default: the first that `segdemo networks` lists")


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Let a command take weights of a person's own."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights of your own, .safetensors or what torch.save wrote (up to 400 MB); which network they are for is "
        "found out, or given by --network",
    )


def add_side(parser: argparse.ArgumentParser) -> None:
    """Let a command take an input size."""
    parser.add_argument("--side", type=positive, metavar="PIXELS", help="working size; default: the network's own")


def add_out(parser: argparse.ArgumentParser) -> None:
    """Have a command told where its results go."""
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results, made if missing")


def add_report(parser: argparse.ArgumentParser) -> None:
    """Let a command write what it found of each picture into one table."""
    parser.add_argument("--report", metavar="FILE.csv", help="a row for each picture, those that are broken included")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Let a command say where networks compute, and how precisely."""
    parser.add_argument("--device", metavar="auto|cpu|cuda|mps", help="where networks compute; default: cpu")
    parser.add_argument(
        "--precision",
        metavar="float32|bfloat16|float16",
        default="float32",
        help="half precision, wherever PyTorch thinks it safe; every result says so. Default: float32",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Let a command compute on a Ray cluster."""
    parser.add_argument(
        "--engine",
        metavar="auto|HOST:PORT",
        help='compute on a Ray cluster (`pip install "segdemo[ray]"`): auto is the one that this machine is part of',
    )


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


positive.__name__ = "positive whole number"  # argparse's message names the type
