"""The command ``app``: the page."""

from __future__ import annotations

import argparse
import os

from segdemo.commands.options import add_device, add_engine, positive
from segdemo.errors import InputError

HELP = "start the page"
DESCRIPTION = "Start the page and print its address."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo app`` takes."""
    parser.description = DESCRIPTION
    add_engine(parser)
    add_device(parser)
    parser.add_argument("--passes", type=positive, metavar="N", help="passes at once; default: one for four processors")
    parser.add_argument(
        "--replicas",
        type=positive,
        metavar="N",
        help="on a cluster, how many replicas the first page starts, and waits for; default: one for each processor "
        "that the cluster has by then",
    )


def run(arguments: argparse.Namespace) -> int:
    """Start the page; returns when it is stopped."""
    asked = {
        "SEGDEMO_PASSES": arguments.passes,
        "SEGDEMO_DEVICE": arguments.device,
        "SEGDEMO_PRECISION": None if arguments.precision == "float32" else arguments.precision,
    }
    given = {name: str(value) for name, value in asked.items() if value is not None}
    if arguments.engine is not None and given:
        raise InputError(
            "engine_settings",
            "{settings} are for a page that computes on this machine, and --engine has a cluster compute. Leave one of "
            "them out.",
            settings=", ".join(f"--{name.removeprefix('SEGDEMO_').lower()}" for name in given),
        )
    os.environ.update(given)  # which the page reads, however it is started
    from segdemo.ui import launch

    if arguments.engine is None:
        launch()
        return 0
    from segdemo.service import RayEngine
    from segdemo.ui import build_app

    launch(build_app(RayEngine(arguments.engine, replicas=arguments.replicas)))
    return 0
