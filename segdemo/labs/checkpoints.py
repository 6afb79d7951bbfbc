"""Checkpoints: what of a saved state goes into another network, and what is silently left out."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from segdemo.labs import fates
from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.figures import drawn, seen_by, traced, with_pictures
from segdemo.labs.lab import READ, Block, Boxes, Leaf, Outcome, Said, Task, Tree, array, read

TITLE = "labs.checkpoints"

SIDE = 64  # pixels
ALONE = ("whole", "stripped", "not_strict")  # ways that hand over what was saved, and nothing of the network's own

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

"""
WAYS = ("whole", "dropped", "filtered", "filtered_by_shape", "prefix", "stripped", "not_strict")
SAVED = {  # what the file was saved from
    "backbone": "Backbone(10)",
    "parallel": "nn.DataParallel(Backbone(10))",
    "larger": "Larger(10)",
}


class Backbone(nn.Module):
    """Two convolutions and a linear layer: stands for any network that was trained before."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return a score for each class."""
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x)).relu()
        return self.fc(x.mean((2, 3)))


class Larger(nn.Module):
    """A network that has the other one inside."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone(classes)
        self.head = nn.Linear(classes, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return two scores."""
        return self.head(self.backbone(x))


def chosen(saved: dict[str, Tensor], own: dict[str, Tensor], way: str) -> dict[str, Tensor]:
    """Return what of a saved state shall be loaded."""
    if way == "dropped":
        return {key: value for key, value in saved.items() if not key.startswith("fc.")}
    if way == "filtered":
        return {key: value for key, value in saved.items() if key in own}  # the name is enough
    if way == "filtered_by_shape":
        return {key: value for key, value in saved.items() if key in own and own[key].shape == value.shape}
    if way == "prefix":
        return {f"backbone.{key}": value for key, value in saved.items()}
    if way == "stripped":
        return {key.removeprefix("module.").removeprefix("backbone."): value for key, value in saved.items()}
    return saved


def settings() -> dict[str, Control]:
    """Return the controls: where to load, how, and what is held still."""
    return {
        "saved": Choice("backbone", tuple(SAVED)),
        "way": Choice("filtered_by_shape", WAYS),
        "inside": Switch(False),
        "classes": Whole(10, 2, 20),
        "freeze": Switch(False),
        "seed": Whole(0, 0, 9999),
    }


def snippet(**settings: Any) -> str:
    """Return both networks, what is loaded, and which gradients remain."""
    way = settings["way"]
    kind = Larger if settings["inside"] else Backbone
    larger = settings["inside"] or settings["saved"] == "larger"
    shown: list[Any] = [Backbone, *([Larger] if larger else []), chosen]
    parts = "\n\n".join(inspect.getsource(part) for part in shown)
    frozen = (
        "for name, parameter in net.named_parameters():\n    parameter.requires_grad = name not in loaded\n"
        if settings["freeze"]
        else ""
    )
    return (
        f"{IMPORTS}\n{parts}\n\n{READ.format(side=SIDE)}\n"
        f"torch.manual_seed({settings['seed']})\n"
        f"saved = {SAVED[settings['saved']]}.state_dict()  # as torch.load would give it\n"
        f"net = {kind.__name__}({settings['classes']})\n"
        "own = net.state_dict()\n"
        f'loaded = chosen(saved, own, "{way}")\n'
        "try:\n"
        f"    print(net.load_state_dict({_handed(way)}, strict={way != 'not_strict'}))\n"
        "    refused = False\n"
        "except RuntimeError as error:  # by then, all that fits has been copied\n"
        "    print(error)\n"
        "    refused = True\n"
        "loaded = {key for key in loaded if key in own and own[key].shape == loaded[key].shape}\n"
        f"{frozen}output = net(batch)\n"
        "if output.requires_grad:\n    output.sum().backward()\n"
        "count = len(loaded)\n"
        "gradients = sum(parameter.grad is not None for parameter in net.parameters())\n"
        "print(sorted(loaded), count, gradients)\n"
    )


def _handed(way: str) -> str:
    """Return what load_state_dict is handed: all of the network's own, with what is loaded in place of it."""
    return "loaded" if way in ALONE else "{**own, **loaded}"


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show key by key what was loaded and what was not, as a tree and in the figure, and which gradients remain."""
    batch, way = read(picture, SIDE), settings["way"]
    torch.manual_seed(settings["seed"])
    saved = _saved_from(settings["saved"]).state_dict()
    net: nn.Module = (Larger if settings["inside"] else Backbone)(settings["classes"])
    own = net.state_dict()
    loaded = chosen(saved, own, way)
    missing, strange = sorted(own.keys() - loaded.keys()), sorted(loaded.keys() - own.keys())
    refused = ""
    try:
        net.load_state_dict(loaded if way in ALONE else {**own, **loaded}, strict=way != "not_strict")
    except RuntimeError:  # by then, all that fits has been copied
        refused = "names" if strange or (way in ALONE and missing) else "shape"
    taken = {key for key, value in loaded.items() if key in own and own[key].shape == value.shape}
    if settings["freeze"]:
        for name, parameter in net.named_parameters():
            parameter.requires_grad = name not in taken
    layers = [name for name, module in net.named_modules() if not list(module.children())]
    pictures, output = seen_by(net, batch, layers)
    if output.requires_grad:
        output.sum().backward()
    gradients = sum(parameter.grad is not None for parameter in net.parameters())
    values = {
        "output": output,
        "count": torch.tensor(len(taken)),
        "gradients": torch.tensor(gradients),
        "refused": torch.tensor(bool(refused)),
    }
    names = {id(value): key for key, value in saved.items()}
    used = {names[id(loaded[key])] for key in taken}
    other = {names[id(value)] for key, value in loaded.items() if key in own} - used
    moving = {name: parameter.grad is not None for name, parameter in net.named_parameters()}
    leaves = fates.of_network(_shapes(own), _shapes(loaded), moving)
    said = _said(refused, taken, own, {"missing": len(missing), "strange": len(strange)}, silent=way == "not_strict")
    blocks: tuple[Block, ...] = (
        *said,
        with_pictures(_painted(drawn("figure", traced(net, batch.shape), layers), leaves), pictures),
        Tree("network", leaves),
        Tree("file", fates.of_file(_shapes(saved), used, other)),
        Said("gradients", {"count": gradients, "all": len(moving)}),
    )
    facts = {"count": len(taken), "all": len(own), "gradients": gradients, "refused": refused}
    return Outcome({name: array(value) for name, value in values.items()}, blocks, facts)


def _saved_from(kind: str) -> nn.Module:
    """Make the network that the file was saved from."""
    if kind == "larger":
        return Larger(10)
    return nn.DataParallel(Backbone(10)) if kind == "parallel" else Backbone(10)


def _said(refused: str, taken: set[str], own: dict[str, Tensor], counts: dict[str, int], *, silent: bool) -> list[Said]:
    """Say what PyTorch made of it."""
    known = {"count": len(taken), "all": len(own), **counts}
    if refused:
        return [Said(f"refused_{refused}", known)]
    skipped = [Said("skipped", known)] if silent and (counts["missing"] or counts["strange"]) else []
    return [Said("loaded" if taken else "nothing", known), *skipped]


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _painted(figure: Boxes, leaves: tuple[Leaf, ...]) -> Boxes:
    """Let each box say what became of its tensors."""
    boxes = []
    for box in figure.boxes:
        note, count = fates.together([leaf for leaf in leaves if leaf.key.rpartition(".")[0] == box.label])
        boxes.append(replace(box, note=note, count=count))
    return replace(figure, boxes=tuple(boxes))


TASKS = (
    Task("inside", lambda settings, outcome: settings["inside"] and outcome.facts["count"] >= 12),
    Task("silent", lambda settings, outcome: outcome.facts["count"] == 0 and not outcome.facts["refused"]),
    Task("lets_pass", lambda settings, outcome: settings["way"] == "filtered" and outcome.facts["refused"] == "shape"),
    Task("stripped", lambda settings, outcome: settings["saved"] != "backbone" and outcome.facts["count"] >= 14),
    Task("head", lambda settings, outcome: settings["freeze"] and 0 < outcome.facts["gradients"] <= 2),
)
