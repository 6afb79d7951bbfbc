"""A layer of one's own: convolution, batch normalisation and ReLU put together, as modules and as functions."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.errors import InputError
from segdemo.labs import sizes
from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Block, Maps, Outcome, Said, Table, Task, array, read

TITLE = "labs.own_layer"

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""
MODULE = {"written": ("module",)}
SHIFT = 5.0  # added to every bias, to see what it changes


class ConvBNReLU(nn.Module):
    """Convolution, batch normalisation and ReLU as one layer; each of the last two can be left out."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ks: int = 3,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        relu: bool = True,
        inplace: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, ks, stride, padding, dilation, groups, bias)
        self.bn = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=inplace) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w)."""
        return self.relu(self.bn(self.conv(x)))


class FunctionalConv(nn.Module):
    """The same convolution as a function: its weights are an attribute, a parameter only if they are wrapped."""

    def __init__(
        self, in_channels: int, out_channels: int, ks: int, stride: int, padding: int, dilation: int, groups: int,
        *, wrapped: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        weight = torch.empty(out_channels, in_channels // groups, ks, ks)
        nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        self.weight = nn.Parameter(weight) if wrapped else weight
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w)."""
        x = functional.conv2d(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)
        return functional.relu(x)


def settings() -> dict[str, Control]:
    """Return the controls: how the layer is written, and each of its arguments."""
    return {
        "written": Choice("module", ("module", "parameter", "functional")),
        "out_channels": Whole(6, 1, 12),
        "ks": Whole(3, 1, 7),
        "stride": Whole(1, 1, 4),
        "padding": Whole(1, 0, 8),
        "dilation": Whole(1, 1, 4),
        "groups": Whole(1, 1, 3),
        "bias": Switch(False, MODULE),
        "norm": Switch(True, MODULE),
        "relu": Switch(True, MODULE),
        "inplace": Switch(True, MODULE | {"relu": (True,)}),
        "size": Whole(64, 8, 96),
        "seed": Whole(0, 0, 9999),
    }


def snippet(**settings: Any) -> str:
    """Return the layer, what of it is learned, and what a hook on its normalisation sees."""
    sizes_ = ", ".join(f"{key}={settings[key]}" for key in ("ks", "stride", "padding", "dilation", "groups"))
    is_module = settings["written"] == "module"
    kind = ConvBNReLU if is_module else FunctionalConv
    switches = ("bias", "norm", "relu", "inplace")
    more = ", ".join(f"{key}={settings[key]}" for key in switches) if is_module else f"wrapped={_wrapped(settings)}"
    lines = [
        f"{IMPORTS}\n{inspect.getsource(kind)}\n\n{READ.format(side=settings['size'])}\n",
        f"torch.manual_seed({settings['seed']})\n",
        f"layer = {kind.__name__}(3, {settings['out_channels']}, {sizes_}, {more})\n",
    ]
    if is_module:
        lines.append(inspect.getsource(watch) + "\n\nviews, copies = watch(layer.bn)\n")
    lines.append(
        "with torch.no_grad():\n    output = layer(batch)\n"
        "learned = sum(parameter.numel() for parameter in layer.parameters())\n"
        "print(learned, list(layer.state_dict()))\n"
    )
    if is_module:
        lines.append("naive, exact = views[0], copies[0]\n")
    if is_module and settings["bias"]:
        lines.append(
            f"with torch.no_grad():\n    layer.conv.bias += {SHIFT}\n    shifted = layer(batch)\n"
            "difference = (shifted - output).abs().max()\n"
        )
    lines.append(
        f"{inspect.getsource(one_step)}\n\nmoved = one_step(layer, layer.{'conv.' if is_module else ''}weight, batch)\n"
        "print(moved)\n"
    )
    return "".join(lines)


def watch(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Note what a module puts out from now on: as a view of it, and as a copy."""
    views: list[Tensor] = []
    copies: list[Tensor] = []

    def note(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
        views.append(given.detach())  # the same memory: whoever writes there later changes it
        copies.append(given.detach().clone())

    module.register_forward_hook(note)
    return views, copies


def one_step(layer: nn.Module, weight: Tensor, batch: Tensor) -> float:
    """Return how far one step of an optimiser moves the weights at most; with nothing to learn, it refuses to begin."""
    before = weight.detach().clone()
    try:
        optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    except ValueError:  # optimizer got an empty parameter list
        return 0.0
    layer(batch).square().mean().backward()
    optimiser.step()
    return (weight.detach() - before).abs().max().item()


def _wrapped(settings: dict[str, Any]) -> bool:
    return bool(settings["written"] == "parameter")


def build(settings: dict[str, Any]) -> nn.Module:
    """Make the layer."""
    arguments = [settings[key] for key in ("out_channels", "ks", "stride", "padding", "dilation", "groups")]
    if settings["written"] != "module":
        return FunctionalConv(3, *arguments, wrapped=_wrapped(settings))
    return ConvBNReLU(3, *arguments, *(settings[key] for key in ("bias", "norm", "relu", "inplace")))


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show what the layer gives, what of it is learned, what a hook sees, and what a bias changes."""
    batch = read(picture, settings["size"])
    _check(settings, batch)
    torch.manual_seed(settings["seed"])
    layer: Any = build(settings)
    is_module = settings["written"] == "module"
    views, copies = watch(layer.bn) if is_module else ([], [])
    with torch.no_grad():
        output = layer(batch)
    there = layer.conv.weight if is_module else layer.weight
    learned = sum(parameter.numel() for parameter in layer.parameters())
    state = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    known = dict(layer.named_parameters())
    blocks: list[Block] = [
        Maps("output", array(output[0]), shape=tuple(output.shape)),
        Table("state", ("name", "shape", "learned"), tuple((n, str(s), n in known) for n, s in state.items())),
        Said("learned", {"count": f"{learned:,}"}) if learned else Said("lost", {"count": f"{there.numel():,}"}),
    ]
    values = {"output": array(output)}
    facts: dict[str, Any] = {"learned": learned}
    if is_module:
        values |= {"naive": array(views[0]), "exact": array(copies[0])}
        rows = (("naive", views[0].min().item()), ("exact", copies[0].min().item()))
        facts["differs"] = not torch.equal(views[0], copies[0])
        blocks += [Table("hook", ("what", "least"), rows), Said("overwritten" if facts["differs"] else "kept")]
    if is_module and settings["bias"]:
        with torch.no_grad():
            layer.conv.bias += SHIFT
            values["difference"] = array((layer(batch) - output).abs().max())
        facts["difference"] = float(values["difference"])
        said = "pointless" if settings["norm"] else "useful"
        blocks.append(Said(said, {"shift": SHIFT, "difference": f"{facts['difference']:.2g}"}))
    moved = one_step(layer, there, batch)
    values["moved"] = np.array(moved)
    blocks.append(Said("moved", {"moved": f"{moved:.2g}"}) if learned else Said("refused"))
    return Outcome(values, tuple(blocks), facts)


def _check(settings: dict[str, Any], batch: Tensor) -> None:
    as_conv = settings | {"layer": "conv", "in_channels": 3, "padding_mode": "zeros", "kernel_size": settings["ks"]}
    height, width = batch.shape[2:]
    sizes.check(as_conv, height, width)
    places = sizes.output_size(as_conv, height) * sizes.output_size(as_conv, width)
    if settings["written"] == "module" and settings["norm"] and places == 1:
        raise InputError(
            "one_value_normalised",
            "Batch normalisation needs more than one value in each channel to find a deviation, but the convolution "
            "leaves one. Lower the stride or the kernel, or switch the normalisation off.",
        )


TASKS = (
    Task("pointless", lambda settings, outcome: settings["norm"] and outcome.facts.get("difference", 1) < 0.01),
    Task("true", lambda settings, outcome: outcome.facts.get("differs") is False and settings["relu"]),
    Task("learned", lambda settings, outcome: settings["written"] == "parameter"),
)
