"""Initialisation: how large values and gradients are through the depth, for random weights of each kind."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.labs.controls import Choice, Control, Number, Switch, Whole
from segdemo.labs.lab import READ, Block, Curves, Maps, Outcome, Said, Table, Task, array, read

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


def by_hand(net: nn.Module) -> None:
    """Go through all modules: convolutions by the values they put out, normalisations 1 and 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            module.weight.data.normal_(0, math.sqrt(2 / fan_out))
            if module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
            module.bias.data.zero_()


def by_name(module: nn.Module) -> None:
    """Initialise one module by the name of its class; ``net.apply`` calls this for each."""
    name = type(module).__name__
    if "Conv" in name:
        nn.init.kaiming_normal_(module.weight.data, a=0, mode="fan_in")  # type: ignore[arg-type]
    elif "BatchNorm2d" in name:
        nn.init.normal_(module.weight.data, 1.0, 0.02)  # type: ignore[arg-type]
        nn.init.constant_(module.bias.data, 0.0)  # type: ignore[arg-type]


class Deep(nn.Module):
    """Convolutions of one width, one after the other."""

    def __init__(self, depth: int, width: int, norm: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(width if index else 3, width, 3, padding=1, bias=False) for index in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) if norm else nn.Identity() for _ in range(depth))

    def forward(self, x: Tensor, act: str) -> list[Tensor]:
        """Return what each convolution puts out, and what the last activation does."""
        found = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
            found.append(x)
            x = functional.relu(x) if act == "relu" else torch.tanh(x) if act == "tanh" else x
        return [*found, x]


def settings() -> dict[str, Control]:
    """Return the controls: which weights, and in which network."""
    return {
        "weights": Choice("kaiming_in", KINDS),
        "spread": Number(0.1, 0, 1, {"weights": ("normal", "uniform")}),
        "act": Choice("relu", ("relu", "tanh", "none")),
        "norm": Switch(False),
        "depth": Whole(12, 2, 20),
        "width": Whole(16, 4, 32),
        "size": Whole(48, 8, 48),
        "seed": Whole(0, 0, 9999),
    }


def snippet(**settings: Any) -> str:
    """Return the network, its weights, and the deviation of values and gradients in each layer."""
    kind = settings["weights"]
    lines = [f"{IMPORTS}\n{inspect.getsource(Deep)}\n\n"]
    if kind in ("by_hand", "by_name"):
        lines.append(inspect.getsource(by_hand if kind == "by_hand" else by_name) + "\n\n")
    lines.append(READ.format(side=settings["size"]))
    lines.append(
        "batch = (batch - batch.mean()) / batch.std().clamp(min=1e-6)\n\n"
        f"torch.manual_seed({settings['seed']})\n"
        f"net = Deep({settings['depth']}, {settings['width']}, {settings['norm']})\n"
    )
    if kind in WEIGH:
        lines.append(f"for layer in net.convs:\n    {WEIGH[kind].format(spread=settings['spread'])}\n")
    else:
        lines.append("by_hand(net)\n" if kind == "by_hand" else "net.apply(by_name)\n")
    lines.append(
        f'found = net(batch, "{settings["act"]}")\n'
        "for values in found:\n    values.retain_grad()\n"
        "found[-1].backward(torch.randn(found[-1].shape))\n"
        "deviations = torch.stack([values.std() for values in found[:-1]])\n"
        "gradients = torch.stack([values.grad.std() for values in found[:-1]])\n"
        "weights = net.convs[1].weight\n"
        "print(deviations.tolist(), gradients.tolist(), sep='\\n')\n"
    )
    return "".join(lines)


def build(settings: dict[str, Any]) -> Deep:
    """Make the network with its weights."""
    torch.manual_seed(settings["seed"])
    net = Deep(settings["depth"], settings["width"], settings["norm"])
    kind, spread = settings["weights"], settings["spread"]
    if kind == "by_hand":
        by_hand(net)
    elif kind == "by_name":
        net.apply(by_name)
    else:
        for layer in net.convs:
            _weigh(layer, kind, spread)
    return net


def _weigh(layer: Any, kind: str, spread: float) -> None:
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
    batch = read(picture, settings["size"])
    batch = (batch - batch.mean()) / batch.std().clamp(min=1e-6)
    net = build(settings)
    found = net(batch, settings["act"])
    for values in found:
        values.retain_grad()
    found[-1].backward(torch.randn(found[-1].shape))
    deviations = torch.stack([values.std() for values in found[:-1]])
    gradients = torch.stack([values.grad.std() for values in found[:-1]])
    weights: Tensor = net.convs[1].weight.detach()  # type: ignore[operator]
    deviations, gradients = deviations.detach(), gradients.detach()
    curves = {"values": tuple(deviations.tolist())}
    if settings["act"] != "tanh" and not settings["norm"]:
        curves["theory"] = predicted(settings)
    fan = 9 * settings["width"]
    expected = expected_deviation(settings["weights"], settings["spread"], fan, fan)
    row = ("second", weights.mean().item(), weights.std().item(), expected, expected / math.sqrt(2 * weights.numel()))
    dead = sum(bool((values.relu() == 0).all((0, 2, 3)).any()) for values in found[:-1])
    last, first = float(deviations[-1]), float(deviations[0])
    state = "vanishes" if last < first / 30 else "explodes" if last > first * 30 else "steady"
    blocks: list[Block] = [
        Said(state, {"first": f"{first:.2g}", "last": f"{last:.2g}"}),
        Curves("forward", curves, logarithmic=True),
        Curves("backward", {"gradients": tuple(gradients.tolist())}, logarithmic=True),
        Table("weights", ("which", "mean", "std", "expected", "error"), (row,)),
        Maps("last", array(found[-1][0][:8]), shape=tuple(found[-1].shape)),
    ]
    if settings["act"] == "relu":
        blocks.append(Said("dead", {"count": dead, "depth": settings["depth"]}))
    values = {"deviations": array(deviations), "gradients": array(gradients), "weights": array(weights)}
    return Outcome(values, tuple(blocks), {"state": state, "expected": expected})


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


TASKS = (
    Task("vanish", lambda settings, outcome: outcome.facts["state"] == "vanishes" and settings["depth"] >= 10),
    Task(
        "steady",
        lambda settings, outcome: (
            outcome.facts["state"] == "steady"
            and settings["depth"] == 20
            and settings["act"] == "relu"
            and not settings["norm"]
        ),
    ),
    Task(
        "norm",
        lambda settings, outcome: (
            outcome.facts["state"] == "steady"
            and settings["norm"]
            and settings["weights"] in ("normal", "uniform", "default")
        ),
    ),
)
