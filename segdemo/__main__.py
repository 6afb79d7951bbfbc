"""The command line: ``python -m segdemo segment|layers|networks|evaluate|train|app``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from segdemo.commands import COMMANDS
from segdemo.errors import InputError


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
    try:
        code = COMMANDS[arguments.command].run(arguments)
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
    """Describe the command line: every command of the table."""
    parser = argparse.ArgumentParser(
        prog="segdemo", description="See what a segmentation network says about a picture, and what its layers saw."
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.HELP))
    return parser


if __name__ == "__main__":
    sys.exit(main())
