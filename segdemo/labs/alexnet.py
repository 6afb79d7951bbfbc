"""AlexNet and friends: where its parameters are, what its tricks do, the grid of YOLO, residual blocks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from segdemo.labs import alexnet_maps, alexnet_network, residual, yolo_grid
from segdemo.labs.controls import Choice, Control, Number, Switch, Whole
from segdemo.labs.lab import READ, Outcome, Task, read

TITLE = "labs.alexnet"

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""
PILLOW = "from PIL import Image, ImageOps\n"
FIRST = {"network": "import math\n\n", "trained": "import json\nfrom pathlib import Path\n\n"}
SQUARE = 'x = (functional.interpolate(batch, size=({side}, {side}), mode="bilinear") - 0.45) / 0.225  # about 0 ± 1\n'
Work = Callable[[Tensor, Mapping[str, Any]], Outcome]
Code = Callable[[Mapping[str, Any]], tuple[list[Any], str]]
PARTS: dict[str, tuple[Code, Work]] = {
    "network": (alexnet_network.code, alexnet_network.work),
    "relu": (alexnet_maps.relu_code, alexnet_maps.relu),
    "lrn": (alexnet_maps.lrn_code, alexnet_maps.lrn),
    "dropout": (alexnet_maps.dropout_code, alexnet_maps.dropout),
    "ten_crop": (alexnet_maps.crops_code, alexnet_maps.crops),
    "yolo": (yolo_grid.code, yolo_grid.work),
    "residual": (residual.code, residual.work),
}
MAPS = {"part": ("relu", "lrn", "dropout", "ten_crop")}


def settings() -> dict[str, Control]:
    """Return the controls: which part, and what can be turned in it."""
    return {
        "part": Choice("network", tuple(PARTS)),
        "side": Whole(224, 63, 448, {"part": ("network",)}),
        "classes": Whole(1000, 2, 1000, {"part": ("network", "residual")}),
        "weights": Choice("random", ("random", "trained"), MAPS),
        "act": Choice("relu", tuple(alexnet_maps.ACTS), {"part": ("relu",)}),
        "neighbours": Whole(5, 1, 15, {"part": ("lrn",)}),
        "alpha": Number(1.0, 0, 10, {"part": ("lrn",)}),
        "beta": Number(0.75, 0, 2, {"part": ("lrn",)}),
        "k": Number(2.0, 0.1, 10, {"part": ("lrn",)}),
        "p": Number(0.5, 0, 1, {"part": ("dropout",)}),
        "training": Switch(True, {"part": ("dropout",)}),
        "passes": Whole(1, 1, 50, {"part": ("dropout",)}),
        "crop": Whole(64, 16, 128, {"part": ("ten_crop",)}),
        "kinds": Whole(20, 1, 40, {"part": ("yolo",)}),
        "row": Whole(3, 0, 6, {"part": ("yolo",)}),
        "column": Whole(3, 0, 6, {"part": ("yolo",)}),
        "layers": Choice("18", tuple(residual.COUNTS), {"part": ("residual",)}),
        "identity": Switch(True, {"part": ("residual",)}),
        "norm": Switch(True, {"part": ("residual",)}),
        "size": Whole(96, 64, 128, {"part": ("relu", "lrn", "dropout", "ten_crop", "yolo", "residual")}),
        "seed": Whole(0, 0, 9999, {"part": ("relu", "lrn", "dropout", "ten_crop", "yolo", "residual")}),
    }


def snippet(**settings: Any) -> str:
    """Return what the chosen part needs, and what it computes."""
    shown, code = PARTS[settings["part"]][0](settings)
    sources = "\n\n".join(inspect.getsource(part) for part in shown)
    if settings["part"] == "network":  # shapes alone: no picture takes part
        return f"{FIRST['network']}{IMPORTS.replace(PILLOW, '')}\n{sources}\n\n{code}"
    is_trained = settings["part"] in MAPS["part"] and settings["weights"] == "trained"
    head = f"{FIRST['trained'] if is_trained else ''}{IMPORTS}\n{sources}\n\n"
    side = settings["size"]
    seed = f"\ntorch.manual_seed({settings['seed']})\n"
    return head + READ.format(side=side) + SQUARE.format(side=side) + seed + code


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show the chosen part.

    Raises:
        InputError: a crop is larger than the picture.
    """
    side = settings["size"]
    batch = read(picture, side)
    square = (functional.interpolate(batch, size=(side, side), mode="bilinear") - 0.45) / 0.225
    torch.manual_seed(settings["seed"])
    return PARTS[settings["part"]][1](square, settings)


TASKS = (
    Task(
        "smaller", lambda settings, outcome: outcome.facts.get("parameters", 58e6) < 58e6 and "linear" in outcome.facts
    ),
    Task(
        "evaluated",
        lambda settings, outcome: settings["part"] == "dropout" and settings["p"] > 0 and outcome.facts["same"],
    ),
    Task("vanish", lambda settings, outcome: settings["part"] == "residual" and outcome.facts["ratio"] < 1e-6),
)
