"""Build a U-Net: blocks, depth, width, skips; its shapes, parameters, cost and receptive field follow."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from PIL import Image
from torch import nn

from segdemo.errors import InputError
from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Maps, Outcome, Said, Table, Task, array, read
from segdemo.labs.unet_blocks import DoubleConv, Down, OutConv, UNet, Up

TITLE = "labs.unet"

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
        "with torch.no_grad():\n    output = net(batch)\n"
        "parameters = sum(parameter.numel() for parameter in net.parameters())\n"
        'print(f"{parameters:,} parameters", tuple(batch.shape), "→", tuple(output.shape))\n'
    )


def build(settings: dict[str, Any]) -> UNet:
    """Make the network."""
    return UNet(
        settings["classes"],
        settings["width"],
        settings["depth"],
        settings["up"] == "bilinear",
        settings["skips"],
        settings["pad"],
    ).eval()


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
    for side in (height, width):
        if side >> depth < 1:
            raise InputError(
                "unet_too_deep",
                "Halving {side} pixels {depth} times, ⌊{side} / {power}⌋, leaves nothing. Lower the depth, or take a "
                "larger picture.",
                side=side,
                depth=depth,
                power=2**depth,
            )
        odd = next((side >> level for level in range(depth) if (side >> level) % 2), None)
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


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show every block with what it puts out, costs and sees, and what the network gives for the picture."""
    batch = read(picture, settings["size"])
    check(settings, batch.shape[2], batch.shape[3])
    torch.manual_seed(settings["seed"])
    net = build(settings)
    rows: list[tuple[Any, ...]] = []
    with torch.no_grad(), Followed(net, rows, settings, max(batch.shape[2:])):
        output = net(batch)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    memory = sum(row[-1] for row in rows) * 4
    total = sum(row[3] for row in rows)
    values = {"output": array(output), "parameters": array(torch.tensor(parameters))}
    columns = ("stage", "shape", "parameters", "madds", "sees")
    facts = {"parameters": parameters, "same": output.shape[2:] == batch.shape[2:], "sees": max(row[4] for row in rows)}
    return Outcome(
        values,
        (
            Said(
                "total",
                {
                    "parameters": f"{parameters:,}",
                    "millions": f"{parameters / 1e6:.1f}",
                    "madds": f"{total / 1e6:,.0f}",
                    "memory": f"{memory / 1e6:,.1f}",
                },
            ),
            Table("stages", columns, tuple(row[:5] for row in rows)),
            Said("sees", {"sees": facts["sees"]}),
            Maps("input", array(batch[0]), picture=True, shape=tuple(batch.shape)),
            Maps("output", array(output[0]), shape=tuple(output.shape)),
        ),
        facts | {"rows": rows},
    )


class Followed:
    """Note, as long as the block lasts, what every block of a network puts out, costs and sees."""

    def __init__(self, net: UNet, rows: list[tuple[Any, ...]], settings: dict[str, Any], side: int) -> None:
        self.net, self.rows, self.depth = net, rows, settings["depth"]
        self.side, self.bilinear = side, settings["up"] == "bilinear"
        self.handles: list[Any] = []
        self.costs: dict[str, int] = {}

    def __enter__(self) -> None:
        named = [("inc", self.net.inc), ("outc", self.net.outc)]
        named += [(f"downs.{index}", block) for index, block in enumerate(self.net.downs)]
        named += [(f"ups.{index}", block) for index, block in enumerate(self.net.ups)]
        fields = receptive_fields(self.depth, self.side, bilinear=self.bilinear)
        for name, block in named:
            for part in block.modules():
                if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                    self.handles.append(part.register_forward_hook(self._cost_of(name)))
            self.handles.append(block.register_forward_hook(self._row_of(name, fields[name])))

    def _cost_of(self, name: str) -> Any:
        def note(module: Any, taken: Any, given: Any) -> None:
            places = taken[0] if isinstance(module, nn.ConvTranspose2d) else given
            cost = module.weight.numel() * places.shape[2] * places.shape[3]
            self.costs[name] = self.costs.get(name, 0) + cost

        return note

    def _row_of(self, name: str, sees: int) -> Any:
        def note(module: nn.Module, taken: Any, given: Any) -> None:
            parameters = sum(parameter.numel() for parameter in module.parameters())
            shape = tuple(given.shape)
            self.rows.append((name, str(shape), parameters, self.costs.get(name, 0), sees, given.numel()))

        return note

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


def receptive_fields(depth: int, side: int, *, bilinear: bool) -> dict[str, int]:
    """Return how many rows of the picture, and of the padding around it, a value of each block sees at most.

    From a value back to the picture: a 3 × 3 kernel adds a row on both sides, a pool reads two rows for each, a
    transposed convolution one for every two, and bilinear upsampling the two nearest.

    Args:
        depth: how often the size is halved.
        side: rows of the picture.
        bilinear: how it is doubled.
    """
    sizes = [side >> level for level in range(depth + 1)]
    blocks = [("inc", "stay", sizes[0])]
    blocks += [(f"downs.{level}", "pool", sizes[level + 1]) for level in range(depth)]
    blocks += [(f"ups.{place}", "up", sizes[depth - 1 - place]) for place in range(depth)]
    fields = {}
    for index, (name, _, size) in enumerate(blocks):
        seen = [_seen(blocks[: index + 1], row, bilinear) for row in range(size)]
        fields[name] = max(last - first + 1 for first, last in seen)
    return fields | {"outc": fields[blocks[-1][0]]}


def _seen(blocks: list[tuple[str, str, int]], row: int, bilinear: bool) -> tuple[int, int]:
    """Return the first and the last row of the picture that a row of the last block depends on."""
    first = last = row
    for index in reversed(range(len(blocks))):
        kind = blocks[index][1]
        first, last = first - 2, last + 2  # two kernels of 3 rows
        if kind == "pool":
            first, last = 2 * first, 2 * last + 1
        elif kind == "up" and bilinear:
            below = blocks[index - 1][2]
            share = (below - 1, max(2 * below - 1, 1))  # the corners of both lie on each other
            first, last = first * share[0] // share[1], -(-last * share[0] // share[1])
        elif kind == "up":
            first, last = first // 2, last // 2
    return first, last


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
)
