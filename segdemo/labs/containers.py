"""Containers: what Sequential, ModuleList and ModuleDict register, and what a plain list or dict does not."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Block, Maps, Outcome, Said, Table, Task, array, read
from segdemo.labs.registers import dictionaries

TITLE = "labs.containers"

LISTS = ("module_list", "list")
DICTS = ("module_dict", "dict")
IN_ORDER = ("sequential", "ordered_dict", *LISTS)
IMPORTS = """from collections import OrderedDict
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""
CHANGES = {
    "append": "net.layers.append(nn.Linear(10, 10))",
    "extend": "net.layers.extend([nn.Linear(10, 10), nn.Linear(10, 10)])",
    "insert": "net.layers.insert(1, nn.ReLU())",
    "items": "print(list(net.choices.items()))",
    "keys": "print(list(net.choices.keys()))",
    "values": "print(list(net.choices.values()))",
    "pop": 'net.choices.pop("conv")',
    "clear": "net.choices.clear()",
}
ASKED = ("items", "keys", "values")  # change nothing
MADE = {
    "sequential": "nn.Sequential(*linears)",
    "ordered_dict": 'nn.Sequential(OrderedDict((f"linear{index}", linear) for index, linear in enumerate(linears)))',
    "module_list": "nn.ModuleList(linears)",
    "list": "list(linears)",
}


class Net(nn.Module):
    """Runs the layers of a container in order, whatever kind it is."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """Return (1, 4, 10) for rows of ten features."""
        for layer in self.layers:
            x = layer(x)
        return x


class Picking(nn.Module):
    """Runs one of several layers, and then one of several activations, each picked by its name."""

    def __init__(self, choices: Any, activations: Any) -> None:
        super().__init__()
        self.choices, self.activations = choices, activations

    def forward(self, x: Tensor, choice: str, act: str) -> Tensor:
        """Return (1, C, h, w); a choice that is there no longer is left out."""
        if choice in self.choices:
            x = self.choices[choice](x)
        return self.activations[act](x)


def settings() -> dict[str, Control]:
    """Return the controls: the container, its layers, and what is done to it."""
    return {
        "container": Choice("module_list", (*IN_ORDER, *DICTS)),
        "count": Whole(20, 1, 20, {"container": IN_ORDER}),
        "change_list": Choice("none", ("none", "append", "extend", "insert"), {"container": LISTS}),
        "picked": Choice("conv", ("conv", "pool"), {"container": DICTS}),
        "act": Choice("relu", ("relu", "prelu"), {"container": DICTS}),
        "change_dict": Choice("none", ("none", *ASKED, "pop", "clear"), {"container": DICTS}),
        "buffer": Switch(False),
        "hook": Switch(False),
        "seed": Whole(0, 0, 9999),
    }


def change_of(settings: dict[str, Any]) -> str:
    """Return what is done to the container."""
    kind = settings["container"]
    return str(settings["change_list"] if kind in LISTS else settings["change_dict"] if kind in DICTS else "none")


def snippet(**settings: Any) -> str:
    """Return the network, and what of it is found by its state, an optimiser and a conversion."""
    kind, change = settings["container"], change_of(settings)
    is_picking = kind in DICTS
    taken = "batch, (12, 16))\n\n\n" if is_picking else "batch.mean(1), (4, 10))\n\n\n"
    lines = [
        IMPORTS + READ.format(side=96) + "x = functional.adaptive_avg_pool2d(" + taken,
        inspect.getsource(Picking if is_picking else Net) + "\n\n",
        f"torch.manual_seed({settings['seed']})\n",
    ]
    if is_picking:
        wrap = "nn.ModuleDict({})" if kind == "module_dict" else "{}"
        lines += [
            "choices = " + wrap.format('{"conv": nn.Conv2d(3, 4, 3), "pool": nn.MaxPool2d(3)}') + "\n",
            "activations = " + wrap.format('{"relu": nn.ReLU(), "prelu": nn.PReLU()}') + "\n",
            "net = Picking(choices, activations)\n",
        ]
    else:
        lines += [
            f"linears = [nn.Linear(10, 10) for _ in range({settings['count']})]\n",
            f"net = Net({MADE[kind]})\n",
        ]
    lines += [CHANGES[change] + "\n"] if change != "none" else []
    lines += ['net.register_buffer("calls", torch.zeros(1))\n'] if settings["buffer"] else []
    hook = "net.register_forward_hook(lambda module, taken, given: print(tuple(given.shape)))\n"
    lines += [hook] if settings["hook"] else []
    run_ = f'net(x, "{settings["picked"]}", "{settings["act"]}")' if is_picking else "net(x)"
    held = "[*net.choices.values(), *net.activations.values()]" if is_picking else "list(net.layers)"
    lines.append(
        f"output = {run_}\n"
        "names = list(net.state_dict())\n"
        "found = sum(parameter.numel() for parameter in net.parameters())  # what an optimiser would be given\n"
        f"layers = {held}\n"
        "there = sum(parameter.numel() for layer in layers for parameter in layer.parameters())\n"
        "net.to(torch.float64)\n"
        "moved = sum(p.numel() for layer in layers for p in layer.parameters() if p.dtype == torch.float64)\n"
        "print(names, found, there, moved, sep='\\n')\n"
    )
    return "".join(lines)


def build(settings: dict[str, Any]) -> Any:
    """Make the network and do to its container what the settings say."""
    torch.manual_seed(settings["seed"])
    kind, change = settings["container"], change_of(settings)
    if kind in DICTS:
        choices: dict[str, nn.Module] = {"conv": nn.Conv2d(3, 4, 3), "pool": nn.MaxPool2d(3)}
        activations: dict[str, nn.Module] = {"relu": nn.ReLU(), "prelu": nn.PReLU()}
        registers = kind == "module_dict"
        net = Picking(*(nn.ModuleDict(held) if registers else held for held in (choices, activations)))
        if change == "pop":
            net.choices.pop("conv")
        elif change == "clear":
            net.choices.clear()
        return net
    linears: list[nn.Module] = [nn.Linear(10, 10) for _ in range(settings["count"])]
    layers: Any = list(linears)
    if kind == "sequential":
        layers = nn.Sequential(*linears)
    elif kind == "ordered_dict":
        layers = nn.Sequential(OrderedDict((f"linear{index}", one) for index, one in enumerate(linears)))
    elif kind == "module_list":
        layers = nn.ModuleList(linears)
    if change == "append":
        layers.append(nn.Linear(10, 10))
    elif change == "extend":
        layers.extend([nn.Linear(10, 10), nn.Linear(10, 10)])
    elif change == "insert":
        layers.insert(1, nn.ReLU())
    return Net(layers)


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show what the container registers, and what each of the dictionaries of a module holds."""
    batch = read(picture, 96)
    is_picking = settings["container"] in DICTS
    x = functional.adaptive_avg_pool2d(batch, (12, 16)) if is_picking else batch.mean(1)
    x = x if is_picking else functional.adaptive_avg_pool2d(x, (4, 10))
    net = build(settings)
    if settings["buffer"]:
        net.register_buffer("calls", torch.zeros(1))
    if settings["hook"]:
        net.register_forward_hook(lambda module, taken, given: None)
    output = net(x, settings["picked"], settings["act"]) if is_picking else net(x)
    layers = [*net.choices.values(), *net.activations.values()] if is_picking else list(net.layers)
    state = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    found = sum(parameter.numel() for parameter in net.parameters())
    there = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    held = dictionaries(net)
    net.to(torch.float64)
    moved = sum(p.numel() for layer in layers for p in layer.parameters() if p.dtype == torch.float64)
    kept = sum(torch.Size(shape).numel() for name, shape in state.items() if name != "calls")
    asked = (("optimiser", there, found), ("moved", there, moved), ("state_dict", there, kept))
    blocks: list[Block] = [
        Table("found", ("asks", "there", "found"), asked),
        Said("all") if found == there else Said("missed", {"count": f"{there - found:,}"}),
    ]
    if is_picking:
        blocks += _picked(net, settings, output)
    blocks += [
        Table("dictionaries", ("dictionary", "entries", "names"), held),
        Table("state", ("name", "shape"), tuple((name, str(shape)) for name, shape in state.items())),
    ]
    values = {"output": output, "found": found, "there": there, "moved": moved}
    arrays = {name: array(torch.as_tensor(value)) for name, value in values.items()}
    return Outcome(arrays, tuple(blocks), {"found": found, "there": there, "names": list(state)})


def _picked(net: Picking, settings: dict[str, Any], output: Tensor) -> list[Block]:
    """Return what a dictionary answers when it is asked, what it was told to run, and what came of that."""
    blocks: list[Block] = []
    change = change_of(settings)
    if change in ASKED:
        answers = {"items": net.choices.items(), "keys": net.choices.keys(), "values": net.choices.values()}[change]
        blocks.append(Table("asked", ("answer",), tuple((str(answer),) for answer in answers)))
    if settings["picked"] not in net.choices:
        blocks.append(Said("gone", {"picked": settings["picked"]}))
    return [*blocks, Maps("picked", array(output[0]), shape=tuple(output.shape))]


TASKS = (
    Task("lost", lambda settings, outcome: outcome.facts["found"] < outcome.facts["there"]),
    Task(
        "names",
        lambda settings, outcome: "layers.linear0.weight" in outcome.facts["names"],
    ),
    Task(
        "grow",
        lambda settings, outcome: (
            settings["container"] == "module_list"
            and settings["change_list"] in ("append", "extend")
            and settings["count"] == 20
        ),
    ),
)
