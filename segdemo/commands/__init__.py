"""The commands. To add one: a file with ``HELP``, ``add_arguments`` and ``run``, and its name in the table below.

``add_arguments`` says what the command takes, and ``run`` does it and returns the exit code. What takes long to import,
torch or Gradio, is imported where it is used: ``--help`` should not wait for it.
"""

from __future__ import annotations

import argparse
from typing import Protocol

from segdemo.commands import app, card, evaluate, explore, lab, layers, networks, segment, train, worst


class Command(Protocol):
    """What the file of a command holds."""

    HELP: str  # one line

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe what it takes."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and return the exit code."""


COMMANDS: dict[str, Command] = {
    module.__name__.rpartition(".")[2]: module
    for module in (segment, layers, networks, evaluate, worst, card, lab, train, explore, app)
}
