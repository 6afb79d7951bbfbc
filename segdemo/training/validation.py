"""The score of a network that is still learning, on an archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from segdemo.archives import Archive, Reading
from segdemo.evaluation import Scores, evaluate, survey
from segdemo.networks.network import Network
from segdemo.predictions import Predictor


def score(
    network: nn.Module,
    spec: Network,
    archive: str | Path,
    *,
    side: int,
    limit: int | None = None,
    bfloat16: bool = True,
    reading: Reading | None = None,
) -> Scores:
    """Score a network on an archive, as ``segdemo evaluate`` does.

    Args:
        network: its weights are used as they are.
        spec: its specification; the archive's classes are the network's.
        archive: path of the zip file.
        side: working size in pixels.
        limit: judge only this many pictures, spread evenly.
        bfloat16: compute in bfloat16 where PyTorch thinks it safe; False gives what ``segdemo evaluate`` does.
        reading: how the masks are to be understood, from :func:`check`; None: they are looked through now.

    Raises:
        InputError: the archive cannot be used.
    """
    precision = "bfloat16" if bfloat16 else "float32"
    return evaluate(Predictor(network, spec, side, precision=precision), archive, limit=limit, reading=reading)


def check(archive: str | Path, classes: Sequence[str], limit: int | None = None) -> Reading:
    """Make sure, before anything is learned, that :func:`score` will be able to work.

    Args:
        archive: path of the zip file; all masks that :func:`score` will use are looked through.
        classes: of the network.
        limit: as for :func:`score`.

    Returns:
        How the masks are to be understood.

    Raises:
        InputError: the archive cannot be used.
    """
    with Archive(archive) as file:
        return survey(file, file.some_pairs(limit), len(classes))
