"""Layers: one layer with every argument it takes, on the visitor's own picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.errors import InputError
from segdemo.labs import kernels, sizes
from segdemo.labs.controls import Cells, Choice, Control, Number, Switch, Whole
from segdemo.labs.lab import IMPORTS, READ, Block, Formula, Maps, Outcome, Said, Table, Task, array, call, read

TITLE = "labs.layers"

KINDS = ("conv", "transposed", "resize_conv", "max_pool", "avg_pool", "upsample", "batch_norm", "relu", "leaky_relu")
CONVS = ("conv", "resize_conv")
WEIGHTED = {"layer": (*CONVS, "transposed")}
SLIDING = {"layer": (*CONVS, "transposed", "max_pool", "avg_pool")}
LARGER = {"layer": ("upsample", "resize_conv")}
CLASSES = {
    "conv": nn.Conv2d,
    "resize_conv": nn.Conv2d,
    "transposed": nn.ConvTranspose2d,
    "max_pool": nn.MaxPool2d,
    "avg_pool": nn.AvgPool2d,
}
CLASSES |= {"upsample": nn.Upsample, "batch_norm": nn.BatchNorm2d, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
TO_PICTURE = """

def to_picture(values):  # (h, w) of any range: the smallest black, the largest white
    low, high = values.min(), values.max()
    grey = ((values - low) / (high - low).clamp(min=1e-12) * 255).byte()
    return Image.frombytes("L", (values.shape[1], values.shape[0]), bytes(grey.flatten().tolist()))


to_picture(output[0, 0]).save("output.png")
"""


@dataclass(frozen=True)
class Computed:
    """What the layer took and gave.

    Args:
        batch: (1, C, H, W).
        layer: with its weights.
        output: (1, D, h, w).
    """

    batch: Tensor
    layer: nn.Module
    output: Tensor


def settings() -> dict[str, Control]:
    """Return the controls: every argument of every layer, the kernel and the picture's size."""
    return {
        "layer": Choice("conv", KINDS),
        "size": Whole(64, 8, 96),
        "in_channels": Whole(3, 1, 6),
        "out_channels": Whole(1, 1, 8, WEIGHTED),
        "kernel": Choice("edge", (*kernels.NAMES, "own", "xavier"), WEIGHTED),
        "weights": Cells((-1, -1, -1, -1, 8, -1, -1, -1, -1), 7, 100, WEIGHTED),
        "seed": Whole(2, 0, 9999, WEIGHTED | {"kernel": ("xavier",)}),
        "kernel_size": Whole(3, 1, 7, SLIDING),
        "stride": Whole(1, 1, 8, SLIDING),
        "padding": Whole(1, 0, 8, SLIDING),
        "output_padding": Whole(0, 0, 7, {"layer": ("transposed",)}),
        "dilation": Whole(1, 1, 6, {"layer": (*CONVS, "transposed", "max_pool")}),
        "groups": Whole(1, 1, 6, WEIGHTED),
        "bias": Switch(False, WEIGHTED),
        "bias_value": Number(0.0, -10, 10, WEIGHTED | {"bias": (True,)}),
        "padding_mode": Choice("zeros", ("zeros", "reflect", "replicate", "circular"), {"layer": CONVS}),
        "scale_factor": Whole(2, 1, 4, LARGER),
        "mode": Choice("nearest", ("nearest", "bilinear", "bicubic"), LARGER),
        "align_corners": Switch(False, LARGER | {"mode": ("bilinear", "bicubic")}),
        "training": Switch(True, {"layer": ("batch_norm",)}),
        "negative_slope": Number(0.1, 0, 1, {"layer": ("leaky_relu",)}),
    }


def snippet(**settings: Any) -> str:
    """Return the layer, its weights and its output as PyTorch."""
    kind = settings["layer"]
    lines = [IMPORTS, READ.format(side=settings["size"])]
    lines.append(f"batch = {_chosen(settings)}\n\n")
    if kind in ("relu", "leaky_relu"):
        lines.append("batch = batch - batch.mean()  # so that some values are negative\n")
    positional = f"{settings['in_channels']}, {settings['out_channels']}, " if kind in WEIGHTED["layer"] else ""
    positional = f"{settings['in_channels']}" if kind == "batch_norm" else positional
    made = call(f"nn.{CLASSES[kind].__name__}", arguments(settings)).replace("(", f"({positional}", 1)
    if kind == "resize_conv":  # each value of the output is made of as many products as any other
        made = f"nn.Sequential({call('nn.Upsample', arguments(settings | {'layer': 'upsample'}))}, {made})"
    lines.append(f"layer = {made}\n")
    if kind == "resize_conv":
        lines.append("conv = layer[1]\n")
    if kind == "batch_norm":
        lines.append(f"layer.train({settings['training']})\n")
    if kind in WEIGHTED["layer"]:
        lines.append(_weights_in_words(settings))
    lines.append("with torch.no_grad():\n    output = layer(batch)\n")
    lines.append('print(tuple(batch.shape), "→", tuple(output.shape), output.min().item(), output.max().item())\n')
    return "".join(lines) + TO_PICTURE


def _weights_in_words(settings: Mapping[str, Any]) -> str:
    words = _weights_of_layer(settings)
    return words.replace("layer.", "conv.") if settings["layer"] == "resize_conv" else words


def _weights_of_layer(settings: Mapping[str, Any]) -> str:
    if settings["kernel"] == "xavier":
        words = f"torch.manual_seed({settings['seed']})\nnn.init.xavier_normal_(layer.weight)\n"
    else:
        rows = ",\n    ".join(map(str, drawn(settings)))
        words = (
            f"kernel = torch.tensor([\n    {rows},\n])\n"
            "with torch.no_grad():\n    layer.weight.copy_(kernel / layer.weight.shape[1])  # the same for every pair\n"
        )
    return words + (f"nn.init.constant_(layer.bias, {settings['bias_value']})\n" if settings["bias"] else "")


def _chosen(settings: Mapping[str, Any]) -> str:
    if settings["in_channels"] == 1:
        return "batch.mean(1, keepdim=True)  # (1, 1, H, W), grey"
    return f"batch[:, {_channels(settings)}]  # 0 red, 1 green, 2 blue"


def _channels(settings: Mapping[str, Any]) -> list[int]:
    return [channel % 3 for channel in range(settings["in_channels"])]


def arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layer's arguments by name, without the channels."""
    kind = settings["layer"]
    names = {
        "conv": ("kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"),
        "resize_conv": ("kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"),
        "transposed": ("kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation"),
        "max_pool": ("kernel_size", "stride", "padding", "dilation"),
        "avg_pool": ("kernel_size", "stride", "padding"),
        "upsample": ("scale_factor", "mode"),
        "leaky_relu": ("negative_slope",),
    }.get(kind, ())
    given = {name: settings[name] for name in names}
    if kind == "upsample" and settings["mode"] != "nearest":
        given["align_corners"] = settings["align_corners"]
    return given


def drawn(settings: Mapping[str, Any]) -> list[list[float]]:
    """Return the kernel as it is drawn, row by row.

    Raises:
        InputError: the visitor's own has another side than the layer's.
    """
    side = settings["kernel_size"]
    if settings["kernel"] != "own":
        return kernels.kernel(settings["kernel"], side)
    cells = list(settings["weights"])
    if len(cells) != side**2:
        raise InputError(
            "kernel_cells",
            "A kernel of kernel_size {side} has {needed} cells, but {count} numbers came. Give one number for each "
            "cell, row by row, or another kernel_size.",
            side=side,
            needed=side**2,
            count=len(cells),
        )
    return [cells[row * side : (row + 1) * side] for row in range(side)]


def computed(picture: Image.Image, **settings: Any) -> Computed:
    """Make the layer and give it the picture.

    Raises:
        InputError: the layer cannot be made so, or has nothing to give.
    """
    kind = settings["layer"]
    batch = read(picture, settings["size"])
    sizes.check(settings, batch.shape[2], batch.shape[3])
    batch = batch.mean(1, keepdim=True) if settings["in_channels"] == 1 else batch[:, _channels(settings)]
    if kind in ("relu", "leaky_relu"):
        batch = batch - batch.mean()
    positional: tuple[int, ...]
    positional = (settings["in_channels"], settings["out_channels"]) if kind in WEIGHTED["layer"] else ()
    positional = (settings["in_channels"],) if kind == "batch_norm" else positional
    layer: nn.Module = CLASSES[kind](*positional, **arguments(settings))
    layer.train(settings["training"])
    if kind in WEIGHTED["layer"]:
        _weigh(layer, settings)
    if kind == "resize_conv":
        layer = nn.Sequential(nn.Upsample(**arguments(settings | {"layer": "upsample"})), layer)
    with torch.no_grad():
        return Computed(batch, layer, layer(batch))


def weighted(layer: nn.Module) -> Any:
    """Return that part of a layer which has weights."""
    return layer[1] if isinstance(layer, nn.Sequential) else layer


def _weigh(layer: Any, settings: Mapping[str, Any]) -> None:
    if settings["kernel"] == "xavier":
        torch.manual_seed(settings["seed"])
        nn.init.xavier_normal_(layer.weight)
    else:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(drawn(settings)) / layer.weight.shape[1])
    if settings["bias"]:
        nn.init.constant_(layer.bias, settings["bias_value"])


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show input and output, the formula of the size, the kernel, and for transposed convolutions the overlaps."""
    done = computed(picture, **settings)
    batch, output = done.batch, done.output
    height, width = batch.shape[2:]
    colour = settings["in_channels"] == 3 and settings["layer"] not in ("relu", "leaky_relu")
    padded = _padded(batch, settings)
    blocks: list[Block] = [
        Formula("size", sizes.formulas(settings, height, width)),
        Maps("input", array(padded[0]), colour, tuple(batch.shape), (padded.shape[2] - height) // 2),
        Maps("output", array(output[0]), False, tuple(output.shape)),
    ]
    facts: dict[str, Any] = {"shape": tuple(output.shape), "same": output.shape[2:] == batch.shape[2:]}
    weight = getattr(weighted(done.layer), "weight", None)
    if settings["layer"] in WEIGHTED["layer"]:
        assert weight is not None
        blocks.append(Maps("kernel", array(weight.flatten(0, 1)[:8]), False, tuple(weight.shape)))
        shown = settings["kernel"] != "xavier"
        facts["cells"] = (
            drawn(settings) if shown else [[round(cell, 3) for cell in row] for row in weight[0, 0].tolist()]
        )
    if settings["layer"] == "transposed":
        counts = _overlaps(batch, done.layer)
        even = bool((counts == counts[0, 0]).all())
        blocks.append(Maps("overlaps", array(counts[None]), False, tuple(counts.shape)))
        blocks.append(Said("even" if even else "uneven", {"least": int(counts.min()), "most": int(counts.max())}))
        facts["even"] = even
    if settings["layer"] == "resize_conv":
        blocks.append(Said("cured"))
    parameters = sum(parameter.numel() for parameter in done.layer.parameters())
    rows = (("in", *_statistics(batch)), ("out", *_statistics(output)))
    blocks.append(Table("statistics", ("what", "least", "most", "mean", "std", "zeros"), rows))
    blocks.append(Said("parameters", {"count": f"{parameters:,}"}))
    return Outcome({"batch": array(batch), "output": array(output)}, tuple(blocks), facts)


def _padded(batch: Tensor, settings: Mapping[str, Any]) -> Tensor:
    """Return the input with the border that the layer puts around it."""
    padding = settings["padding"]
    if settings["layer"] not in ("conv", "max_pool", "avg_pool") or not padding:
        return batch
    mode = settings["padding_mode"] if settings["layer"] == "conv" else "zeros"
    return functional.pad(batch, (padding,) * 4, mode="constant" if mode == "zeros" else mode)


def _overlaps(batch: Tensor, layer: Any) -> Tensor:
    """Count the products in each value of a transposed convolution, away from the border, (h, w)."""
    ones, kernel = torch.ones_like(batch[:, :1]), torch.ones_like(layer.weight[:1, :1])
    counts = functional.conv_transpose2d(
        ones, kernel, None, layer.stride, layer.padding, layer.output_padding, 1, layer.dilation
    )[0, 0]
    border = min(sizes.reach(layer.kernel_size[0], layer.dilation[0]), (min(counts.shape) - 1) // 2)
    return counts[border : counts.shape[0] - border, border : counts.shape[1] - border]


def _statistics(values: Tensor) -> tuple[float, ...]:
    return (
        values.min().item(),
        values.max().item(),
        values.mean().item(),
        values.std(correction=0).item(),
        (values == 0).double().mean().item(),
    )


def _halves(settings: Mapping[str, Any], outcome: Outcome) -> bool:
    """Say whether a convolution halves the picture."""
    height, width = outcome.values["batch"].shape[2:]
    return settings["layer"] == "conv" and outcome.facts["shape"][2:] == ((height + 1) // 2, (width + 1) // 2)


TASKS = (
    Task(
        "same",
        lambda settings, outcome: (
            settings["layer"] == "conv" and settings["kernel_size"] == 5 and outcome.facts["same"]
        ),
    ),
    Task("halve", _halves),
    Task(
        "checkerboard",
        lambda settings, outcome: (
            settings["layer"] == "transposed" and settings["stride"] > 1 and outcome.facts["even"]
        ),
    ),
)
