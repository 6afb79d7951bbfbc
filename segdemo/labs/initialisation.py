"""Initialisation: how large values and gradients are through the depth, for random weights of each kind."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.labs.alexnet_blocks import features, stored
from segdemo.labs.alexnet_maps import FILE, trained
from segdemo.labs.controls import Choice, Control, Number, Switch, Whole
from segdemo.labs.initialisation_nets import ACTS, Deep, by_hand, by_name, follow, measured
from segdemo.labs.lab import READ, Block, Curves, Maps, Outcome, Said, Table, Task, array, read
from segdemo.labs.residual_blocks import BasicBlock, ResNet
from segdemo.labs.unet_blocks import DoubleConv, Down, OutConv, UNet, Up

TITLE = "labs.initialisation"

IMPORTS = """import math

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""
WEIGH = {
    "normal": "nn.init.normal_(layer.weight, std={spread})",
    "uniform": "nn.init.uniform_(layer.weight, -{spread}, {spread})",
    "xavier": "nn.init.xavier_normal_(layer.weight)",
    "kaiming_in": 'nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")',
    "kaiming_out": 'nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")',
    "lecun": "nn.init.normal_(layer.weight, std=(layer.weight[0].numel()) ** -0.5)",
    "default": "layer.reset_parameters()",
}
KINDS = (*WEIGH, "by_hand", "by_name")
SIDE = 64  # of the picture for networks that do not take every size
SHOWN = 12  # channels
STACK = {"net": ("stack",)}
SHOWN_OF: dict[str, list[Any]] = {
    "stack": [Deep],
    "alexnet": [features],
    "resnet": [BasicBlock, ResNet],
    "unet": [DoubleConv, Down, Up, OutConv, UNet],
}


def settings() -> dict[str, Control]:
    """Return the controls: which weights, and in which network."""
    return {
        "net": Choice("stack", tuple(SHOWN_OF)),
        "weights": Choice("kaiming_in", KINDS),
        "spread": Number(0.1, 0, 1, {"weights": ("normal", "uniform")}),
        "beside": Switch(False, {"net": ("alexnet",)}),
        "act": Choice("relu", tuple(ACTS), STACK),
        "norm": Switch(False, {"net": ("stack", "resnet")}),
        "depth": Whole(12, 2, 20, STACK),
        "width": Whole(16, 4, 32, STACK),
        "size": Whole(48, 8, 48, STACK),
        "seed": Whole(0, 0, 9999),
    }


def made(settings: dict[str, Any]) -> str:
    """Return how the network is made, as code."""
    if settings["net"] == "alexnet":
        return "features()"
    if settings["net"] == "resnet":
        return f"ResNet([2, 2, 2, 2], 16, 10, True, {settings['norm']})"
    if settings["net"] == "unet":
        return "UNet(2, 8, 4, False, True, True)"
    act = f"nn.{ACTS[settings['act']].__name__}"
    return f"Deep({settings['depth']}, {settings['width']}, {settings['norm']}, {act})"


def snippet(**settings: Any) -> str:
    """Return the network, its weights, and the deviation of values and gradients in each layer."""
    kind, is_stack = settings["weights"], settings["net"] == "stack"
    shown = [*SHOWN_OF[settings["net"]], follow, measured]
    shown += [by_hand] if kind == "by_hand" else [by_name] if kind == "by_name" else []
    is_beside = settings["net"] == "alexnet" and settings["beside"]
    shown += [stored] if is_beside else []
    parts = "\n\n".join(inspect.getsource(part) for part in shown)
    lines = ["import json\n" if is_beside else "", IMPORTS, f"\n{parts}\n\n"]
    if is_beside:
        lines[1] = IMPORTS.replace("import math\n", "import math\nfrom pathlib import Path\n")
    lines.append(READ.format(side=settings["size"] if is_stack else SIDE))
    if not is_stack:
        lines.append(f'batch = functional.interpolate(batch, size=({SIDE}, {SIDE}), mode="bilinear")\n')
    lines.append(
        "batch = (batch - batch.mean()) / batch.std().clamp(min=1e-6)\n\n"
        f"torch.manual_seed({settings['seed']})\nnet = {made(settings)}\n"
    )
    if kind in WEIGH:
        lines.append(
            "for layer in net.modules():\n    if isinstance(layer, nn.Conv2d):\n"
            f"        {WEIGH[kind].format(spread=settings['spread'])}\n"
        )
    else:
        lines.append("by_hand(net)\n" if kind == "by_hand" else "net.apply(by_name)\n")
    lines.append(
        "weights = [layer.weight for layer in net.modules() if isinstance(layer, nn.Conv2d)][1]\n"
        "deviations, gradients, dead = measured(*follow(net, batch))\n"
        "print(deviations.tolist(), gradients.tolist(), dead.tolist(), sep='\\n')\n"
    )
    if is_beside:
        lines.append(
            f'\ntrained = stored("{FILE}")  # from the folder "checkpoints" of segdemo\n'
            "net.load_state_dict({name.removeprefix('features.'): value for name, value in trained.items()})\n"
            "theirs, their_gradients, their_dead = measured(*follow(net, batch))\n"
        )
    return "".join(lines)


def build(settings: dict[str, Any]) -> nn.Module:
    """Make the network with its weights."""
    torch.manual_seed(settings["seed"])
    net: nn.Module
    if settings["net"] == "alexnet":
        net = features()
    elif settings["net"] == "resnet":
        net = ResNet([2, 2, 2, 2], 16, 10, True, settings["norm"])
    elif settings["net"] == "unet":
        net = UNet(2, 8, 4, False, True, True)
    else:
        net = Deep(settings["depth"], settings["width"], settings["norm"], ACTS[settings["act"]])
    kind, spread = settings["weights"], settings["spread"]
    if kind == "by_hand":
        by_hand(net)
    elif kind == "by_name":
        net.apply(by_name)
    else:
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                _weigh(layer, kind, spread)
    return net


def _weigh(layer: nn.Conv2d, kind: str, spread: float) -> None:
    if kind == "normal":
        nn.init.normal_(layer.weight, std=spread)
    elif kind == "uniform":
        nn.init.uniform_(layer.weight, -spread, spread)
    elif kind == "xavier":
        nn.init.xavier_normal_(layer.weight)
    elif kind == "default":
        layer.reset_parameters()
    elif kind == "lecun":
        nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
    else:
        nn.init.kaiming_normal_(layer.weight, mode="fan_in" if kind == "kaiming_in" else "fan_out", nonlinearity="relu")


def expected_deviation(kind: str, spread: float, fan_in: int, fan_out: int) -> float:
    """Return the deviation that weights of a kind should have.

    Args:
        kind: one of ``KINDS``.
        spread: of "normal" and "uniform".
        fan_in: values that one output is made of.
        fan_out: outputs that one value goes into.
    """
    variance = {
        "normal": spread**2,
        "uniform": spread**2 / 3,
        "xavier": 2 / (fan_in + fan_out),
        "kaiming_in": 2 / fan_in,
        "by_name": 2 / fan_in,
        "kaiming_out": 2 / fan_out,
        "by_hand": 2 / fan_out,
        "lecun": 1 / fan_in,
        "default": 1 / (3 * fan_in),  # uniform within ±1 / √fan_in
    }[kind]
    return math.sqrt(variance)


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show the deviation of values and gradients through the depth, and what theory says of them."""
    is_stack = settings["net"] == "stack"
    batch = read(picture, settings["size"] if is_stack else SIDE)
    if not is_stack:
        batch = functional.interpolate(batch, size=(SIDE, SIDE), mode="bilinear")
    batch = (batch - batch.mean()) / batch.std().clamp(min=1e-6)
    net = build(settings)
    convs = {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d)}
    rows = tuple(_row(name, layer, settings) for name, layer in convs.items())
    weights = array(list(convs.values())[1].weight)
    found, cut = follow(net, batch)
    deviations, gradients, dead = measured(found, cut)
    values = {"deviations": deviations, "gradients": gradients, "dead": dead}
    forward = {"values": deviations}
    backward = {"gradients": gradients}
    last, first = float(deviations[-1]), float(deviations[0])
    state = "vanishes" if last < first / 30 else "explodes" if not last <= first * 30 else "steady"
    maps: list[Block] = [_maps("first", found[0]), _maps("last", found[-1])]
    if settings["net"] == "alexnet" and settings["beside"]:
        net.load_state_dict(trained())
        rows = tuple(
            (*row, layer.weight.detach().std().item()) for row, layer in zip(rows, convs.values(), strict=True)
        )
        theirs, cut_there = follow(net, batch)
        forward["trained"], backward["trained"], their_dead = measured(theirs, cut_there)
        values |= {"theirs": forward["trained"], "their_gradients": backward["trained"], "their_dead": their_dead}
        maps += [_maps("trained_first", theirs[0]), _maps("trained_last", theirs[-1])]
    curves = {name: tuple(one.tolist()) for name, one in forward.items()}
    if is_stack and settings["act"] != "tanh" and not settings["norm"]:
        curves["theory"] = predicted(settings)
    columns = ("which", "mean", "std", "expected", "error") + (("trained_std",) if len(rows[0]) > 5 else ())
    blocks: list[Block] = [
        Said(state, {"first": f"{first:.2g}", "last": f"{last:.2g}"}),
        Curves("forward", curves, logarithmic=True),
        Curves("backward", {name: tuple(one.tolist()) for name, one in backward.items()}, logarithmic=True),
    ]
    if len(dead):
        units = sum(values.shape[1] for values in cut)
        blocks.append(Said("dead", {"count": int(dead.sum()), "units": units}))
        blocks.append(Curves("dead", {"dead": tuple(map(float, dead.tolist()))}))
    blocks += [Table("weights", columns, rows), *maps]
    arrays = {name: array(value) for name, value in values.items()} | {"weights": weights}
    return Outcome(arrays, tuple(blocks), {"state": state, "expected": rows[1][3], "rows": rows})


def _row(name: str, layer: nn.Conv2d, settings: dict[str, Any]) -> tuple[Any, ...]:
    """Return mean and deviation of a layer's weights, what they should be, and how far chance takes the deviation."""
    weight = layer.weight.detach()
    fan_in, fan_out = weight[0].numel(), weight.shape[0] * weight[0, 0].numel()
    expected = expected_deviation(settings["weights"], settings["spread"], fan_in, fan_out)
    error = expected / math.sqrt(2 * weight.numel())
    return name, weight.mean().item(), weight.std().item(), expected, error


def _maps(name: str, values: Tensor) -> Maps:
    return Maps(name, array(values[0][:SHOWN]), shape=tuple(values.shape))


def predicted(settings: dict[str, Any]) -> tuple[float, ...]:
    """Return the deviation that theory gives each layer: of every input 9 × channels products, half of them cut off."""
    width, kind, spread = settings["width"], settings["weights"], settings["spread"]
    kept = 0.5 if settings["act"] == "relu" else 1.0
    squares, found = 1.0, []
    for index in range(settings["depth"]):
        fan_in = 9 * (width if index else 3)
        variance = expected_deviation(kind, spread, fan_in, 9 * width) ** 2
        squares *= fan_in * variance * (kept if index else 1.0)
        found.append(math.sqrt(squares))
    return tuple(found)


def _is_deep(settings: Any, depth: int) -> bool:
    return bool(settings["net"] == "stack" and settings["depth"] >= depth)


TASKS = (
    Task("vanish", lambda settings, outcome: outcome.facts["state"] == "vanishes" and _is_deep(settings, 10)),
    Task(
        "steady",
        lambda settings, outcome: (
            outcome.facts["state"] == "steady"
            and _is_deep(settings, 20)
            and settings["act"] == "relu"
            and not settings["norm"]
        ),
    ),
    Task(
        "norm",
        lambda settings, outcome: (
            outcome.facts["state"] == "steady"
            and _is_deep(settings, 2)
            and settings["norm"]
            and settings["weights"] in ("normal", "uniform", "default")
        ),
    ),
)
