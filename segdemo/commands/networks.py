"""The command ``networks``: a table of the networks, and whether their checkpoints are there."""

from __future__ import annotations

import argparse

from segdemo.commands.files import print_table

HELP = "list the networks"
DESCRIPTION = "List the networks."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo networks`` takes: nothing."""
    parser.description = DESCRIPTION


def run(arguments: argparse.Namespace) -> int:
    """Print the table of networks."""
    import torch

    from segdemo import checkpoints
    from segdemo.networks import NETWORKS

    rows = [["name", "title", "trained", "classes", "parameters", "checkpoint", "side", "paper"]]
    for spec in NETWORKS.values():
        with torch.device("meta"):
            hollow = spec.build(len(spec.classes))
        path = checkpoints.path_of(spec)
        trained, there = bool(checkpoints.shipped(spec).sha256), path.is_file()
        rows.append(
            [
                spec.name,
                spec.title,
                (("partly" if spec.untrained else "yes") if there else "file missing") if trained else "untrained",
                str(len(spec.classes)),
                f"{sum(parameter.numel() for parameter in hollow.parameters()):,}",
                f"{path.stat().st_size / 1e6:.1f} MB" if trained and there else "-",
                f"{spec.preprocessing.size} px",
                spec.source,
            ]
        )
    print_table(rows)
    return 0
