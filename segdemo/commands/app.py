"""The command ``app``: the page."""

from __future__ import annotations

import argparse

HELP = "start the page"
DESCRIPTION = "Start the page and print its address."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo app`` takes: nothing."""
    parser.description = DESCRIPTION


def run(arguments: argparse.Namespace) -> int:
    """Start the page; returns when it is stopped."""
    from segdemo.ui import launch

    launch()
    return 0
