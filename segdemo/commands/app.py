"""The command ``app``: the page."""

from __future__ import annotations

import argparse

from segdemo.commands.options import add_engine, positive

HELP = "start the page"
DESCRIPTION = "Start the page and print its address."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo app`` takes."""
    parser.description = DESCRIPTION
    add_engine(parser)
    parser.add_argument(
        "--replicas",
        type=positive,
        metavar="N",
        help="on a cluster, how many replicas the first page starts, and waits for; default: one for each processor "
        "that the cluster has by then",
    )


def run(arguments: argparse.Namespace) -> int:
    """Start the page; returns when it is stopped."""
    from segdemo.ui import launch

    if arguments.engine is None:
        launch()
        return 0
    from segdemo.service import RayEngine
    from segdemo.ui import build_app

    launch(build_app(RayEngine(arguments.engine, replicas=arguments.replicas)))
    return 0
