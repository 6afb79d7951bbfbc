"""The grid of YOLO: a row of 1,470 numbers unfolded to 7 × 7 cells of 30."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from segdemo.labs.alexnet_blocks import YoloHead
from segdemo.labs.lab import Formula, Maps, Outcome, Said, Table, array

CELLS = 7
BOX = ("x", "y", "w", "h", "confidence")
BEFORE = 7 * 7 * 1024  # numbers that the convolutions of the paper hand to its first linear layer


def code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    return [YoloHead], (
        f"head = YoloHead({settings['kinds']}).eval()\n"
        "with torch.no_grad():\n    flat = head(x)  # (1, 7 · 7 · (2 · 5 + C))\n"
        f"grid = flat.view(1, 7, 7, 2 * 5 + {settings['kinds']})\n"
        f"cell = grid[0, {settings['row']}, {settings['column']}]\n"
        'print(tuple(flat.shape), "→", tuple(grid.shape), cell.tolist())\n'
    )


def work(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Unfold the row, and point at one cell.

    Args:
        batch: (1, 3, H, W).
        settings: of the lab.
    """
    kinds, row, column = settings["kinds"], settings["row"], settings["column"]
    head = YoloHead(kinds).eval()
    with torch.no_grad():
        flat = head(batch)
    each = 2 * 5 + kinds
    grid = flat.view(1, CELLS, CELLS, each)
    cell = grid[0, row, column]
    first = (row * CELLS + column) * each
    names = [f"{name} {box}" for box in (1, 2) for name in BOX] + [f"class {index}" for index in range(kinds)]
    rows = tuple(
        (name, first + index, value) for index, (name, value) in enumerate(zip(names, cell.tolist(), strict=True))
    )
    lines = (
        f"7 × 7 × (2 × 5 + {kinds}) = 7 × 7 × {each} = {49 * each:,}",
        f"({row} × 7 + {column}) × {each} = {first:,}",
        f"{BEFORE:,} × 4,096 + 4,096 = {BEFORE * 4096 + 4096:,}",
    )
    blocks = (
        Formula("unfolded", lines),
        Said("cell", {"row": row, "column": column, "first": f"{first:,}", "last": f"{first + each - 1:,}"}),
        Maps("cells", array(_marked(batch[0], row, column)), picture=True, shape=tuple(batch.shape)),
        Maps("grid", array(grid[0].permute(2, 0, 1)), shape=tuple(grid.shape), labels=tuple(names)),
        Table("numbers", ("number", "index", "value"), rows),
    )
    values = {"flat": flat, "grid": grid, "cell": cell}
    return Outcome({name: array(value) for name, value in values.items()}, blocks, {"each": each})


def _marked(picture: Tensor, row: int, column: int) -> Tensor:
    """Return a picture (3, H, W) from 0 to 1 with the lines of the grid, and all cells but one darker."""
    shown = (picture * 0.225 + 0.45).clamp(0, 1)
    height, width = shown.shape[1:]
    ends = [[size * place // CELLS for place in range(CELLS + 1)] for size in (height, width)]
    shade = torch.full((height, width), 0.35)
    shade[ends[0][row] : ends[0][row + 1], ends[1][column] : ends[1][column + 1]] = 1
    shown = shown * shade
    for place in range(1, CELLS):
        shown[:, ends[0][place]] = shown[:, :, ends[1][place]] = 0.8
    return shown
