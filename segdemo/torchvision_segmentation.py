"""torchvision's six networks for segmentation, recognised by the names and shapes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from segdemo.networks.classes import VOC, declare
from segdemo.networks.network import Network, Preprocessing, Stage
from segdemo.weights import named

NAMES = (
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "deeplabv3_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet101",
)
# (label, module, row) of what is worth looking at in the backbone; strides 2, 4, 8, 16 or, where dilated, 8.
RESNET = (
    ("Conv 1", "relu", 1),
    ("Layer 1", "layer1", 2),
    ("Layer 2", "layer2", 3),
    ("Layer 3", "layer3", 4),
    ("Layer 4", "layer4", 5),
)
MOBILENET = (
    ("Blocks 1", "1", 1),
    ("Blocks 3", "3", 2),
    ("Blocks 6", "6", 3),
    ("Blocks 12", "12", 4),
    ("Conv 16", "16", 5),
)


class Answer(nn.Module):
    """Take the logits out of what torchvision's networks return; the tensors' names stay theirs.

    Args:
        network: returns a dictionary with ``"out"``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name, child in network.named_children():
            if name != "aux_classifier":  # for training
                self.add_module(name, child)
        self._forward = type(network).forward
        self.aux_classifier = None
        self.logits = nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W)."""
        return self.logits(self._forward(self, batch)["out"])


@dataclass(frozen=True)
class Build:
    """Makes one of the six with random weights; can be pickled.

    Args:
        name: as in ``torchvision.models.segmentation``.
    """

    name: str

    def __call__(self, classes: int) -> Answer:
        """Make the network for K classes."""
        from torchvision.models import segmentation  # seconds to import

        return Answer(getattr(segmentation, self.name)(weights=None, weights_backbone=None, num_classes=classes))


@cache
def _shapes(name: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: tensor.shape for key, tensor in Build(name)(21).state_dict().items()}


def match(state: Mapping[str, Any]) -> Network | None:
    """Return the network of the six that a state dict is of, None where it is of none.

    Args:
        state: tensors by name, prefixes or not.
    """
    if not any("backbone." in str(name) for name in state):
        return None  # and torchvision is not imported
    best, share = "", 0.0
    for name in NAMES:
        shapes = _shapes(name)
        values = named(state, shapes)
        fits = sum(isinstance(values.get(key), Tensor) and values[key].shape == shape for key, shape in shapes.items())
        if fits / len(shapes) > share:
            best, share = name, fits / len(shapes)
    return _declare(best, named(state, _shapes(best))) if best else None


def _declare(name: str, values: Mapping[str, Any]) -> Network:
    """Declare a network with as many classes as its last tensors have."""
    lite = name.startswith("lraspp")
    last = values.get("classifier.low_classifier.weight" if lite else "classifier.4.weight")
    count = last.shape[0] if isinstance(last, Tensor) and last.dim() == 4 else 21
    parts = RESNET if "resnet" in name else MOBILENET
    stages = []
    for column, (label, layer, row) in enumerate(parts):
        inputs = (parts[column - 1][0],) if column else ()
        stages.append(Stage(label, f"backbone.{layer}", row=row, column=column, inputs=inputs))
    stages += [
        Stage("Classes", "classifier", row=5, column=len(parts), inputs=(parts[-1][0],)),
        Stage("Logits", "logits", row=0, column=len(parts) + 1, inputs=("Classes",)),
    ]
    return Network(
        name=name,
        title=f"torchvision's {name}",
        task="segmentation",
        build=Build(name),
        classes=VOC if count == 21 else declare([f"class {number}" for number in range(count)]),
        stages=tuple(stages),
        preprocessing=Preprocessing(
            size=512,
            sizes=(256, 320, 384, 512, 640),
            stride=32,
            mean=(0.485, 0.456, 0.406),  # of ImageNet, as torchvision trained them
            std=(0.229, 0.224, 0.225),
        ),
        source="https://docs.pytorch.org/vision/stable/models.html#semantic-segmentation",
    )
