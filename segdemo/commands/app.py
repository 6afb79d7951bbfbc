"""The command ``app``: the page."""

from __future__ import annotations

import argparse

from segdemo.commands.options import add_engine

HELP = "start the page"
DESCRIPTION = "Start the page and print its address."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo app`` takes."""
    parser.description = DESCRIPTION
    add_engine(parser)


def run(arguments: argparse.Namespace) -> int:
    """Start the page; returns when it is stopped."""
    from segdemo.ui import launch

    if arguments.engine is None:
        launch()
        return 0
    from segdemo.service import RayEngine
    from segdemo.ui import build_app

    launch(build_app(RayEngine(arguments.engine)))
    return 0
