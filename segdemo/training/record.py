"""What a run was: kept beside its weights, for the card that goes with them."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segdemo.errors import InputError
from segdemo.training.batches import Batches
from segdemo.training.data import Sample
from segdemo.training.processes import Processes
from segdemo.training.state import replacing


def write_record(
    out: Path, network: nn.Module, batches: Batches, samples: Sequence[Sample], processes: Processes
) -> None:
    """Write ``run.json``: one entry for each time the run was started or resumed.

    Args:
        out: folder of the run.
        network: that learns.
        batches: what it learns from.
        samples: of these the batches are made.
        processes: only the first one writes.
    """
    if not processes.first:
        return
    path = out / "run.json"
    entries = read_record(path)
    entry = {
        "command": command(sys.argv[1:], processes.count),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "pictures": len(samples),
        "with_masks": sum(sample.mask is not None for sample in samples),
        "batch": batches.size,
        "steps_per_epoch": batches.per_epoch,
        "processes": processes.count,
        "threads": torch.get_num_threads(),
        "device": processes.device.type,
        "torch": torch.__version__,
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps([*entries, entry], indent=1) + "\n", "utf-8")


def read_record(path: Path) -> list[dict[str, Any]]:
    """Read the entries of ``run.json``; none where there is no such file.

    Raises:
        InputError: it is damaged.
    """
    if not os.path.lexists(path):
        return []
    try:
        entries = json.loads(path.read_text("utf-8")) if path.is_file() else None
        if not isinstance(entries, list):
            raise ValueError("it is no list of runs")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            "record_unreadable",
            "{path} cannot be read: {reason}. It tells how the run in its folder was started. Remove or mend it, or "
            "name another folder with --out.",
            path=path,
            reason=str(error),
        ) from error
    return entries


def command(words: Sequence[str], processes: int = 1) -> str:
    """Write out the command with the names of files and folders, but not with where they were on this machine."""
    launcher = "python" if processes == 1 else f"torchrun --nproc-per-node {processes}"
    return f"{launcher} -m segdemo " + shlex.join(Path(word).name if "/" in word else word for word in words)
