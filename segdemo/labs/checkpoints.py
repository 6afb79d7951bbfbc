"""Checkpoints: what of a saved state goes into another network, and what is silently left out."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from segdemo.errors import InputError
from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Block, Outcome, Said, Table, Task, array, read

TITLE = "labs.checkpoints"

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

"""
WAYS = ("whole", "dropped", "filtered", "filtered_by_shape", "prefix", "not_strict")


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
    return saved


def settings() -> dict[str, Control]:
    """Return the controls: where to load, how, and what is held still."""
    return {
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
    shown: list[Any] = [Backbone, *([Larger] if settings["inside"] else []), chosen]
    parts = "\n\n".join(inspect.getsource(part) for part in shown)
    frozen = (
        "for name, parameter in net.named_parameters():\n    parameter.requires_grad = name not in loaded\n"
        if settings["freeze"]
        else ""
    )
    return (
        f"{IMPORTS}\n{parts}\n\n{READ.format(side=64)}\n"
        f"torch.manual_seed({settings['seed']})\n"
        "saved = Backbone(10).state_dict()  # as torch.load would give it\n"
        f"net = {kind.__name__}({settings['classes']})\n"
        f'loaded = chosen(saved, net.state_dict(), "{way}")\n'
        f"answer = net.load_state_dict({_handed(way)}, strict={way != 'not_strict'})\n"
        "loaded = {key for key in loaded if key in net.state_dict()}\n"
        f"{frozen}output = net(batch)\n"
        + (
            "if output.requires_grad:\n    output.sum().backward()\n"
            if settings["freeze"]
            else "output.sum().backward()\n"
        )
        + "count = len(loaded)\n"
        "gradients = sum(parameter.grad is not None for parameter in net.parameters())\n"
        "print(answer, sorted(loaded), count, gradients)\n"
    )


def _handed(way: str) -> str:
    """Return what load_state_dict is handed: all of the network's own, with what is loaded in place of it."""
    return "loaded" if way in ("whole", "not_strict") else "{**net.state_dict(), **loaded}"


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show key by key what was loaded, and what was not.

    Raises:
        InputError: the state does not fit.
    """
    batch = read(picture, 64)
    torch.manual_seed(settings["seed"])
    saved = Backbone(10).state_dict()
    net: nn.Module = (Larger if settings["inside"] else Backbone)(settings["classes"])
    own, way = net.state_dict(), settings["way"]
    loaded = chosen(saved, own, way)
    handed = loaded if way in ("whole", "not_strict") else {**own, **loaded}
    _check(handed, own, strict=way != "not_strict")
    net.load_state_dict(handed, strict=way != "not_strict")
    taken = {key for key in loaded if key in own}
    if settings["freeze"]:
        for name, parameter in net.named_parameters():
            parameter.requires_grad = name not in taken
    output = net(batch)
    if output.requires_grad:
        output.sum().backward()
    gradients = sum(parameter.grad is not None for parameter in net.parameters())
    moving = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    rows = tuple(
        (key, str(tuple(v.shape)), "loaded" if key in taken else "random", key in moving) for key, v in own.items()
    )
    lost = tuple((key, str(tuple(v.shape)), "unused", None) for key, v in saved.items() if not _used(key, taken))
    blocks: tuple[Block, ...] = (
        Said("nothing" if not taken else "loaded", {"count": len(taken), "all": len(own)}),
        Table("keys", ("key", "shape", "became", "gradient"), rows + lost),
    )
    values = {"output": output, "count": torch.tensor(len(taken)), "gradients": torch.tensor(gradients)}
    facts = {"count": len(taken), "all": len(own), "gradients": gradients}
    return Outcome({name: array(value) for name, value in values.items()}, blocks, facts)


def _used(key: str, taken: set[str]) -> bool:
    return key in taken or f"backbone.{key}" in taken


def _check(handed: dict[str, Tensor], own: dict[str, Tensor], *, strict: bool) -> None:
    """Refuse what PyTorch would refuse, and say which key it is."""
    for key, value in handed.items():
        if key in own and own[key].shape != value.shape:
            raise InputError(
                "state_shape",
                "“{key}” is in both, but {saved} was saved and the network has {own}. Its name alone is no reason to "
                "load it: not even strict=False lets it pass. Drop it, or compare the shapes as well.",
                key=key,
                saved=tuple(value.shape),
                own=tuple(own[key].shape),
            )
    strange = sorted(handed.keys() - own.keys())
    missing = sorted(own.keys() - handed.keys())
    if strict and (strange or missing):
        raise InputError(
            "state_keys",
            "The names do not fit: {strange} of the saved keys are not in the network, such as {example}, and "
            "{missing} of its own are missing. Add or take off a prefix, filter the keys, or see with "
            "strict=False what is left out.",
            strange=len(strange),
            missing=len(missing),
            example=(strange or missing)[0],
        )


TASKS = (
    Task("inside", lambda settings, outcome: settings["inside"] and outcome.facts["count"] >= 12),
    Task("silent", lambda settings, outcome: outcome.facts["count"] == 0),
    Task("head", lambda settings, outcome: settings["freeze"] and 0 < outcome.facts["gradients"] <= 2),
)
