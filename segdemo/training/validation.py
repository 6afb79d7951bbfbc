"""The score of a network that is still learning, on an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from segdemo.archives import IGNORED, Archive, Reading
from segdemo.errors import InputError
from segdemo.evaluation import Scores, scores_of, survey
from segdemo.images import to_batch
from segdemo.networks.spec import NetworkSpec

if TYPE_CHECKING:
    from torchmetrics import Metric


@dataclass(frozen=True)
class _Answer:
    mask: Any


class Learner:
    """A network with the weights it has now, seen as something that segments pictures.

    Args:
        network: in evaluation mode.
        spec: its specification.
        side: working size in pixels.
        bfloat16: compute in bfloat16 where PyTorch thinks it safe.
    """

    def __init__(self, network: nn.Module, spec: NetworkSpec, side: int, *, bfloat16: bool = True) -> None:
        self._bfloat16 = bfloat16
        self.classes = spec.names
        self._network, self._rule, self._side = network, spec.rule, side

    def run(self, picture: Image.Image) -> _Answer:
        """Return the mask of a picture in the picture's own size."""
        batch, placement = to_batch(picture, self._rule, self._side)
        device = next(self._network.parameters()).device
        batch = batch.to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16):
            logits = self._network(batch).float()
        width, height = placement.resized
        size = (picture.height, picture.width)
        logits = functional.interpolate(logits[:, :, :height, :width], size, mode="bilinear", align_corners=False)
        return _Answer(logits[0].argmax(0).to(torch.uint8).cpu().numpy())


def score(
    network: nn.Module,
    spec: NetworkSpec,
    archive: str | Path,
    *,
    side: int,
    limit: int | None = None,
    bfloat16: bool = True,
    reading: Reading | None = None,
) -> Scores:
    """Score a network on an archive, counted by torchmetrics; ``segdemo evaluate`` comes to the same without it.

    Args:
        network: its weights are used as they are.
        spec: its specification; the archive's classes are the network's.
        archive: path of the zip file.
        side: working size in pixels.
        limit: judge only this many pictures, spread evenly.
        bfloat16: compute in bfloat16 where PyTorch thinks it safe; False gives what ``segdemo evaluate`` does.
        reading: how the masks are to be understood, from :func:`check`; None: they are looked through now.

    Raises:
        InputError: the archive cannot be used, or torchmetrics is not installed.
    """
    network.eval()
    learner = Learner(network, spec, side, bfloat16=bfloat16)
    confusion = _confusion(len(spec.classes))
    with Archive(archive) as file:
        pairs = file.some_pairs(limit)
        reading = reading or survey(file, pairs, len(spec.classes))
        for pair in pairs:
            picture, truth = file.read(pair, reading)
            confusion.update(*(torch.from_numpy(mask).long() for mask in (learner.run(picture).mask, truth)))
    return scores_of(confusion.compute().numpy(), spec.names, len(pairs))


def check(archive: str | Path, classes: Sequence[str], limit: int | None = None) -> Reading:
    """Make sure, before anything is learned, that :func:`score` will be able to work.

    Args:
        archive: path of the zip file; all masks that :func:`score` will use are looked through.
        classes: of the network.
        limit: as for :func:`score`.

    Returns:
        How the masks are to be understood.

    Raises:
        InputError: the archive cannot be used, or torchmetrics is not installed.
    """
    _confusion(len(classes))
    with Archive(archive) as file:
        return survey(file, file.some_pairs(limit), len(classes))


def _confusion(classes: int) -> Metric:
    try:
        from torchmetrics.classification import MulticlassConfusionMatrix
    except ImportError:
        raise InputError(
            "torchmetrics_missing",
            "Scores while training are counted by torchmetrics, which is not installed. "
            "Run `pip install torchmetrics`, or train without --val.",
        ) from None
    return MulticlassConfusionMatrix(classes, ignore_index=IGNORED)
