"""AlexNet as a whole: what each layer gives and how many parameters it has, found without a single number of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segdemo.labs.alexnet_blocks import AlexNet, classifier, features
from segdemo.labs.lab import Block, Formula, Outcome, Said, Table, array


def code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    return [features, classifier, AlexNet], (
        'with torch.device("meta"):  # shapes alone: 61 million numbers are neither made nor multiplied\n'
        f"    net = AlexNet({settings['classes']})\n"
        f"    x = torch.empty(1, 3, {settings['side']}, {settings['side']})\n"
        "    shapes = []\n"
        "    for layer in [*net.features, net.avgpool, nn.Flatten(), *net.classifier]:\n"
        "        x = layer(x)\n"
        "        shapes.append(tuple(x.shape))\n"
        "parameters = sum(parameter.numel() for parameter in net.parameters())\n"
        "linear = sum(parameter.numel() for parameter in net.classifier.parameters())\n"
        "numbers = torch.tensor([math.prod(shape) for shape in shapes])\n"
        'print(f"{parameters:,} parameters, {linear:,} of them in linear layers", *shapes, sep="\\n")\n'
    )


def work(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Follow a picture of a size through the network.

    Args:
        batch: of the visitor's picture, which only gives its place here.
        settings: of the lab.
    """
    side, classes = settings["side"], settings["classes"]
    with torch.device("meta"):
        net = AlexNet(classes)
        x = torch.empty(1, 3, side, side)
        layers = [(f"features.{index}", layer) for index, layer in enumerate(net.features)]
        layers += [("avgpool", net.avgpool), ("flatten", nn.Flatten())]
        layers += [(f"classifier.{index}", layer) for index, layer in enumerate(net.classifier)]
        parameters = sum(parameter.numel() for parameter in net.parameters())
        rows, numbers = [], []
        for name, layer in layers:
            x = layer(x)
            own = sum(parameter.numel() for parameter in layer.parameters())
            rows.append((name, type(layer).__name__, str(tuple(x.shape)), own, 100 * own / parameters))
            numbers.append(math.prod(x.shape))
    linear = sum(parameter.numel() for parameter in net.classifier.parameters())
    lines = (
        f"256 × 6 × 6 × 4,096 + 4,096 = {256 * 36 * 4096 + 4096:,}",
        f"4,096 × 4,096 + 4,096 = {4096 * 4096 + 4096:,}",
        f"4,096 × {classes:,} + {classes:,} = {4097 * classes:,}",
    )
    blocks: tuple[Block, ...] = (
        Said(
            "parameters",
            {
                "all": f"{parameters:,}",
                "linear": f"{linear / 1e6:.1f}",
                "rest": f"{(parameters - linear) / 1e6:.1f}",
                "share": f"{100 * linear / parameters:.0f}",
            },
        ),
        Formula("linear", lines),
        Table("layers", ("layer", "kind", "shape", "parameters", "share"), tuple(rows)),
    )
    values = {"parameters": torch.tensor(parameters), "linear": torch.tensor(linear), "numbers": torch.tensor(numbers)}
    facts = {"parameters": parameters, "linear": linear, "shapes": [row[2] for row in rows]}
    return Outcome({name: array(value) for name, value in values.items()}, blocks, facts)
