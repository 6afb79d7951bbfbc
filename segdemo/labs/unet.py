"""Build a U-Net: blocks, depth, width, skips; its shapes, parameters, cost and receptive field follow."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import nn

from segdemo.errors import InputError
from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.figures import drawn, seen_by, traced, with_pictures
from segdemo.labs.lab import READ, Boxes, Maps, Outcome, Said, Table, Task, array, read
from segdemo.labs.unet_blocks import DoubleConv, Down, OutConv, UNet, Up
from segdemo.labs.unet_counts import counted

TITLE = "labs.unet"
EVERY = 10  # blocks of the deepest: one, four down, four up, and the output

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""


def settings() -> dict[str, Control]:
    """Return the controls: what the network is made of, and how large the picture is."""
    return {
        "width": Whole(16, 1, 64),
        "depth": Whole(4, 1, 4),
        "built": Whole(EVERY, 1, EVERY),
        "up": Choice("transposed", ("transposed", "bilinear")),
        "skips": Switch(True),
        "pad": Switch(True),
        "classes": Whole(2, 1, 21),
        "size": Whole(96, 8, 96),
        "seed": Whole(0, 0, 9999),
    }


def snippet(**settings: Any) -> str:
    """Return all blocks and the network made of them."""
    blocks = "\n\n".join(inspect.getsource(block) for block in (DoubleConv, Down, Up, OutConv, UNet))
    return (
        f"{IMPORTS}\n{blocks}\n\n{READ.format(side=settings['size'])}\n"
        f"torch.manual_seed({settings['seed']})\n"
        f"net = UNet(classes={settings['classes']}, width={settings['width']}, depth={settings['depth']}, "
        f"bilinear={settings['up'] == 'bilinear'}, skips={settings['skips']}, pad={settings['pad']}).eval()\n"
        + _trimmed(settings)
        + "with torch.no_grad():\n    output = net(batch)\n"
        "parameters = sum(parameter.numel() for parameter in net.parameters())\n"
        'print(f"{parameters:,} parameters", tuple(batch.shape), "→", tuple(output.shape))\n'
    )


def built(settings: dict[str, Any]) -> tuple[int, int, bool]:
    """Return how many blocks down and up there are so far, and whether it is whole."""
    depth, count = settings["depth"], settings["built"]
    return min(count - 1, depth), min(max(count - 1 - depth, 0), depth), count >= 2 * depth + 2


def _trimmed(settings: dict[str, Any]) -> str:
    """Write how the blocks that are still missing are taken off."""
    downs, ups, whole = built(settings)
    return "" if whole else f"net.downs, net.ups, net.outc = net.downs[:{downs}], net.ups[:{ups}], nn.Identity()\n"


def build(settings: dict[str, Any]) -> UNet:
    """Make the network, as far as it is built."""
    net = UNet(
        settings["classes"],
        settings["width"],
        settings["depth"],
        settings["up"] == "bilinear",
        settings["skips"],
        settings["pad"],
    ).eval()
    downs, ups, whole = built(settings)
    if not whole:
        net.downs, net.ups, net.outc = net.downs[:downs], net.ups[:ups], nn.Identity()  # type: ignore[assignment]
    return net


def blocks_of(net: UNet) -> list[str]:
    """Return the names of its blocks in order."""
    downs = [f"downs.{index}" for index in range(len(net.downs))]
    ups = [f"ups.{index}" for index in range(len(net.ups))]
    return ["inc", *downs, *ups, *([] if isinstance(net.outc, nn.Identity) else ["outc"])]


def check(settings: dict[str, Any], height: int, width: int) -> None:
    """Refuse sizes that the network cannot bring together again.

    Args:
        settings: of the lab.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Raises:
        InputError: nothing would be left, or a skip would not fit.
    """
    depth = settings["depth"]
    downs, ups, _ = built(settings)
    for side in (height, width):
        if side >> downs < 1:
            raise InputError(
                "unet_too_deep",
                "Halving {side} pixels {depth} times, ⌊{side} / {power}⌋, leaves nothing. Lower the depth, or take a "
                "larger picture.",
                side=side,
                depth=downs,
                power=2**downs,
            )
        odd = next((side >> level for level in range(depth - ups, depth) if (side >> level) % 2), None)
        if odd and settings["skips"] and not settings["pad"]:
            raise InputError(
                "unet_odd_size",
                "{side} pixels become {odd}, which is odd: halved and doubled it gives {even}, and the skip beside it "
                "has {odd}, so that the two cannot be put together. Switch the padding on, or take sides that 2^depth "
                "= {power} divides.",
                side=side,
                odd=odd,
                even=odd // 2 * 2,
                power=2**depth,
            )


def quick(picture: Image.Image, **settings: Any) -> Outcome:
    """Show every block with its shape, its cost and what it sees; nothing is computed for that."""
    batch = read(picture, settings["size"])
    check(settings, batch.shape[2], batch.shape[3])
    with torch.device("meta"):
        net = build(settings)
    trace = traced(net, batch.shape)
    rows = counted(net, trace, blocks_of(net), depth=settings["depth"], bilinear=settings["up"] == "bilinear")
    parameters = sum(parameter.numel() for parameter in net.parameters())
    total = {
        "parameters": f"{parameters:,}",
        "millions": f"{parameters / 1e6:.1f}",
        "madds": f"{sum(row[3] for row in rows) / 1e6:,.0f}",
        "memory": f"{sum(row[5] for row in rows) * 4 / 1e6:,.1f}",
    }
    sees = max(row[4] for row in rows)
    same = trace.calls[0].shape[2:] == batch.shape[2:]
    blocks = (
        Said("total", total),
        Said("sees", {"sees": sees}),
        drawn("figure", trace, blocks_of(net)),
        Table("stages", ("stage", "shape", "parameters", "madds", "sees"), tuple(row[:5] for row in rows)),
        Maps("input", array(batch[0]), picture=True, shape=tuple(batch.shape)),
    )
    facts = {"parameters": parameters, "same": same, "sees": sees, "rows": rows}
    return Outcome({}, blocks, facts | {"padded": _padded(settings, batch.shape)})


def _padded(settings: dict[str, Any], shape: Sequence[int]) -> bool:
    """Say whether a size on the way down is odd, so that padding mends it."""
    levels = range(settings["depth"] - built(settings)[1], settings["depth"])
    return settings["pad"] and any((side >> level) % 2 for side in shape[2:] for level in levels)


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show the same, and what the network and its blocks give for the picture."""
    counts = quick(picture, **settings)
    batch = read(picture, settings["size"])
    torch.manual_seed(settings["seed"])
    net = build(settings)
    with torch.no_grad():
        pictures, output = seen_by(net, batch, blocks_of(net))
    blocks = tuple(with_pictures(block, pictures) if isinstance(block, Boxes) else block for block in counts.blocks)
    values = {"output": array(output), "parameters": array(torch.tensor(counts.facts["parameters"]))}
    return Outcome(values, (*blocks, Maps("output", array(output[0]), shape=tuple(output.shape))), counts.facts)


TASKS = (
    Task(
        "tutorial",
        lambda settings, outcome: settings["up"] == "transposed" and round(outcome.facts["parameters"] / 1e5) == 310,
    ),
    Task(
        "bilinear",
        lambda settings, outcome: settings["up"] == "bilinear" and round(outcome.facts["parameters"] / 1e5) == 173,
    ),
    Task("sees", lambda settings, outcome: 30 <= outcome.facts["sees"] <= 60),
    Task("odd", lambda settings, outcome: settings["skips"] and outcome.facts["padded"] and outcome.facts["same"]),
)
