"""Residual blocks: what the identity does for the gradient, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from segdemo.labs.lab import Curves, Maps, Outcome, Said, Table, array
from segdemo.labs.residual_blocks import BasicBlock, ResNet

COUNTS = {"18": [2, 2, 2, 2], "34": [3, 4, 6, 3]}  # blocks of each layer: table 1 of He et al. 2015
WIDTH = 8  # channels of the first layer, where gradients are followed; the networks of the paper have 64


def code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    made = f"{COUNTS[settings['layers']]}, {{width}}, {settings['classes']}, {settings['identity']}, {settings['norm']}"
    return [BasicBlock, ResNet, gradients], (
        f"net = ResNet({made.format(width=WIDTH)})  # the paper's is 64 wide\n"
        "found, slopes = gradients(net, x)\n"
        'with torch.device("meta"):\n'
        f"    wide = ResNet({made.format(width=64)})\n"
        "parameters = sum(parameter.numel() for parameter in wide.parameters())\n"
        "print(parameters, slopes.tolist())\n"
    )


def gradients(net: ResNet, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return what each block puts out, and the deviation of the gradient there, for a random one at the end."""
    found = net(x)
    for values in found:
        values.retain_grad()
    torch.manual_seed(1)
    found[-1].backward(torch.randn(found[-1].shape))
    slopes = torch.stack([values.grad.std() for values in found[:-1]])
    return found[:-1], slopes


def work(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Follow the gradient back through the blocks, with the identity and without it.

    Args:
        batch: (1, 3, H, W).
        settings: of the lab.
    """
    counts, classes, norm = COUNTS[settings["layers"]], settings["classes"], settings["norm"]
    curves, shown = {}, {}
    for identity in (True, False):
        torch.manual_seed(settings["seed"])
        net = ResNet(counts, WIDTH, classes, identity, norm)
        found, slopes = gradients(net, batch)
        curves["with" if identity else "without"] = tuple(slopes.tolist())
        shown[identity] = (found, slopes)
    found, slopes = shown[settings["identity"]]
    with torch.device("meta"):
        wide = ResNet(counts, 64, classes, settings["identity"], norm)
    parameters = sum(parameter.numel() for parameter in wide.parameters())
    rows = tuple(
        (
            name,
            sum(one.numel() for one in layer.parameters()),
            100 * sum(p.numel() for p in layer.parameters()) / parameters,
        )
        for name, layer in wide.named_children()
        if list(layer.parameters())
    )
    first, last = float(slopes[0]), float(slopes[-1])
    ratio = first / last if last else 0.0
    blocks = (
        Said("identity" if settings["identity"] else "plain", {"first": f"{first:.2g}", "last": f"{last:.2g}"}),
        Curves("gradient", curves, logarithmic=True),
        Maps("block", array(found[0][0]), shape=tuple(found[0].shape)),
        Maps("end", array(found[-1][0][:8]), shape=tuple(found[-1].shape)),
        Said("wide", {"count": f"{parameters:,}", "layers": settings["layers"]}),
        Table("resnet", ("layer", "parameters", "share"), rows),
    )
    values = {"slopes": array(slopes), "parameters": array(torch.tensor(parameters))}
    return Outcome(values, blocks, {"ratio": ratio, "parameters": parameters})
