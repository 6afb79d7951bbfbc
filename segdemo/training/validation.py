"""The score of a network that is still learning, on an archive, as ``segdemo evaluate`` works it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from segdemo.evaluation import ClassMap, Scores, evaluate
from segdemo.images import to_batch
from segdemo.networks.spec import NetworkSpec


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
        self.classes = spec.classes
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
    mapping: ClassMap | None = None,
    limit: int | None = None,
    bfloat16: bool = True,
) -> Scores:
    """Score a network on an archive.

    Args:
        network: its weights are used as they are.
        spec: its specification.
        archive: path of the zip file.
        side: working size in pixels.
        mapping: from the network's classes to the archive's, when they differ.
        limit: judge only this many pictures, spread evenly.
        bfloat16: compute in bfloat16 where PyTorch thinks it safe; False gives what ``segdemo evaluate`` does.
    """
    network.eval()
    return evaluate(Learner(network, spec, side, bfloat16=bfloat16), archive, mapping, limit)
