"""torchvision's networks for classification beside those of the table, recognised by names and shapes of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from segdemo.networks.classes import IMAGENET, declare
from segdemo.networks.network import Network, Preprocessing, Stage
from segdemo.weights import named

# The tensors of each are a few thousand names to compare; others of torchvision can be told apart likewise.
NAMES = (
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "vgg11",
    "vgg16",
    "vgg16_bn",
    "squeezenet1_1",
    "densenet121",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "convnext_tiny",
)
PARTS = ("features.", "layer1.", "stage2.")  # each of them has one of these
SIZE = 224  # pixels


@dataclass(frozen=True)
class Build:
    """Makes one of them with random weights; can be pickled.

    Args:
        name: as in ``torchvision.models``.
    """

    name: str

    def __call__(self, classes: int) -> nn.Module:
        """Make the network for K classes."""
        from torchvision import models  # seconds to import

        network: nn.Module = getattr(models, self.name)(weights=None, num_classes=classes)
        for module in network.modules():
            if "inplace" in vars(module):
                vars(module)["inplace"] = False  # so that what a layer put out can still be looked at
        return network


@cache
def _shapes(name: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: tensor.shape for key, tensor in Build(name)(1000).state_dict().items()}


def match(state: Mapping[str, Any]) -> Network | None:
    """Return the network that has most of the tensors of a state dict, None where none has half of its own in it.

    Args:
        state: tensors by name, prefixes or not.
    """
    if not any(part in str(name) for name in state for part in PARTS):
        return None  # and torchvision is not imported
    best, share = "", 0.5
    for name in NAMES:
        shapes = _shapes(name)
        values = named(state, shapes)
        tensors = {key for key, value in values.items() if isinstance(value, Tensor)}
        fits = sum(key in tensors and values[key].shape == shape for key, shape in shapes.items())
        if fits / len(tensors | shapes.keys()) > share:
            best, share = name, fits / len(tensors | shapes.keys())
    if not best:
        return None
    head = next(key for key in reversed(_shapes(best)) if key.endswith(".weight"))
    given = named(state, _shapes(best)).get(head)
    count = given.shape[0] if isinstance(given, Tensor) and given.dim() else 1000
    return Network(
        name=best,
        title=f"torchvision's {best}",
        task="classification",
        build=Build(best),
        classes=IMAGENET if count == 1000 else declare([f"class {number}" for number in range(count)]),
        stages=_stages(best),
        preprocessing=Preprocessing(
            size=SIZE,
            sizes=(160, SIZE, 288),
            stride=32,
            shape="stretch",
            mean=(0.485, 0.456, 0.406),  # of ImageNet, as torchvision trained them
            std=(0.229, 0.224, 0.225),
        ),
        source="https://docs.pytorch.org/vision/stable/models.html#classification",
    )


@cache
def _stages(name: str) -> tuple[Stage, ...]:
    """Find the last module that puts out maps of each size, and the one that answers, from a pass without numbers."""
    seen: dict[str, list[Tensor]] = {}
    with torch.device("meta"):
        network = Build(name)(1000).eval()
        for key, module in network.named_modules():
            module.register_forward_hook(lambda *_, key=key: seen.setdefault(key, []).append(_[2]))
        answer = network(torch.empty(1, 3, SIZE, SIZE))
    once = {key: outputs[0] for key, outputs in seen.items() if key and len(outputs) == 1}
    by_side = {
        one.shape[2]: key
        for key, one in once.items()
        if isinstance(one, Tensor) and one.dim() == 4 and one.shape[2] > 1
    }
    last = [key for key, one in once.items() if isinstance(one, Tensor) and one.numel() == answer.numel()][-1]
    by_side = {side: key for side, key in by_side.items() if key != last}
    stages: list[Stage] = []
    for row, key in enumerate([*by_side.values(), last]):
        inputs = (stages[-1].label,) if stages else ()
        label = "Logits" if key == last else f"Side {list(by_side)[row]}"
        stages.append(Stage(label, key, row=min(row, len(by_side) - 1), column=int(key == last), inputs=inputs))
    return tuple(stages)
